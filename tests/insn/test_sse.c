/* test_sse.c - every MMX and SSE row of the instruction table against this host's processor (x86-64 only; elsewhere skipped).
 *
 * A case is FXRSTOR of a random state, the instruction with random operands, FXSAVE; the same bytes mean the same in 32-bit and
 * 64-bit code. State images, memory, EAX, ECX and EFLAGS must be equal. An unmasked SIMD exception is SIGFPE here and #XM
 * there, with equal state at the fault. Left out: x87 pointers (see cpu/x87_state.c), RCP and RSQRT, which are
 * approximations that differ between processors (tests/unit/test_float_ieee.c holds them to the SDM's error bound), and
 * instructions without a fixed result.
 *
 * SSE_CASES=N in the environment sets the number of cases for each row and form, SSE_ROW=MNEMONIC picks rows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cpu/decode.h"
#include "support/insn_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { IMAGE_SIZE = 512, IMAGE_COMPARED = 288, MEMORY_SIZE = 64, CODE_MAX = 64 };

static struct insn_rig fixture;
static struct insn_rig *const r = &fixture;

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static unsigned below(unsigned n) { return (unsigned)((random64() >> 33) % n); }

/* ---- operands ---- */

static uint32_t random_float32(void)
{
    static const uint32_t odd[] = { 0, 1, 0x7fffff, 0x800000, 0x800001, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x3f800000,
                                    0x3f7fffff, 0x3f000000, 0x3effffff, 0x4f000000, 0x4effffff, 0x5f000000, 0x4b000001,
                                    0x4affffff, 0x00400000, 0x3fc00000 };
    uint32_t sign = (uint32_t)below(2) << 31;
    switch (below(8)) {
    case 0:
    case 1:
        return sign | odd[below(sizeof odd / sizeof *odd)];
    case 2:
        return sign | ((uint32_t)random64() & 0x7fffff) >> below(23); /* denormal */
    case 3:
        return sign | (127u - 4 + below(36)) << 23 | ((uint32_t)random64() & 0x7fffff);
    case 4:
        return sign | (127u - 4 + below(36)) << 23 | ((uint32_t)random64() & 0x7fffff & ~((1u << below(23)) - 1));
    case 5:
        return sign | (127u - 2 + below(4)) << 23 | (below(2) ? 0x7fffff - below(4) : below(4));
    default:
        return (uint32_t)random64();
    }
}

static uint64_t random_float64(void)
{
    static const uint64_t odd[] = { 0, 1, UINT64_C(0xfffffffffffff), UINT64_C(0x10000000000000), UINT64_C(0x10000000000001),
                                    UINT64_C(0x7fefffffffffffff), UINT64_C(0x7ff0000000000000), UINT64_C(0x7ff0000000000001),
                                    UINT64_C(0x7ff8000000000000), UINT64_C(0x3ff0000000000000), UINT64_C(0x3fefffffffffffff),
                                    UINT64_C(0x3fe0000000000000), UINT64_C(0x41e0000000000000), UINT64_C(0x41dfffffffc00000),
                                    UINT64_C(0x41dfffffffe00000), UINT64_C(0x43e0000000000000), UINT64_C(0x47efffffe0000000),
                                    UINT64_C(0x47effffff0000000), UINT64_C(0x3810000000000000), UINT64_C(0x380fffffffffffff),
                                    UINT64_C(0x36a0000000000000), UINT64_C(0x3690000000000000), UINT64_C(0x4330000000000001) };
    uint64_t sign = (uint64_t)below(2) << 63, fraction = random64() >> 12;
    switch (below(9)) {
    case 0:
    case 1:
        return sign | odd[below(sizeof odd / sizeof *odd)];
    case 2:
        return sign | fraction >> below(52);
    case 3:
        return sign | (uint64_t)(1023 - 4 + below(70)) << 52 | fraction;
    case 4:
        return sign | (uint64_t)(1023 - 4 + below(70)) << 52 | (fraction & ~((UINT64_C(1) << below(52)) - 1));
    case 5:
        return sign | (uint64_t)(1023 - 151 + below(26)) << 52 | (fraction & ~((UINT64_C(1) << below(52)) - 1));
    case 6:
        return sign | (uint64_t)(1023 - 2 + below(4)) << 52 | (below(2) ? UINT64_C(0xfffffffffffff) - below(4) : below(4));
    default:
        return random64();
    }
}

static void random_bytes(uint8_t *at, unsigned size)
{
    for (unsigned k = 0; k < size; k += 8) {
        uint64_t value = random64();
        uint32_t pair[2];
        switch (below(6)) {
        case 0:
        case 1:
            value = random_float64();
            break;
        case 2:
        case 3:
            pair[0] = random_float32();
            pair[1] = random_float32();
            memcpy(&value, pair, 8);
            break;
        case 4: /* bytes from a few values, so that comparisons are equal at times */
            for (unsigned byte = 0; byte < 8; byte++) {
                static const uint8_t few[] = { 0, 1, 0x7f, 0x80, 0xff, 'a', 'b', 'z' };
                value = value << 8 | few[below(8)];
            }
            break;
        default:
            value >>= below(4) ? 0 : below(64);
            break;
        }
        memcpy(at + k, &value, 8);
    }
}

static uint32_t random_mxcsr(void)
{
    uint32_t masks = below(3) ? 0x3f : below(2) ? 0x3fu & ~(1u << below(6)) : below(64);

    return masks << 7 | (below(2) ? below(64) : 0) | (below(3) ? 0 : 0x40) | (below(3) ? 0 : 0x8000) |
           (below(2) ? 0 : below(4) << 13);
}

static void random_image(uint8_t image[IMAGE_SIZE])
{
    uint16_t control = 0x37f, status = (uint16_t)(random64() & 0x7f00);
    uint32_t mxcsr = random_mxcsr(), mask = 0xffff;

    memset(image, 0, IMAGE_SIZE);
    memcpy(image, &control, 2);
    memcpy(image + 2, &status, 2);
    image[4] = (uint8_t)random64();
    memcpy(image + 24, &mxcsr, 4);
    memcpy(image + 28, &mask, 4);
    for (unsigned k = 0; k < 8; k++) {
        random_bytes(image + 32 + 16 * k, 8);
        image[32 + 16 * k + 8] = (uint8_t)random64();
        image[32 + 16 * k + 9] = (uint8_t)random64();
    }
    random_bytes(image + 160, 128);
    if (below(3) == 0) {
        memcpy(image + 160 + 16 * below(8), image + 160 + 16 * below(8), below(2) ? 16 : 8);
    }
}

/* ---- one case ---- */

struct test_case {
    uint8_t code[CODE_MAX];
    unsigned size;
    uint8_t image[IMAGE_SIZE];
    uint8_t memory[MEMORY_SIZE];
    uint32_t eax, ecx;
    bool is_explicit;
};

struct outcome {
    uint8_t image[IMAGE_SIZE], source[IMAGE_SIZE], memory[MEMORY_SIZE];
    uint32_t eax, ecx, eflags;
    bool has_xm;
};

/* The bytes of the row with random registers; false when the form is not possible. */
static bool encode(const struct opcode *op, bool is_memory, struct test_case *c)
{
    static const uint8_t prefix_bytes[] = { [PREFIX_66] = 0x66, [PREFIX_F3] = 0xf3, [PREFIX_F2] = 0xf2 };
    uint8_t *at = c->code;
    unsigned reg = below(8), rm = below(8), immediates = 0;
    bool has_rm = false, has_modrm = op->ext != EXT_NONE;

    for (unsigned k = 0; k < 3; k++) {
        const struct operand_code *code = &operand_codes[op->operands[k]];
        switch (code->kind) {
        case KIND_G:
            reg = below(2);
            has_modrm = true;
            break;
        case KIND_P:
        case KIND_V:
            has_modrm = true;
            break;
        case KIND_E:
        case KIND_RR:
            rm = below(2);
            has_rm = has_modrm = true;
            if (code->kind == KIND_RR && is_memory) {
                return false;
            }
            break;
        case KIND_M:
            if (!is_memory || code->size == SIZE_NONE) {
                return false;
            }
            has_rm = has_modrm = true;
            break;
        case KIND_Q:
        case KIND_W:
            has_rm = has_modrm = true;
            break;
        case KIND_N:
        case KIND_U:
            if (is_memory) {
                return false;
            }
            has_rm = has_modrm = true;
            break;
        case KIND_I:
            immediates++;
            break;
        default:
            break;
        }
    }
    if ((is_memory && !has_rm) || op->ext >= EXT_RR0) {
        return false;
    }
    c->is_explicit = strncmp(op->mnemonic, "pcmpestr", 8) == 0;
    if (c->is_explicit) { /* the length in EDX, which holds a pointer */
        memcpy(at, "\x52\x89\xca", 3); /* push edx; mov edx, ecx */
        at += 3;
    }
    if (op->prefix == PREFIX_F2 && below(4) == 0 && strcmp(op->since, "SSE4_2") == 0) {
        *at++ = 0x66; /* CRC32 with 16 bits */
    }
    if (op->prefix >= PREFIX_66) {
        *at++ = prefix_bytes[op->prefix];
    }
    if (op->map != MAP_1B) {
        *at++ = 0x0f;
    }
    if (op->map == MAP_38 || op->map == MAP_3A) {
        *at++ = op->map == MAP_38 ? 0x38 : 0x3a;
    }
    *at++ = op->byte;
    if (has_modrm) {
        reg = op->ext != EXT_NONE ? op->ext - (unsigned)EXT_R0 : reg;
        *at++ = (uint8_t)(is_memory ? reg << 3 | 6 : 0xc0 | reg << 3 | rm);
    }
    for (unsigned k = 0; k < immediates; k++) {
        *at++ = (uint8_t)(below(2) ? random64() : below(8));
    }
    if (c->is_explicit) {
        *at++ = 0x5a;
    }
    c->size = (unsigned)(at - c->code);
    return true;
}

/* ---- on the host ---- */

static uint8_t *host_page;   /* code, and the data below at fixed distances */
static sigjmp_buf host_escape;
static uint8_t escaped_image[IMAGE_SIZE];

static void on_sigfpe(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)number, (void)info;
    memcpy(escaped_image, uc->uc_mcontext.fpregs, IMAGE_SIZE);
    siglongjmp(host_escape, 1);
}

static void run_host(const struct test_case *c, struct outcome *o)
{
    uint8_t *at = host_page, *source = host_page + 0x1000, *memory = host_page + 0x2000, *image = host_page + 0x3000;
    static const uint8_t restore[] = { 0x0f, 0xae, 0x0f }, save[] = { 0x0f, 0xae, 0x02, 0xc3 };
    volatile uint64_t eax = c->eax, ecx = c->ecx, eflags = 0x202;

    memset(o, 0, sizeof *o);
    memcpy(at, restore, 3);
    memcpy(at + 3, c->code, c->size);
    memcpy(at + 3 + c->size, save, 4);
    memcpy(source, c->image, IMAGE_SIZE);
    memcpy(memory, c->memory, MEMORY_SIZE);
    memset(image, 0, IMAGE_SIZE);
    if (sigsetjmp(host_escape, 1) == 0) {
        uint64_t a = eax, cc = ecx, flags = eflags;
        __asm__ volatile("pushq %[flags]\n\tpopfq\n\tcall *%[code]\n\tpushfq\n\tpopq %[flags]\n\tfninit\n\temms"
                         : "+a"(a), "+c"(cc), [flags] "+b"(flags)
                         : "D"(source), "S"(memory), "d"(image), [code] "r"((uintptr_t)at)
                         : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
        eax = a;
        ecx = cc;
        eflags = flags;
        memcpy(o->image, image, IMAGE_SIZE);
    } else {
        o->has_xm = true;
        memcpy(o->image, escaped_image, IMAGE_SIZE);
    }
    uint32_t mxcsr = 0x1f80;
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
    o->image[30] = 0; /* MXCSR_MASK: bit 17 is AMD's misaligned mode */
    memcpy(o->source, source, IMAGE_SIZE);
    memcpy(o->memory, memory, MEMORY_SIZE);
    o->eax = (uint32_t)eax;
    o->ecx = (uint32_t)ecx;
    o->eflags = (uint32_t)eflags & 0x8d5;
}

/* ---- here ---- */

static void run_guest(const struct test_case *c, struct outcome *o, bool is_generic)
{
    static const uint8_t restore[] = { 0x0f, 0xae, 0x0f }, save[] = { 0x0f, 0xae, 0x02 };
    uint8_t code[CODE_MAX + 8];

    memset(o, 0, sizeof *o);
    rig_flat(r, is_generic);
    memcpy(code, restore, 3);
    memcpy(code + 3, c->code, c->size);
    memcpy(code + 3 + c->size, save, 3);
    rig_poke(r, RIG_IN, c->image, IMAGE_SIZE);
    rig_poke(r, RIG_MEMORY, c->memory, MEMORY_SIZE);
    r->cpu->gpr[REG_AX] = c->eax;
    r->cpu->gpr[REG_CX] = c->ecx;
    cpu_set_eflags(r->cpu, FLAG_1);
    int vector = rig_run(r, code, c->size + 6, c->is_explicit ? 6 : 3);
    if (vector == VEC_XM) {
        /* The state at the fault. */
        r->cpu->halted_state = CPU_RUNNING;
        rig_poke(r, RIG_CODE + 3 + c->size, save, 3);
        r->cpu->rip = RIG_CODE + 3 + c->size;
        cpu_run(r->cpu, 1);
        o->has_xm = true;
    } else if (vector >= 0) {
        ck_abort_msg("exception %d", vector);
    }
    memcpy(o->image, r->ram + RIG_OUT, IMAGE_SIZE);
    memcpy(o->source, r->ram + RIG_IN, IMAGE_SIZE);
    memcpy(o->memory, r->ram + RIG_MEMORY, MEMORY_SIZE);
    o->eax = (uint32_t)r->cpu->gpr[REG_AX];
    o->ecx = (uint32_t)r->cpu->gpr[REG_CX];
    o->eflags = o->has_xm ? 0 : cpu_get_eflags(r->cpu) & 0x8d5;
}

/* ---- comparison ---- */

static void print_bytes(const char *name, const uint8_t *at, unsigned size)
{
    fprintf(stderr, "  %-8s", name);
    for (unsigned k = size; k-- > 0;) {
        fprintf(stderr, "%02x%s", at[k], k % 8 == 0 ? " " : "");
    }
    fprintf(stderr, "\n");
}

static bool differs(const struct outcome *host, const struct outcome *guest)
{
    return memcmp(host->image, guest->image, 6) != 0 || /* control, status, tags */
           memcmp(host->image + 24, guest->image + 24, IMAGE_COMPARED - 24) != 0 ||
           memcmp(host->source, guest->source, IMAGE_SIZE) != 0 ||
           memcmp(host->memory, guest->memory, MEMORY_SIZE) != 0 || host->has_xm != guest->has_xm ||
           (!host->has_xm && (host->eax != guest->eax || host->ecx != guest->ecx || host->eflags != guest->eflags));
}

static void report(const struct opcode *op, const struct test_case *c, const struct outcome *host,
                   const struct outcome *guest)
{
    uint32_t mxcsr;

    memcpy(&mxcsr, c->image + 24, 4);
    fprintf(stderr, "%s (%s):", op->mnemonic, op->stem);
    for (unsigned k = 0; k < c->size; k++) {
        fprintf(stderr, " %02x", c->code[k]);
    }
    fprintf(stderr, "  mxcsr %04x\n", (unsigned)mxcsr);
    print_bytes("memory", c->memory, 16);
    for (unsigned k = 0; k < 8; k++) {
        print_bytes("xmm", c->image + 160 + 16 * k, 16);
    }
    fprintf(stderr, "  eax %08x ecx %08x\n", (unsigned)c->eax, (unsigned)c->ecx);
    const struct outcome *both[2] = { host, guest };
    for (unsigned side = 0; side < 2; side++) {
        const struct outcome *o = both[side];
        memcpy(&mxcsr, o->image + 24, 4);
        fprintf(stderr, " %s: xm %d mxcsr %04x eax %08x ecx %08x eflags %03x\n", side ? "guest" : "host", o->has_xm,
                (unsigned)mxcsr, (unsigned)o->eax, (unsigned)o->ecx, (unsigned)o->eflags);
        for (unsigned at = 0; at < IMAGE_COMPARED; at += 16) {
            if (memcmp(host->image + at, guest->image + at, 16) != 0) {
                char name[16];
                snprintf(name, sizeof name, "[%u]", at);
                print_bytes(name, o->image + at, 16);
            }
        }
        if (memcmp(host->memory, guest->memory, 16) != 0) {
            print_bytes("memory", o->memory, 16);
        }
    }
}

static bool is_tested(const struct opcode *op)
{
    static const char *const features[] = { "MMX", "SSE", "SSE2", "SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT", "AES",
                                            "PCLMULQDQ" };
    static const char *const left_out[] = { "rcpps", "rcpss", "rsqrtps", "rsqrtss", "ldmxcsr", "stmxcsr", "fisttp" };
    bool is_feature = false;

    for (size_t k = 0; k < sizeof features / sizeof *features; k++) {
        is_feature |= strcmp(op->since, features[k]) == 0;
    }
    for (size_t k = 0; k < sizeof left_out / sizeof *left_out; k++) {
        is_feature &= strcmp(op->mnemonic, left_out[k]) != 0;
    }
    return is_feature;
}

static bool host_has_everything(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("popcnt");
}

START_TEST(rows_agree_with_the_host)
{
    const char *cases_text = getenv("SSE_CASES"), *only = getenv("SSE_ROW");
    unsigned cases = cases_text ? (unsigned)strtoul(cases_text, NULL, 10) : 400, failed = 0, rows = 0;
    struct sigaction action = { .sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO };

    if (!host_has_everything()) {
        fprintf(stderr, "skipped: this host lacks some of the instructions\n");
        return;
    }
    rig_open(&fixture, true);
    host_page = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                     -1, 0);
    ck_assert(host_page != MAP_FAILED);
    sigaction(SIGFPE, &action, NULL);
    for (size_t row = 0; row < opcode_count; row++) {
        const struct opcode *op = &opcodes[row];
        unsigned failed_here = 0, done = 0;
        if (!is_tested(op) || (only && strcmp(only, op->mnemonic) != 0)) {
            continue;
        }
        for (unsigned n = 0; n < 2 * cases && failed_here < 2; n++) {
            struct test_case c;
            struct outcome host, guest;
            memset(&c, 0, sizeof c);
            if (!encode(op, n & 1, &c)) {
                continue;
            }
            random_image(c.image);
            random_bytes(c.memory, MEMORY_SIZE);
            if (below(3) == 0) { /* equal operands at times */
                memcpy(c.memory, c.image + 160 + 16 * below(8), 16);
            }
            c.eax = (uint32_t)(below(2) ? random64() : below(40));
            c.ecx = (uint32_t)(below(2) ? random64() : below(40));
            run_host(&c, &host);
            run_guest(&c, &guest, n & 2);
            done++;
            if (differs(&host, &guest)) {
                report(op, &c, &host, &guest);
                failed_here++;
            }
        }
        ck_assert_msg(done || op->ext >= EXT_RR0, "%s was not tested", op->mnemonic);
        rows += done != 0;
        failed += failed_here != 0;
    }
    fprintf(stderr, "%u rows, %u failed\n", rows, failed);
    ck_assert_uint_eq(failed, 0);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("sse");
    TCase *tcase = tcase_create("host");

    tcase_set_timeout(tcase, 0);
#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)
    tcase_add_test(tcase, rows_agree_with_the_host);
#endif
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
