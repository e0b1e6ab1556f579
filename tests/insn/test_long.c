/* test_long.c - IA-32e mode at level 0 and what only the supervisor sees of it: paging rights, system calls, interrupt stacks, the
 * instructions that came with 64-bit processors. What user mode sees is compared with the host (tests/oracle, --code64). */
#include "support/insn_rig.h"
#include "tests/support/isa_cases.h"

#include "cpu/system.h"

#include <check.h>
#include <string.h>

/* Page tables: linear 0 to FFFFh is RAM, a page each; 2 MiB and 1 GiB pages at 200000h and 40000000h are the same RAM again. */
enum { PML4 = 0x9000, PDPT = 0xa000, PD = 0xb000, PT = 0xc000, TSS = 0x700, USER_PAGE = 0x5000, IST_TOP = 0x6000 };
enum { P = 1, W = 2, U = 4, PS = 0x80 };
enum { CODE64 = 8, DATA = 16, USER_DATA = 0x20, USER_CODE64 = 0x28 };

static struct insn_rig fixture;
static struct insn_rig *const r = &fixture;
static struct cpu *cpu;

static void put64(unsigned at, uint64_t value)
{
    rig_poke_dword(r, at, (uint32_t)value);
    rig_poke_dword(r, at + 4, (uint32_t)(value >> 32));
}

static uint64_t get64(unsigned at)
{
    uint64_t value = 0;

    for (unsigned k = 8; k-- > 0;) {
        value = value << 8 | r->ram[at + k];
    }
    return value;
}

static void setup(void)
{
    rig_open(r, true);
    cpu = r->cpu;
    put64(PML4, PDPT | P | W | U);
    put64(PML4 + 8 * 511, PDPT | P | W | U);
    put64(PDPT, PD | P | W | U);
    put64(PDPT + 8, P | W | PS); /* 1 GiB at 40000000h */
    put64(PD, PT | P | W | U);
    put64(PD + 8, P | W | PS); /* 2 MiB at 200000h */
    for (unsigned page = 0; page < 16; page++) {
        put64(PT + 8 * page, page * 4096u | P | W | (page * 4096 == USER_PAGE ? U : 0));
    }
    static const uint64_t gdt[] = { 0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff), UINT64_C(0x00cffb000000ffff),
                                    UINT64_C(0x00cff3000000ffff), UINT64_C(0x00affb000000ffff) };
    for (unsigned k = 0; k < 6; k++) {
        put64(RIG_GDT + 8 * k, gdt[k]);
    }
    cpu->gdtr.limit = 47;
    for (unsigned vector = 0; vector < 32; vector++) {
        put64(RIG_IDT + 16 * vector, (uint64_t)(RIG_HANDLERS + vector) | CODE64 << 16 | UINT64_C(0x8e00) << 32);
        put64(RIG_IDT + 16 * vector + 8, 0);
    }
    cpu->idtr.limit = 511;
    put64(TSS + 4, RIG_STACK_TOP - 0x100);
    put64(TSS + 36, IST_TOP);
    cpu->seg[SEG_TR] = (struct segment){ .base = TSS, .limit = 0x67, .attributes = ATTR_P | 11, .selector = 0x40 };
    cpu->seg[SEG_CS].attributes = ATTR_P | ATTR_S | ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED | ATTR_L | ATTR_G;
    cpu->cr0 |= CR0_PG | CR0_WP;
    cpu->cr3 = PML4;
    cpu->cr4 |= CR4_PAE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu_loaded(cpu);
}
static void teardown(void) { rig_close(r); }

/* Runs code at level 0 in 64-bit mode; the vector of the exception that was taken, or -1. */
static int run(const uint8_t *code, size_t size, unsigned count)
{
    isa_cases_in(code, size, MODE_PROTECTED | MODE_CODE64, count, 1);
    rig_poke(r, RIG_CODE, code, size);
    cpu->rip = RIG_CODE;
    cpu->halted_state = CPU_RUNNING;
    cpu->gpr[REG_SP] = RIG_STACK_TOP;
    cpu_run(cpu, count);
    uint64_t rip = cpu->rip - (cpu->halted_state == CPU_HALTED ? 1 : 0);
    return rip >= RIG_HANDLERS && rip < RIG_HANDLERS + 32 ? (int)(rip - RIG_HANDLERS) : -1;
}
#define RUN(count, ...)                                                                                                \
    run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), count)

START_TEST(pages_of_all_sizes)
{
    rig_poke_dword(r, RIG_MEMORY, 0x12345678);
    cpu->gpr[REG_BX] = 0x200000 + RIG_MEMORY;
    ck_assert_int_eq(RUN(1, 0x8b, 0x03), -1); /* mov eax, [rbx] */
    ck_assert_uint_eq(cpu->gpr[REG_AX], 0x12345678);
    cpu->gpr[REG_BX] = 0x40000000 + RIG_MEMORY;
    ck_assert_int_eq(RUN(1, 0x48, 0x8b, 0x0b), -1); /* mov rcx, [rbx] */
    ck_assert_uint_eq(cpu->gpr[REG_CX], 0x12345678);
    cpu->gpr[REG_BX] = UINT64_C(0xffffff8040000000) + RIG_MEMORY; /* by the last entry of the PML4 */
    ck_assert_int_eq(RUN(1, 0x44, 0x8b, 0x3b), -1); /* mov r15d, [rbx] */
    ck_assert_uint_eq(cpu->gpr[15], 0x12345678);
    put64(PDPT + 8, P | W | PS | 0x2000); /* a reserved bit below the 1 GiB page's address */
    cpu_loaded(cpu);
    ck_assert_int_eq(RUN(1, 0x8b, 0x03), VEC_PF);
    ck_assert_uint_eq(get64((unsigned)cpu->gpr[REG_SP]), 9); /* present, reserved */
    ck_assert_uint_eq(cpu->cr2, UINT64_C(0xffffff8040000000) + RIG_MEMORY);
}
END_TEST

START_TEST(canonical_addresses)
{
    cpu->gpr[REG_BX] = UINT64_C(0x800000000000);
    ck_assert_int_eq(RUN(1, 0x8b, 0x03), VEC_GP); /* mov eax, [rbx] */
    ck_assert_uint_eq(get64((unsigned)cpu->gpr[REG_SP]), 0);
    ck_assert_uint_eq(get64((unsigned)cpu->gpr[REG_SP] + 8), RIG_CODE);
    cpu->gpr[REG_BP] = UINT64_C(0x7ffffffffffd); /* its end is not canonical */
    ck_assert_int_eq(RUN(1, 0x8b, 0x45, 0x00), VEC_SS); /* mov eax, [rbp] */
    cpu->gpr[REG_AX] = UINT64_C(1) << 62;
    ck_assert_int_eq(RUN(1, 0xff, 0xe0), VEC_GP); /* jmp rax */
    ck_assert_uint_eq(get64((unsigned)cpu->gpr[REG_SP] + 8), RIG_CODE);
    ck_assert_int_eq(RUN(1, 0xff, 0xd0), VEC_GP); /* call rax */
}
END_TEST

START_TEST(rights_of_pages)
{
    cpu->gpr[REG_BX] = USER_PAGE;
    cpu->cr4 |= CR4_SMAP | CR4_SMEP;
    cpu_loaded(cpu);
    ck_assert_int_eq(RUN(1, 0x8b, 0x03), VEC_PF); /* mov eax, [rbx] */
    ck_assert_int_eq(RUN(2, 0x0f, 0x01, 0xcb, 0x8b, 0x03), -1); /* stac */
    ck_assert_int_eq(RUN(2, 0x0f, 0x01, 0xca, 0x8b, 0x03), VEC_PF); /* clac */
    ck_assert_int_eq(RUN(2, 0xff, 0xe3), VEC_PF); /* jmp rbx: SMEP, at the target */
    ck_assert_uint_eq(get64((unsigned)cpu->gpr[REG_SP]), 0x11); /* present, fetch */
    cpu->cr4 &= ~(CR4_SMAP | CR4_SMEP);
    put64(PT + 8 * (USER_PAGE / 4096), USER_PAGE | P | W | U | UINT64_C(1) << 63);
    cpu_loaded(cpu);
    ck_assert_int_eq(RUN(2, 0xff, 0xe3), VEC_PF); /* NX */
    /* Protection key 5 of the page; keys count in IA-32e mode. */
    put64(PT + 8 * (USER_PAGE / 4096), USER_PAGE | P | W | U | UINT64_C(5) << 59);
    cpu->cr4 |= CR4_PKE;
    cpu_loaded(cpu);
    cpu->gpr[REG_CX] = cpu->gpr[REG_DX] = 0;
    cpu->gpr[REG_AX] = 1u << 11; /* writes are disabled */
    ck_assert_int_eq(RUN(2, 0x0f, 0x01, 0xef, 0x8b, 0x0b), -1); /* wrpkru; mov ecx, [rbx] */
    cpu->gpr[REG_CX] = 0;
    ck_assert_int_eq(RUN(1, 0x0f, 0x01, 0xee), -1); /* rdpkru */
    ck_assert_uint_eq(cpu->gpr[REG_AX], 1u << 11);
    ck_assert_int_eq(RUN(1, 0x89, 0x03), VEC_PF); /* mov [rbx], eax */
    ck_assert_uint_eq(get64((unsigned)cpu->gpr[REG_SP]), 0x23); /* key, write, present */
}
END_TEST

START_TEST(interrupt_stacks)
{
    put64(RIG_IDT + 16 * VEC_UD, get64(RIG_IDT + 16 * VEC_UD) | UINT64_C(1) << 32); /* IST 1 */
    ck_assert_int_eq(RUN(1, 0x0f, 0x0b), VEC_UD); /* ud2 */
    ck_assert_uint_eq(cpu->gpr[REG_SP], IST_TOP - 40);
    ck_assert_uint_eq(get64(IST_TOP - 40), RIG_CODE);
    ck_assert_uint_eq(get64(IST_TOP - 16), RIG_STACK_TOP);
    /* A frame below a misaligned stack is aligned; IRETQ gives the pointer back. */
    ck_assert_int_eq(RUN(3, 0x48, 0x83, 0xec, 0x03, 0xcc), VEC_BP); /* sub rsp, 3; int3 */
    ck_assert_uint_eq(cpu->gpr[REG_SP] & 15, 8);
    rig_poke(r, RIG_CODE + 64, (const uint8_t[]){ 0x48, 0xcf }, 2);
    cpu->rip = RIG_CODE + 64;
    cpu->halted_state = CPU_RUNNING;
    cpu_run(cpu, 1);
    ck_assert_uint_eq(cpu->gpr[REG_SP], RIG_STACK_TOP - 3);
    ck_assert_uint_eq(cpu->rip, RIG_CODE + 5);
}
END_TEST

START_TEST(system_calls)
{
    cpu->star = (uint64_t)CODE64 << 32 | (uint64_t)(USER_CODE64 - 16) << 48;
    cpu->lstar = RIG_CODE + 0x80;
    cpu->fmask = FLAG_IF | FLAG_DF;
    put64(PT + 8 * (RIG_CODE / 4096), RIG_CODE | P | W | U);
    cpu_loaded(cpu);
    rig_poke(r, RIG_CODE + 0x80, (const uint8_t[]){ 0xf4 }, 1);
    cpu->gpr[REG_CX] = RIG_CODE + 3;
    cpu->gpr[11] = FLAG_IF | FLAG_DF | FLAG_1;
    ck_assert_int_eq(RUN(1, 0x48, 0x0f, 0x07, 0x0f, 0x05), -1); /* sysretq; syscall */
    ck_assert_uint_eq(cpu->cpl, 3);
    ck_assert_uint_eq(cpu->seg[SEG_CS].selector, USER_CODE64 | 3);
    ck_assert_uint_eq(cpu->seg[SEG_SS].selector, USER_DATA | 3);
    ck_assert_uint_eq(cpu->rip, RIG_CODE + 3);
    cpu_run(cpu, 1);
    ck_assert_uint_eq(cpu->cpl, 0);
    ck_assert_uint_eq(cpu->rip, RIG_CODE + 0x80);
    ck_assert_uint_eq(cpu->gpr[REG_CX], RIG_CODE + 5);
    ck_assert_uint_eq(cpu->gpr[11], FLAG_IF | FLAG_DF | FLAG_1);
    ck_assert_uint_eq(cpu_get_eflags(cpu) & (FLAG_IF | FLAG_DF), 0);
    cpu->gpr[REG_CX] = UINT64_C(0x800000000000);
    ck_assert_int_eq(RUN(1, 0x48, 0x0f, 0x07), VEC_GP);
    cpu->efer &= ~EFER_SCE;
    ck_assert_int_eq(RUN(1, 0x0f, 0x05), VEC_UD);
}
END_TEST

START_TEST(segment_bases)
{
    cpu->seg[SEG_GS].base = 0x1111;
    cpu->kernel_gs_base = RIG_MEMORY;
    cpu_loaded(cpu);
    rig_poke_dword(r, RIG_MEMORY + 8, 0xabcd);
    /* swapgs; mov eax, gs:[8] */
    ck_assert_int_eq(RUN(2, 0x0f, 0x01, 0xf8, 0x65, 0x8b, 0x04, 0x25, 8, 0, 0, 0), -1);
    ck_assert_uint_eq(cpu->gpr[REG_AX], 0xabcd);
    ck_assert_uint_eq(cpu->kernel_gs_base, 0x1111);
    ck_assert_int_eq(RUN(1, 0xf3, 0x48, 0x0f, 0xae, 0xc8), VEC_UD); /* rdgsbase rax without CR4.FSGSBASE */
    cpu->cr4 |= CR4_FSGSBASE;
    cpu->gpr[REG_BX] = RIG_MEMORY;
    /* wrfsbase rbx; rdfsbase rcx; wrgsbase rbx; rdgsbase edx; mov eax, fs:[8] */
    ck_assert_int_eq(RUN(5, 0xf3, 0x48, 0x0f, 0xae, 0xd3, 0xf3, 0x48, 0x0f, 0xae, 0xc1, 0xf3, 0x48, 0x0f, 0xae, 0xdb, 0xf3,
                         0x0f, 0xae, 0xca, 0x64, 0x8b, 0x04, 0x25, 8, 0, 0, 0), -1);
    ck_assert_uint_eq(cpu->gpr[REG_CX], RIG_MEMORY);
    ck_assert_uint_eq(cpu->gpr[REG_DX], RIG_MEMORY);
    ck_assert_uint_eq(cpu->gpr[REG_AX], 0xabcd);
    cpu->gpr[REG_BX] = UINT64_C(1) << 50;
    ck_assert_int_eq(RUN(1, 0xf3, 0x48, 0x0f, 0xae, 0xd3), VEC_GP);
}
END_TEST

START_TEST(small_instructions)
{
    cpu->tsc_aux = 77;
    ck_assert_int_eq(RUN(2, 0x0f, 0x01, 0xf9, 0xf3, 0x0f, 0xc7, 0xfb), -1); /* rdtscp; rdpid rbx */
    ck_assert_uint_eq(cpu->gpr[REG_CX], 77);
    ck_assert_uint_eq(cpu->gpr[REG_BX], 77);
    cpu->gpr[REG_BX] = RIG_MEMORY;
    memset(r->ram + RIG_MEMORY, 0, 16);
    cpu->gpr[REG_AX] = 2; /* of all processes, global pages too */
    ck_assert_int_eq(RUN(1, 0x66, 0x0f, 0x38, 0x82, 0x03), -1); /* invpcid rax, [rbx] */
    cpu->gpr[REG_AX] = 4;
    ck_assert_int_eq(RUN(1, 0x66, 0x0f, 0x38, 0x82, 0x03), VEC_GP);
    ck_assert_int_eq(RUN(2, 0x0f, 0x0d, 0x0b, 0x0f, 0x0d, 0x03), -1); /* prefetchw, prefetch [rbx] */
    /* mov cr8, rax; mov rcx, cr8 */
    cpu->gpr[REG_AX] = 9;
    ck_assert_int_eq(RUN(2, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc1), -1);
    ck_assert_uint_eq(cpu->gpr[REG_CX], 9);
}
END_TEST

START_TEST(monitor_and_mwait)
{
    cpu->gpr[REG_AX] = RIG_MEMORY;
    cpu->gpr[REG_CX] = cpu->gpr[REG_DX] = 0;
    ck_assert_int_eq(RUN(2, 0x0f, 0x01, 0xc8, 0x0f, 0x01, 0xc9), -1);
    ck_assert_uint_eq(cpu->halted_state, CPU_HALTED);
    ck_assert(!cpu_has_work(cpu));
    rig_poke_dword(r, RIG_MEMORY + 60, 1); /* in the line */
    ck_assert(cpu_has_work(cpu));
    rig_poke(r, RIG_CODE + 6, (const uint8_t[]){ 0x90 }, 1);
    cpu_run(cpu, 1);
    ck_assert_uint_eq(cpu->rip, RIG_CODE + 7);
}
END_TEST

START_TEST(state_components)
{
    cpu->cr4 |= CR4_OSXSAVE | CR4_PKE;
    cpu->xcr0 = XCR0_X87 | XCR0_SSE | XCR0_PKRU;
    cpu->pkru = 0x1234;
    cpu->xmm[13].q[1] = 99;
    cpu_loaded(cpu);
    memset(r->ram + RIG_MEMORY, 0, 1024);
    cpu->gpr[REG_BX] = RIG_MEMORY;
    cpu->gpr[REG_AX] = 0xffffffff;
    cpu->gpr[REG_DX] = 0;
    ck_assert_int_eq(RUN(1, 0x48, 0x0f, 0xc7, 0x23), -1); /* xsavec64 [rbx] */
    ck_assert_uint_eq(get64(RIG_MEMORY + 512), 0x203);
    ck_assert_uint_eq(get64(RIG_MEMORY + 520), UINT64_C(1) << 63 | 0x203);
    ck_assert_uint_eq(get64(RIG_MEMORY + 576), 0x1234); /* right behind the header: there is no AVX */
    ck_assert_uint_eq(get64(RIG_MEMORY + 160 + 16 * 13 + 8), 99);
    cpu->pkru = 0;
    memset(cpu->xmm, 0, sizeof cpu->xmm);
    ck_assert_int_eq(RUN(1, 0x48, 0x0f, 0xae, 0x2b), -1); /* xrstor64 [rbx] */
    ck_assert_uint_eq(cpu->pkru, 0x1234);
    ck_assert_uint_eq(cpu->xmm[13].q[1], 99);
    cpu->pkru = 0;
    memset(r->ram + RIG_MEMORY, 0, 1024);
    ck_assert_int_eq(RUN(1, 0x48, 0x0f, 0xae, 0x33), -1); /* xsaveopt64 [rbx] */
    ck_assert_uint_eq(get64(RIG_MEMORY + 512), 3); /* PKRU is in its initial state */
}
END_TEST

START_TEST(modes_change_as_they_must)
{
    ck_assert_int_eq(RUN(3, 0x0f, 0x20, 0xc0, 0x0f, 0xba, 0xf0, 0x1f, 0x0f, 0x22, 0xc0), VEC_GP); /* clearing PG in 64-bit code */
    ck_assert_int_eq(RUN(3, 0x0f, 0x20, 0xe0, 0x83, 0xe0, 0xdf, 0x0f, 0x22, 0xe0), VEC_GP); /* clearing PAE */
    cpu->gpr[REG_CX] = 0xc0000080u;
    cpu->gpr[REG_AX] = 0;
    cpu->gpr[REG_DX] = 0;
    ck_assert_int_eq(RUN(1, 0x0f, 0x30), VEC_GP); /* EFER.LME with paging on */
    ck_assert_int_eq(RUN(1, 0x06), VEC_UD); /* push es */
    ck_assert_int_eq(RUN(1, 0x9a, 0, 0, 0, 0, 8, 0), VEC_UD); /* call far */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("long");
    TCase *tcase = tcase_create("long");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, pages_of_all_sizes);
    tcase_add_test(tcase, canonical_addresses);
    tcase_add_test(tcase, rights_of_pages);
    tcase_add_test(tcase, interrupt_stacks);
    tcase_add_test(tcase, system_calls);
    tcase_add_test(tcase, segment_bases);
    tcase_add_test(tcase, small_instructions);
    tcase_add_test(tcase, monitor_and_mwait);
    tcase_add_test(tcase, state_components);
    tcase_add_test(tcase, modes_change_as_they_must);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
