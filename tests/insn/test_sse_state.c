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
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
