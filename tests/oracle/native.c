/* native.c - the host's own processor as the reference: an x86-64 Linux process runs the case in user mode.
 *
 * The memory windows are mapped at their linear addresses, writable a second time elsewhere so that code and read-only
 * pages can be prepared. A trampoline below 4 GiB loads every register and enters the case with IRETQ; the case ends in
 * a far jump back to 64-bit code, or in a signal, whose frame is a complete context. 16-bit segments come from
 * modify_ldt where the kernel and the hypervisor let them be loaded. */
#define _GNU_SOURCE
#include "tests/oracle/oracle.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__LP64__)

#include <asm/ldt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

/* Where the trampoline and its data live: not in a window, reachable by a 32-bit far pointer. */
#define TRAMPOLINE UINT32_C(0x3fff0000)

/* The trampoline's data, one page behind its code; the assembly knows the offsets. */
struct shared {
    uint64_t gpr[16];       /* 0: in and out */
    uint64_t frame[5];      /* 128: RIP CS RFLAGS RSP SS for IRETQ */
    uint64_t host_rsp;      /* 168 */
    uint64_t fs_base;       /* 176 */
    uint64_t flags;         /* 184: out */
    uint64_t scratch[4];    /* 192: a stack */
    uint16_t in[4];         /* 224: DS ES FS GS */
    uint16_t out[4];        /* 232 */
    uint8_t uses_fpu;       /* 240 */
    uint8_t restores_fs;    /* 241 */
    uint8_t exit;           /* 242 */
    uint8_t pad;
    uint16_t ss_out;        /* 244 */
    uint8_t pad2[6];
    uint32_t mxcsr_default; /* 252 */
    uint8_t fx[512];        /* 256 */
};
_Static_assert(offsetof(struct shared, host_rsp) == 168 && offsetof(struct shared, in) == 224 &&
                   offsetof(struct shared, uses_fpu) == 240 && offsetof(struct shared, fx) == 256,
               "the assembly below knows these");

/* Position independent: copied to TRAMPOLINE. */
__asm__(".pushsection .text\n"
        "tr_begin:\n"
        ".set tr_data, tr_begin + 4096\n"
        "tr_enter:\n"
        "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "  mov %rsp, tr_data+168(%rip)\n"
        "  cmpb $0, tr_data+240(%rip); je 1f\n"
        "  fxrstor64 tr_data+256(%rip)\n"
        "1: mov tr_data+224(%rip), %ds\n"
        "  mov tr_data+226(%rip), %es\n"
        "  movzwl tr_data+228(%rip), %eax; test %eax, %eax; jz 1f\n"
        "  mov %eax, %fs\n"
        "1: movzwl tr_data+230(%rip), %eax; test %eax, %eax; jz 1f\n"
        "  mov %eax, %gs\n"
        "1: mov tr_data+0(%rip), %rax; mov tr_data+8(%rip), %rcx; mov tr_data+16(%rip), %rdx\n"
        "  mov tr_data+24(%rip), %rbx; mov tr_data+40(%rip), %rbp; mov tr_data+48(%rip), %rsi\n"
        "  mov tr_data+56(%rip), %rdi; mov tr_data+64(%rip), %r8; mov tr_data+72(%rip), %r9\n"
        "  mov tr_data+80(%rip), %r10; mov tr_data+88(%rip), %r11; mov tr_data+96(%rip), %r12\n"
        "  mov tr_data+104(%rip), %r13; mov tr_data+112(%rip), %r14; mov tr_data+120(%rip), %r15\n"
        "  lea tr_data+128(%rip), %rsp\n"
        "  iretq\n"
        "tr_exit0: movb $0, tr_data+242(%rip); jmp 2f\n"
        "tr_exit1: movb $1, tr_data+242(%rip)\n"
        "2: mov %rax, tr_data+0(%rip); mov %rcx, tr_data+8(%rip); mov %rdx, tr_data+16(%rip)\n"
        "  mov %rbx, tr_data+24(%rip); mov %rsp, tr_data+32(%rip); mov %rbp, tr_data+40(%rip)\n"
        "  mov %rsi, tr_data+48(%rip); mov %rdi, tr_data+56(%rip); mov %r8, tr_data+64(%rip)\n"
        "  mov %r9, tr_data+72(%rip); mov %r10, tr_data+80(%rip); mov %r11, tr_data+88(%rip)\n"
        "  mov %r12, tr_data+96(%rip); mov %r13, tr_data+104(%rip); mov %r14, tr_data+112(%rip)\n"
        "  mov %r15, tr_data+120(%rip)\n"
        "  lea tr_data+192(%rip), %rsp; pushfq\n"
        "  lea tr_data+224(%rip), %rsp; push $0x202; popfq\n"
        "  mov %ss, tr_data+244(%rip); mov %ds, tr_data+232(%rip); mov %es, tr_data+234(%rip)\n"
        "  mov %fs, tr_data+236(%rip); mov %gs, tr_data+238(%rip)\n"
        "  mov $0x2b, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
        "  mov tr_data+168(%rip), %rsp\n"
        "  cmpb $0, tr_data+240(%rip); je 1f\n"
        "  fxsave64 tr_data+256(%rip)\n"
        "1: cmpb $0, tr_data+241(%rip); je 1f\n"
        "  xor %eax, %eax; mov %eax, %gs\n"
        "  mov $158, %eax; mov $0x1002, %edi; mov tr_data+176(%rip), %rsi; syscall\n"
        "1:\n"
        "tr_resume:\n"
        "  fninit; ldmxcsr tr_data+252(%rip)\n"
        "  push $0x202; popfq\n" /* sigreturn leaves NT and ID, and IRETQ faults with NT */
        "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "  ret\n"
        "tr_end:\n"
        ".popsection\n");
extern const uint8_t tr_begin[], tr_enter[], tr_exit0[], tr_exit1[], tr_resume[], tr_end[];

static struct shared *shared;
static uint8_t *host_windows[WINDOWS];
static bool ldt_works;
static volatile sig_atomic_t is_inside; /* the case runs */
static volatile unsigned ticks;
static struct outcome *result;
static uint32_t exits[2]; /* of the case that runs */

enum { ARCH_SET_FS_CODE = 0x1002, ARCH_GET_FS_CODE = 0x1003 };

static long raw_arch_prctl(long code, uint64_t address)
{
    long result_ = SYS_arch_prctl;
    __asm__ volatile("syscall" : "+a"(result_) : "D"(code), "S"(address) : "rcx", "r11", "memory");
    return result_;
}

/* Runs with AC, FS and DS as the case left them: first of all these are put right. Nothing here may use TLS before. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
    static const int registers[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                       REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
    uint16_t ds, es, fs, gs;

    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andl $0xfffbfeff, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;
    (void)info;
    if (signal == SIGALRM && (!is_inside || ++ticks < 3)) {
        return;
    }
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    if (is_inside && shared->restores_fs) {
        raw_arch_prctl(ARCH_SET_FS_CODE, shared->fs_base);
        __asm__ volatile("mov %0, %%gs" ::"r"(0));
    }
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(0x2b));
    if (!is_inside) {
        char message[100];
        int length = snprintf(message, sizeof message, "oracle: signal %d at %llx outside of a case\n", signal,
                              (unsigned long long)g[REG_RIP]);
        if (write(2, message, (size_t)length) < 0) {
            _exit(4);
        }
        _exit(3);
    }
    is_inside = 0;
    for (unsigned k = 0; k < 16; k++) {
        result->state.gpr[k] = (uint64_t)g[registers[k]];
    }
    result->state.rip = (uint64_t)g[REG_RIP];
    result->state.rflags = (uint32_t)g[REG_EFL];
    uint16_t selectors[6] = { es, (uint16_t)g[REG_CSGSFS], (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48), ds, fs, gs };
    memcpy(result->state.selector, selectors, sizeof selectors);
    memcpy(result->state.fx, u->uc_mcontext.fpregs, 464);
    memset(result->state.fx + 464, 0, 48);
    result->vector = signal == SIGALRM ? ENDED_NEVER : (uint8_t)g[REG_TRAPNO];
    /* A single-step trap that MOV SS held off arrives when the jump out is done. */
    for (unsigned k = 0; k < 2 && signal == SIGTRAP; k++) {
        if (result->state.rip == TRAMPOLINE + (uintptr_t)((k ? tr_exit1 : tr_exit0) - tr_begin)) {
            result->state.rip = exits[k];
            result->state.selector[SEG_CS] = 0;
            result->vector = ENDED_HERE;
        }
    }
    result->error = (uint32_t)g[REG_ERR];
    result->cr2 = (uint64_t)g[REG_CR2];
    g[REG_RIP] = (greg_t)(TRAMPOLINE + (uintptr_t)(tr_resume - tr_begin));
    g[REG_RSP] = (greg_t)shared->host_rsp;
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] = (greg_t)(((uint64_t)g[REG_CSGSFS] & UINT64_C(0x0000ffffffff0000)) | 0x33 | UINT64_C(0x2b) << 48);
}

static bool map_windows(void)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        int fd = memfd_create("oracle", 0);
        if (fd < 0 || ftruncate(fd, WINDOW_PAGES * PAGE) < 0) {
            return false;
        }
        host_windows[w] = mmap(NULL, WINDOW_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (host_windows[w] == MAP_FAILED) {
            return false;
        }
        for (unsigned p = 0; p < WINDOW_PAGES; p++) {
            char kind = window_pages[w][p];
            uintptr_t at = window_base[w] + p * PAGE;
            int protection = kind == 'w' ? PROT_READ | PROT_WRITE : kind == 'x' ? PROT_READ | PROT_EXEC : PROT_READ;
            if (kind == '-') {
                continue;
            }
            void *got = mmap((void *)at, PAGE, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, (off_t)p * PAGE);
            if (got != (void *)at) {
                return false;
            }
            memcpy(host_windows[w] + p * PAGE, memory_pattern((uint32_t)at), PAGE);
            /* Linux enters pages when they are first touched; until then a fault would say "not present". */
            (void)*(volatile const uint8_t *)got;
            if (mlock(got, PAGE) < 0) {
                return false;
            }
        }
        close(fd);
    }
    return true;
}

static bool map_trampoline(void)
{
    uint8_t *code = mmap((void *)(uintptr_t)TRAMPOLINE, 2 * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (code != (void *)(uintptr_t)TRAMPOLINE) {
        return false;
    }
    memcpy(code, tr_begin, (size_t)(tr_end - tr_begin));
    shared = (struct shared *)(code + PAGE);
    shared->mxcsr_default = 0x1f80;
    raw_arch_prctl(ARCH_GET_FS_CODE, (uintptr_t)&shared->fs_base);
    return mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0;
}

/* Some hypervisors accept modify_ldt but keep LDT selectors from being loaded: LAR tells. */
static bool install_ldt(void)
{
    for (unsigned k = 0; k < LDT_COUNT; k++) {
        const struct ldt_entry *e = &ldt_entries[k];
        struct user_desc d = { .entry_number = k, .base_addr = e->base, .limit = e->limit };
        d.seg_32bit = e->is_32bit;
        d.contents = e->is_code ? 2 : e->is_expand_down ? 1 : 0;
        d.read_exec_only = e->is_fixed;
        d.limit_in_pages = e->in_pages;
        d.seg_not_present = e->is_absent;
        d.useable = 0; /* it becomes the AVL bit, which LAR shows */
        if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) {
            return false;
        }
    }
    uint32_t rights = 0;
    __asm__ volatile("lar %1, %0" : "+r"(rights) : "r"((uint32_t)LDT_DATA16) : "cc");
    return rights != 0;
}

const char *native_open(void)
{
    static uint8_t stack[65536];
    static const int signals[] = { SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGALRM };
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action;
    struct itimerval interval = { { 0, 200000 }, { 0, 200000 } };

    if (!map_windows() || !map_trampoline()) {
        return "the low addresses that the cases use cannot be mapped (vm.mmap_min_addr above 4096?)";
    }
    ldt_works = install_ldt();
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaltstack(&alternate, NULL);
    for (unsigned k = 0; k < sizeof signals / sizeof *signals; k++) {
        sigaction(signals[k], &action, NULL);
    }
    setitimer(ITIMER_REAL, &interval, NULL);
    return NULL;
}

static bool code32_works(void)
{
    uint32_t rights = 0;

    __asm__ volatile("lar %1, %0" : "+r"(rights) : "r"((uint32_t)SELECTOR_CODE32) : "cc");
    return rights != 0;
}

struct host_modes native_modes(void) { return (struct host_modes){ .has_ldt = ldt_works, .has_code32 = code32_works() }; }

uint8_t *native_page(uint32_t linear)
{
    unsigned w = linear >= WINDOW_HIGH;

    return host_windows[w] + (linear - window_base[w]) / PAGE * PAGE;
}

static void put_code(uint32_t linear, const uint8_t *bytes, unsigned size)
{
    for (unsigned k = 0; k < size; k++) {
        if (page_kind(linear + k) == 'x') {
            native_page(linear + k)[(linear + k) % PAGE] = bytes ? bytes[k] : 0xf4;
        }
    }
}

enum { EXIT_BYTES = 8 };
/* JMP to the trampoline, far from 16- and 32-bit code. */
static void put_exit(const struct test_case *test, unsigned number)
{
    uint32_t to = TRAMPOLINE + (uint32_t)((number ? tr_exit1 : tr_exit0) - tr_begin);

    if (test->native_mode & MODE_CODE64) {
        uint8_t jump[5] = { 0xe9 };
        store_le32(jump + 1, to - test->exits[number] - 5);
        put_code(test->exits[number], jump, sizeof jump);
    } else {
        /* With an operand-size prefix in 16-bit code. */
        uint8_t jump[EXIT_BYTES] = { 0x66, 0xea, 0, 0, 0, 0, SELECTOR_CODE64, 0 };
        bool is_code32 = (test->native_mode & MODE_CODE32) || (number && test->lands_in_code32);
        unsigned skip = is_code32 ? 1 : 0;
        store_le32(jump + 2, to);
        put_code(test->exits[number], jump + skip, EXIT_BYTES - skip);
    }
}

bool native_was_disturbed(void) { return ticks > 0; }

static void enter(void)
{
    void (*trampoline)(void);
    uintptr_t at = TRAMPOLINE;

    memcpy(&trampoline, &at, sizeof at);
    ticks = 0;
    is_inside = 1;
    trampoline();
}

static uint16_t code_selector(unsigned mode)
{
    return mode & MODE_CODE64 ? SELECTOR_CODE64 : mode & MODE_CODE32 ? SELECTOR_CODE32 : LDT_CODE16;
}

void native_run(const struct test_case *test, struct outcome *out)
{
    const struct state *s = &test->initial;

    put_exit(test, 1);
    put_exit(test, 0);
    uint32_t start = test->exits[0] - test->native_size;
    put_code(start, test->native_code, test->native_size);
    for (unsigned k = 0; k < test->poke_count; k++) {
        memory_poke(&test->pokes[k], native_page);
    }
    memcpy(shared->gpr, s->gpr, sizeof s->gpr);
    uint64_t frame[5] = { start, code_selector(test->native_mode), s->rflags, s->gpr[REG_SP], s->selector[SEG_SS] };
    memcpy(shared->frame, frame, sizeof frame);
    uint16_t selectors[4] = { s->selector[SEG_DS], s->selector[SEG_ES], s->selector[SEG_FS], s->selector[SEG_GS] };
    memcpy(shared->in, selectors, sizeof selectors);
    shared->uses_fpu = test->uses_fpu;
    shared->restores_fs = test->restores_fs;
    if (test->uses_fpu) {
        memcpy(shared->fx, s->fx, 512);
    }
    result = out;
    memcpy(exits, test->exits, sizeof exits);
    enter();
    if (is_inside) {
        is_inside = 0;
        memcpy(out->state.gpr, shared->gpr, sizeof out->state.gpr);
        out->state.rip = test->exits[shared->exit];
        out->state.rflags = (uint32_t)shared->flags;
        /* CS is not known any more. */
        uint16_t after[6] = { shared->out[1], 0, shared->ss_out, shared->out[0], shared->out[2], shared->out[3] };
        memcpy(out->state.selector, after, sizeof after);
        if (test->uses_fpu) {
            memcpy(out->state.fx, shared->fx, 512);
            memset(out->state.fx + 464, 0, 48);
        }
        out->vector = ENDED_HERE;
        out->error = 0;
        out->cr2 = 0;
    } else if (out->vector == VEC_GP && out->error == 0 && page_kind(out->state.rip) == 'x' && out->state.rip != start &&
               native_page((uint32_t)out->state.rip)[out->state.rip % PAGE] == 0xf4) {
        out->vector = ENDED_HERE;
    }
    put_code(test->exits[1], NULL, EXIT_BYTES);
    put_code(test->exits[0], NULL, EXIT_BYTES);
    put_code(start, NULL, test->native_size);
    if (test->native_mode != test->mode) {
        out->state.selector[SEG_CS] = 0; /* that of other code */
    }
    for (unsigned k = 0; k < test->count || k == 0; k++) {
        if (out->state.rip == start + test->native_starts[k]) {
            out->state.rip = s->rip + test->starts[k];
            break;
        }
    }
}

#else

const char *native_open(void) { return "this host is not an x86-64 Linux machine"; }
struct host_modes native_modes(void) { return (struct host_modes){ false, false }; }
void native_run(const struct test_case *test, struct outcome *out) { (void)test, (void)out; }
bool native_was_disturbed(void) { return false; }
uint8_t *native_page(uint32_t linear) { return (void)linear, NULL; }

#endif
