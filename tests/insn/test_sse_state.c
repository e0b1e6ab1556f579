/* test_sse_state.c - FXSAVE, FXRSTOR, MXCSR, and when MMX and SSE instructions are allowed (SDM vol. 3, table 13-1). */
#include "support/insn_rig.h"

#include <check.h>
#include <string.h>

static struct insn_rig fixture;
static struct insn_rig *const r = &fixture;
static void setup(void) { rig_open(&fixture, true); }
static void teardown(void) { rig_close(&fixture); }

static uint32_t dword_at(unsigned address)
{
    const uint8_t *at = r->ram + address;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

START_TEST(saves_the_layout_of_table_3_43)
{
    /* fninit; fldpi; fldz; fxsave [esi] */
    memset(r->ram + RIG_MEMORY, 0x5a, 512);
    for (unsigned k = 0; k < 8; k++) {
        r->cpu->xmm[k].q[0] = 0x1111111111111111u * k + 1;
        r->cpu->xmm[k].q[1] = 0x1111111111111111u * k + 2;
    }
    r->cpu->mxcsr = 0x1fa0;
    ck_assert_int_eq(RIG_RUN(r, 4, 0xdb, 0xe3, 0xd9, 0xeb, 0xd9, 0xee, 0x0f, 0xae, 0x06), -1);
    ck_assert_uint_eq(dword_at(RIG_MEMORY), 0x3000037f);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 4), 0x000000c0); /* physical registers 7 and 6 are in use */
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 24), 0x1fa0);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 28), 0xffff);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 32 + 4), 0); /* ST(0) is 0, ST(1) pi */
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 48 + 4), 0xc90fdaa2);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 48 + 8), 0x4000);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 160 + 16), 0x11111112);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 160 + 7 * 16 + 8), 0x77777779);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 288), 0x5a5a5a5a); /* not written */
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 508), 0x5a5a5a5a);
}
END_TEST

START_TEST(restores_what_was_saved)
{
    RIG_RUN(r, 3, 0xdb, 0xe3, 0xd9, 0xeb, 0xd9, 0xe8);
    r->cpu->fpu.instruction_pointer = 0x12345678;
    r->cpu->fpu.instruction_selector = 8;
    r->cpu->fpu.data_pointer = 0x9abcdef0;
    r->cpu->fpu.data_selector = 0x23;
    r->cpu->fpu.opcode = 0x7ab;
    r->cpu->xmm[5].q[1] = 77;
    struct fpu fpu = r->cpu->fpu;
    union xmm_value xmm[XMM_COUNT];
    memcpy(xmm, r->cpu->xmm, sizeof xmm);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x06), -1);
    ck_assert_mem_eq(&fpu, &r->cpu->fpu, sizeof fpu); /* unlike FNSAVE it does not initialize */
    RIG_RUN(r, 1, 0xdb, 0xe3);
    memset(r->cpu->xmm, 0xee, 8 * sizeof *r->cpu->xmm);
    r->cpu->mxcsr = 0;
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x0e), -1);
    ck_assert_mem_eq(&fpu, &r->cpu->fpu, sizeof fpu);
    ck_assert_mem_eq(xmm, r->cpu->xmm, sizeof xmm);
    ck_assert_uint_eq(r->cpu->mxcsr, MXCSR_INIT);
}
END_TEST

START_TEST(without_osfxsr_sse_state_is_left_alone)
{
    r->cpu->cr4 = 0;
    cpu_loaded(r->cpu);
    memset(r->ram + RIG_MEMORY, 0x5a, 512);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x06), -1);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 24), 0x5a5a5a5a);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 160), 0x5a5a5a5a);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x0e), -1);
    ck_assert_uint_eq(r->cpu->mxcsr, MXCSR_INIT);
}
END_TEST

START_TEST(faults)
{
    static const uint8_t forms[] = { 0x06, 0x0e };
    for (unsigned k = 0; k < 2; k++) {
        uint8_t modrm = forms[k];
        rig_flat(r, k);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, (uint8_t)(modrm | 0x40), 8), VEC_GP); /* misaligned */
        ck_assert_int_eq(RIG_RUN(r, 1, 0xf0, 0x0f, 0xae, modrm), VEC_UD);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, (uint8_t)(modrm | 0xc0)), VEC_UD);
        rig_flat(r, false);
        r->cpu->seg[SEG_DS].limit = RIG_MEMORY + 510;
        cpu_loaded(r->cpu);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, modrm), VEC_GP);
        rig_flat(r, false);
        r->cpu->cr0 |= CR0_TS;
        cpu_loaded(r->cpu);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, modrm), VEC_NM);
        rig_flat(r, false);
        r->cpu->cr0 |= CR0_EM;
        cpu_loaded(r->cpu);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, modrm), VEC_NM);
    }
    /* A reserved MXCSR bit: nothing is loaded. */
    rig_flat(r, false);
    RIG_RUN(r, 1, 0x0f, 0xae, 0x06);
    rig_poke_dword(r, RIG_MEMORY + 24, 0x11f80);
    r->cpu->fpu.control = 0x37f;
    rig_poke(r, RIG_MEMORY, "\x70\x03", 2);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x0e), VEC_GP);
    ck_assert_uint_eq(r->cpu->fpu.control, 0x37f);
}
END_TEST

START_TEST(mxcsr)
{
    rig_poke_dword(r, RIG_MEMORY, 0xbfc0);
    ck_assert_int_eq(RIG_RUN(r, 2, 0x0f, 0xae, 0x16, 0x0f, 0xae, 0x5e, 0x04), -1);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 4), 0xbfc0);
    rig_poke_dword(r, RIG_MEMORY, 0x10000);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x16), VEC_GP);
    ck_assert_uint_eq(r->cpu->mxcsr, 0xbfc0);
    r->cpu->cr4 = 0;
    cpu_loaded(r->cpu);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x5e, 0x04), VEC_UD);
    rig_flat(r, false);
    r->cpu->cr0 |= CR0_TS;
    cpu_loaded(r->cpu);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x5e, 0x04), VEC_NM);
    /* CLTS makes them work again; EM goes before TS. */
    ck_assert_int_eq(RIG_RUN(r, 2, 0x0f, 0x06, 0x0f, 0xae, 0x5e, 0x04), -1);
    r->cpu->cr0 |= CR0_EM | CR0_TS;
    cpu_loaded(r->cpu);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x5e, 0x04), VEC_UD);
}
END_TEST

/* pxor xmm0,xmm0; divss xmm0,xmm0 is invalid: masked, unmasked, and without CR4.OSXMMEXCPT. */
START_TEST(simd_exceptions)
{
    static const uint8_t code[] = { 0x66, 0x0f, 0xef, 0xc0, 0xf3, 0x0f, 0x5e, 0xc0 };
    ck_assert_int_eq(rig_run(r, code, sizeof code, 2), -1);
    ck_assert_uint_eq(r->cpu->xmm[0].q[0], 0xffc00000);
    ck_assert_uint_eq(r->cpu->mxcsr, 0x1f81);
    r->cpu->mxcsr = 0x1f00;
    ck_assert_int_eq(rig_run(r, code, sizeof code, 2), VEC_XM);
    ck_assert_uint_eq(r->cpu->xmm[0].q[0], 0);
    ck_assert_uint_eq(r->cpu->mxcsr, 0x1f01);
    r->cpu->cr4 = CR4_OSFXSR;
    cpu_loaded(r->cpu);
    ck_assert_int_eq(rig_run(r, code, sizeof code, 2), VEC_UD);
}
END_TEST

/* 16-byte operands: aligned or #GP(0), whatever the form; MOVUPS, and MMX, need none. */
START_TEST(alignment)
{
    for (unsigned generic = 0; generic < 2; generic++) {
        rig_flat(r, generic);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x66, 0x0f, 0xfc, 0x46, 0x10), -1); /* paddb xmm0,[esi+10h] */
        ck_assert_int_eq(RIG_RUN(r, 1, 0x66, 0x0f, 0xfc, 0x46, 0x18), VEC_GP);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x29, 0x46, 0x18), VEC_GP); /* movaps [esi+18h],xmm0 */
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x11, 0x46, 0x19), -1);     /* movups [esi+19h],xmm0 */
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x10, 0x86, 0xf9, 0x0f, 0, 0), -1); /* movups across a page */
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xfc, 0x46, 0x19), -1);     /* paddb mm0,[esi+19h] */
    }
}
END_TEST

/* MMX: CR0.EM is #UD, TS #NM, a pending x87 exception #MF; and what is left of the x87 (SDM vol. 3, table 12-1). */
START_TEST(mmx_and_x87)
{
    static const struct { uint32_t cr0; int vector; } rows[] = { { CR0_EM, VEC_UD }, { CR0_TS, VEC_NM } };
    for (unsigned k = 0; k < 2; k++) {
        rig_flat(r, false);
        r->cpu->cr0 |= rows[k].cr0;
        cpu_loaded(r->cpu);
        ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x6f, 0x06), rows[k].vector);
    }
    rig_flat(r, false);
    r->cpu->cr4 = 0; /* OSFXSR does not matter */
    cpu_loaded(r->cpu);
    /* fninit; fldpi; movd mm1, esi */
    ck_assert_int_eq(RIG_RUN(r, 3, 0xdb, 0xe3, 0xd9, 0xeb, 0x0f, 0x6e, 0xce), -1);
    ck_assert_uint_eq(r->cpu->fpu.top, 0);
    ck_assert_uint_eq(r->cpu->fpu.empty, 0);
    ck_assert_uint_eq(r->cpu->fpu.mantissa[1], RIG_MEMORY);
    ck_assert_uint_eq(r->cpu->fpu.sign_exp[1], 0xffff);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x77), -1); /* emms */
    ck_assert_uint_eq(r->cpu->fpu.empty, 0xff);
    r->cpu->fpu.status = 0x81;
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x77), VEC_MF);
    /* A fault leaves the x87 as it was. */
    r->cpu->fpu.status = 0;
    r->cpu->fpu.top = 3;
    r->cpu->seg[SEG_DS].limit = RIG_MEMORY;
    cpu_loaded(r->cpu);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0x6f, 0x06), VEC_GP);
    ck_assert_uint_eq(r->cpu->fpu.top, 3);
    ck_assert_uint_eq(r->cpu->fpu.empty, 0xff);
}
END_TEST

START_TEST(xsave)
{
    static const uint8_t getbv[] = { 0x0f, 0x01, 0xd0 }, setbv[] = { 0x31, 0xd2, 0x0f, 0x01, 0xd1 }; /* xor edx,edx */
    r->cpu->gpr[REG_CX] = 0;
    ck_assert_int_eq(rig_run(r, getbv, 3, 1), VEC_UD);
    r->cpu->cr4 |= CR4_OSXSAVE;
    cpu_loaded(r->cpu);
    ck_assert_int_eq(rig_run(r, getbv, 3, 1), -1);
    ck_assert_uint_eq(r->cpu->gpr[REG_AX], 1);
    r->cpu->gpr[REG_AX] = 2; /* x87 must be on */
    ck_assert_int_eq(rig_run(r, setbv, 5, 2), VEC_GP);
    r->cpu->gpr[REG_AX] = 7; /* no AVX */
    ck_assert_int_eq(rig_run(r, setbv, 5, 2), VEC_GP);
    r->cpu->gpr[REG_AX] = 3;
    ck_assert_int_eq(rig_run(r, setbv, 5, 2), -1);
    r->cpu->gpr[REG_CX] = 1; /* what is in use */
    ck_assert_int_eq(rig_run(r, getbv, 3, 1), -1);
    ck_assert_uint_eq(r->cpu->gpr[REG_AX], 3);
    r->cpu->gpr[REG_CX] = 2;
    ck_assert_int_eq(rig_run(r, getbv, 3, 1), VEC_GP);
    r->cpu->gpr[REG_CX] = 0;
    /* Only what is asked for: XMM, not x87. EDX is not 0, but those bits are not in XCR0. */
    memset(r->ram + RIG_MEMORY, 0x5a, 576);
    memset(r->ram + RIG_MEMORY + 512, 0, 64);
    r->cpu->xmm[2].q[0] = 0x1234;
    r->cpu->gpr[REG_AX] = 2;
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x26), -1);
    ck_assert_uint_eq(dword_at(RIG_MEMORY), 0x5a5a5a5a);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 24), MXCSR_INIT);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 160 + 32), 0x1234);
    ck_assert_uint_eq(dword_at(RIG_MEMORY + 512), 2);
    /* XRSTOR: x87 is not in the image and becomes initial. */
    r->cpu->fpu.control = 0x123;
    r->cpu->xmm[2].q[0] = 0;
    r->cpu->gpr[REG_AX] = 3;
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x2e), -1);
    ck_assert_uint_eq(r->cpu->fpu.control, 0x37f);
    ck_assert_uint_eq(r->cpu->fpu.empty, 0xff);
    ck_assert_uint_eq(r->cpu->xmm[2].q[0], 0x1234);
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x6e, 0x20), VEC_GP); /* 64-byte alignment */
    r->ram[RIG_MEMORY + 512] = 4;                                    /* a component that is not enabled */
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x2e), VEC_GP);
    r->ram[RIG_MEMORY + 512] = 3;
    r->ram[RIG_MEMORY + 527] = 0x80; /* the compacted form */
    ck_assert_int_eq(RIG_RUN(r, 1, 0x0f, 0xae, 0x2e), VEC_GP);
}
END_TEST

/* The same seed gives the same numbers; other seeds others. */
START_TEST(random_numbers)
{
    static const uint8_t code[] = { 0x0f, 0xc7, 0xf0, 0x66, 0x0f, 0xc7, 0xf9 }; /* rdrand eax; rdseed cx */
    uint64_t first[2], second[2];
    for (unsigned round = 0; round < 3; round++) {
        cpu_seed_random(r->cpu, round == 2 ? 8 : 7);
        r->cpu->gpr[REG_CX] = 0xabcd0000;
        cpu_set_eflags(r->cpu, FLAG_1 | FLAG_ZF | FLAG_OF);
        ck_assert_int_eq(rig_run(r, code, sizeof code, 2), -1);
        ck_assert_uint_eq(cpu_get_eflags(r->cpu) & FLAGS_STATUS, FLAG_CF);
        ck_assert_uint_eq(r->cpu->gpr[REG_CX] >> 16, 0xabcd);
        memcpy(round ? second : first, (uint64_t[2]){ r->cpu->gpr[REG_AX], r->cpu->gpr[REG_CX] }, sizeof first);
        ck_assert(round == 0 || (memcmp(first, second, sizeof first) == 0) == (round == 1));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sse_state");
    TCase *tcase = tcase_create("state");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, saves_the_layout_of_table_3_43);
    tcase_add_test(tcase, restores_what_was_saved);
    tcase_add_test(tcase, without_osfxsr_sse_state_is_left_alone);
    tcase_add_test(tcase, faults);
    tcase_add_test(tcase, mxcsr);
    tcase_add_test(tcase, simd_exceptions);
    tcase_add_test(tcase, alignment);
    tcase_add_test(tcase, mmx_and_x87);
    tcase_add_test(tcase, xsave);
    tcase_add_test(tcase, random_numbers);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
