/* test_undefined.c - which encodings are undefined: every opcode of one, two and three bytes, with each mandatory prefix and
 * LOCK, every ModRM register form and every /reg of the memory form, in 32-bit and 16-bit code.
 *
 * Each is executed at level 3 under TF; the answer is whether #UD came at its first byte. It must be what capstone says, which
 * knows nothing of our table; where the two may differ is in `rules`, by rule and with its source. LOCK is judged by the
 * list of SDM vol. 2, LOCK, on what capstone disassembles. Lengths must be capstone's as well. */
#include "cpu/model.h"
#include "tests/oracle/oracle.h"
#include "tests/support/isa_cases.h"

#include <capstone/capstone.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

/* An encoding: prefixes, map, opcode and ModRM, and filling for whatever may follow. */
struct encoding {
    uint8_t bytes[16];
    uint8_t size, opcode_at;
    uint8_t prefix; /* 0, 66, F2, F3 */
    bool has_lock;
    uint8_t map, byte, modrm;
};

static unsigned reg_of(const struct encoding *e) { return e->modrm >> 3 & 7; }
static bool is_register(const struct encoding *e) { return e->modrm >= 0xc0; }

/* ---- where capstone and the processor may differ ---- */

enum { ALWAYS = 0xffff };

/* Instructions of extensions that CPUID does not report here are undefined: by capstone's group, or by name. */
static const struct {
    uint8_t group;
    const char *name;
    unsigned feature; /* undefined where the model lacks it; ALWAYS: here in any case */
} absent_groups[] = {
    { X86_GRP_3DNOW, "3DNow!", ALWAYS }, { X86_GRP_AVX, "AVX", ALWAYS },       { X86_GRP_AVX2, "AVX2", ALWAYS },   { X86_GRP_AVX512, "AVX-512", ALWAYS },
    { X86_GRP_BMI, "BMI1", FEATURE_BMI1 },     { X86_GRP_BMI2, "BMI2", FEATURE_BMI2 },     { X86_GRP_F16C, "F16C", ALWAYS },   { X86_GRP_FMA, "FMA", ALWAYS },
    { X86_GRP_FMA4, "FMA4", ALWAYS },    { X86_GRP_FSGSBASE, "FSGSBASE", ALWAYS }, { X86_GRP_HLE, "HLE", ALWAYS }, { X86_GRP_RTM, "RTM", ALWAYS },
    { X86_GRP_SHA, "SHA", FEATURE_SHA_NI },      { X86_GRP_SMAP, "SMAP", ALWAYS },     { X86_GRP_SSE4A, "SSE4a", ALWAYS }, { X86_GRP_TBM, "TBM", ALWAYS },
    { X86_GRP_VM, "VMX, SVM", ALWAYS },  { X86_GRP_XOP, "XOP", ALWAYS },       { X86_GRP_ADX, "ADX", FEATURE_ADX },     { X86_GRP_ERI, "AVX-512ER", ALWAYS },
    { X86_GRP_PFI, "AVX-512PF", ALWAYS }, { X86_GRP_VLX, "AVX-512VL", ALWAYS }, { X86_GRP_DQI, "AVX-512DQ", ALWAYS }, { X86_GRP_BWI, "AVX-512BW", ALWAYS },
};
struct named_rule {
    const char *why;
    unsigned feature; /* undefined where the model lacks it; ALWAYS: here in any case */
    const char *names[12];
};
static const struct named_rule absent_names[] = {
    { "at levels other than 0 (SDM vol. 2, MONITOR, MWAIT, CLAC, STAC)", ALWAYS, { "monitor", "mwait", "clac", "stac" } },
    { "SGX (CPUID.7.0:EBX.2)", ALWAYS, { "encls", "enclu" } },
    { "RTM, HLE (CPUID.7.0:EBX)", ALWAYS, { "xtest", "xbegin", "xabort", "xend" } },
    { "RDTSCP (CPUID.80000001h:EDX.27)", FEATURE_RDTSCP, { "rdtscp" } },
    { "PREFETCHW (CPUID.80000001h:ECX.8)", FEATURE_PREFETCHW, { "prefetchw", "prefetch" } },
    { "MOVBE (CPUID.1:ECX.22)", FEATURE_MOVBE, { "movbe" } },
    { "INVPCID (CPUID.7.0:EBX.10)", FEATURE_INVPCID, { "invpcid" } },
    { "SMX (CPUID.1:ECX.6)", ALWAYS, { "getsec" } },
    { "VIA PadLock, of other processors", ALWAYS, { "montmul", "xsha1", "xsha256", "xstorerng", "xcryptecb", "xcryptcbc", "xcryptctr",
                                                    "xcryptcfb", "xcryptofb" } },
    { "CLWB, CLFLUSHOPT, PCOMMIT (CPUID.7.0:EBX)", ALWAYS, { "clwb", "clflushopt", "pcommit" } },
    { "only in 64-bit mode (SDM vol. 2, SYSCALL, SYSRET, SWAPGS)", ALWAYS, { "syscall", "sysret", "swapgs" } },
    { "CR4.OSXSAVE is clear (SDM vol. 2, XSAVE, XGETBV)", ALWAYS, { "xsave", "xrstor", "xgetbv", "xsetbv", "xsaveopt", "xsavec", "xsaves",
                                                                    "xrstors" } },
    { "what it is for (SDM vol. 2, UD)", ALWAYS, { "ud2", "ud2b", "ud0" } },
    { "outside of SMM (SDM vol. 2, RSM)", ALWAYS, { "rsm" } },
};

/* SDM vol. 2, 3.1.1.1: with NP 66, F2 and F3 are not allowed, with NFx F2 and F3. The maps give each column of the SIMD
 * instructions so; capstone lets such prefixes pass where it knows no instruction with them. These are the others. */
static const char *const no_prefix[] = { "emms", "fxsave", "fxrstor", "ldmxcsr", "stmxcsr", "lfence", "mfence", "sfence", "clflush",
                                         "movnti", "movd", "movq", "sfence", NULL };
static const char *const no_repeat[] = { "rdrand", "rdseed", "movbe", NULL };

/* SDM vol. 2, LOCK: with a memory destination. */
static const char *const lockable[] = { "add", "adc", "and", "btc", "btr", "bts", "cmpxchg", "cmpxchg8b", "dec", "inc", "neg",
                                        "not", "or", "sbb", "sub", "xor", "xadd", "xchg", NULL };

struct verdict {
    bool is_undefined;
    const char *why; /* the rule, when it is not capstone's own answer */
    uint8_t size;    /* 0: unknown */
    char text[200];
};

static struct cpu_model model; /* the default, as in emulated.c */
static csh capstone;
static cs_insn *insn;

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t k = 0; k < count && list[k]; k++) {
        if (!strcmp(name, list[k])) {
            return true;
        }
    }
    return false;
}

/* Without "lock", "rep" and so on. */
static const char *mnemonic(void)
{
    const char *last = strrchr(insn->mnemonic, ' ');

    return last ? last + 1 : insn->mnemonic;
}

static bool is_simd(void)
{
    static const uint8_t groups[] = { X86_GRP_MMX, X86_GRP_SSE1, X86_GRP_SSE2, X86_GRP_SSE3, X86_GRP_SSSE3, X86_GRP_SSE41,
                                      X86_GRP_SSE42, X86_GRP_AES, X86_GRP_PCLMUL, X86_GRP_SHA };

    for (size_t k = 0; k < sizeof groups; k++) {
        if (cs_insn_group(capstone, insn, groups[k])) {
            return true;
        }
    }
    return false;
}

static const char *rule_of_absence(void)
{
    bool is_prefetch = !strncmp(mnemonic(), "prefetch", 8); /* to capstone some of 3DNow!'s */
    for (size_t k = 0; k < sizeof absent_groups / sizeof *absent_groups && !is_prefetch; k++) {
        bool is_absent = absent_groups[k].feature == ALWAYS || !model_has(&model, absent_groups[k].feature);
        if (is_absent && cs_insn_group(capstone, insn, absent_groups[k].group)) {
            return absent_groups[k].name;
        }
    }
    for (size_t k = 0; k < sizeof absent_names / sizeof *absent_names; k++) {
        bool is_absent = absent_names[k].feature == ALWAYS || !model_has(&model, absent_names[k].feature);
        if (is_absent && is_one_of(mnemonic(), absent_names[k].names, 12)) {
            return absent_names[k].why;
        }
    }
    return NULL;
}

static bool disassemble(const uint8_t *bytes, size_t size)
{
    uint64_t address = 0;

    return cs_disasm_iter(capstone, &bytes, &size, &address, insn);
}

/* Whether the mandatory prefix is one that the instruction is not allowed to have. */
static bool has_stray_prefix(const struct encoding *e)
{
    if (!e->prefix) {
        return false;
    }
    if (is_one_of(mnemonic(), no_repeat, 8)) {
        return e->prefix != 0x66;
    }
    if (!is_simd() && !is_one_of(mnemonic(), no_prefix, 16)) {
        return false;
    }
    unsigned id = insn->id, operands = insn->detail->x86.op_count;
    unsigned reg = operands ? insn->detail->x86.operands[0].reg : 0, second = operands > 1 ? insn->detail->x86.operands[1].reg : 0;
    struct encoding bare = *e;
    memmove(bare.bytes, bare.bytes + 1, sizeof bare.bytes - 1);
    /* The same instruction with the same operands without it: then it chose nothing. */
    bool same = disassemble(bare.bytes, bare.size) && insn->id == id && insn->detail->x86.op_count == operands &&
                (!operands || insn->detail->x86.operands[0].reg == reg) &&
                (operands < 2 || insn->detail->x86.operands[1].reg == second);
    disassemble(e->bytes, e->size);
    return same;
}

static bool may_lock(void)
{
    const cs_x86 *x = &insn->detail->x86;

    return is_one_of(mnemonic(), lockable, 32) && (x->operands[0].type == X86_OP_MEM ||
           (!strcmp(mnemonic(), "xchg") && x->operands[1].type == X86_OP_MEM));
}

static void judge(const struct encoding *e, struct verdict *v)
{
    *v = (struct verdict){ .is_undefined = !disassemble(e->bytes, e->size), .text = "(bad)" };
    unsigned reg = reg_of(e);

    if (e->map == MAP_0F && ((e->byte >= 0x1a && e->byte <= 0x1f) || (e->byte == 0x18 && is_register(e)))) {
        v->is_undefined = e->has_lock;
        v->why = "reserved NOPs with ModRM (SDM vol. 2, table A-3, 0F 18 to 1F, and Group 16)";
        return;
    }
    if (e->map == MAP_0F && e->byte == 0x18) {
        v->is_undefined = e->has_lock;
        v->why = "PREFETCHh may have prefixes (SDM vol. 2, PREFETCHh: no NP)";
        return;
    }
    if (e->map == MAP_0F && e->byte == 0xae && is_register(e) && reg >= 5) {
        v->is_undefined = e->prefix || e->has_lock;
        v->why = "the r/m field does not matter (SDM vol. 2, LFENCE, footnote)";
        return;
    }
    if (e->map == MAP_0F && e->byte == 0x0d && !is_register(e) && reg == 0 && model_has(&model, FEATURE_PREFETCHW)) {
        v->is_undefined = e->has_lock;
        v->why = "PREFETCH came with PREFETCHW (AMD64 APM vol. 3, PREFETCH level)";
        return;
    }
    if (e->map == MAP_0F && e->byte == 0xc7 && is_register(e) && reg == 7 && e->prefix == 0xf3 && model_has(&model, FEATURE_RDPID)) {
        v->is_undefined = e->has_lock;
        v->why = "RDPID, which capstone 4 takes for RDSEED (SDM vol. 2, RDPID)";
        return;
    }
    if (e->map == MAP_0F && (e->byte == 0x20 || e->byte == 0x22)) {
        v->is_undefined = e->has_lock || reg == 1 || reg > 4;
        v->why = "CR1, CR5 to CR7 (SDM vol. 2, MOV-Control Registers); ModRM.mod does not matter";
        return;
    }
    if (v->is_undefined) {
        return;
    }
    snprintf(v->text, sizeof v->text, "%s %s", insn->mnemonic, insn->op_str);
    v->size = (uint8_t)insn->size;
    if (e->map == MAP_1B && e->byte == 0x8e && reg == SEG_CS) {
        v->why = "MOV to CS (SDM vol. 2, MOV)";
    } else if (e->map == MAP_0F && e->byte == 0xbc && e->prefix == 0xf3) {
        v->is_undefined = e->has_lock;
        v->why = "TZCNT is BSF where BMI1 is absent (SDM vol. 2, TZCNT)";
        return;
    } else if (has_stray_prefix(e)) {
        v->why = "NP and NFx (SDM vol. 2, 3.1.1.1)";
    } else {
        v->why = rule_of_absence();
    }
    if (!v->why && e->has_lock && !may_lock()) {
        v->why = "LOCK (SDM vol. 2, LOCK)";
    }
    v->is_undefined = v->why != NULL;
}

/* ---- what the processor does ---- */

static struct decoder *decoder;
static struct test_case test;

/* Whether this exception comes at its first byte. */
static bool raises(const struct encoding *e, unsigned mode, unsigned vector)
{
    static struct outcome out;
    uint32_t start = WINDOW_LOW + 8 * PAGE + 64;

    test.mode = mode;
    test.single = true;
    test.initial.rip = start;
    test.initial.rflags = FLAG_1 | FLAG_IF | FLAG_TF;
    for (unsigned k = 0; k < 8; k++) {
        test.initial.gpr[k] = WINDOW_LOW + PAGE + 0x40;
    }
    test.initial.gpr[REG_SP] = WINDOW_LOW + 2 * PAGE;
    test.initial.selector[SEG_CS] = mode & MODE_CODE32 ? SELECTOR_CODE32 : LDT_CODE16;
    test.initial.selector[SEG_ES] = test.initial.selector[SEG_DS] = test.initial.selector[SEG_SS] = SELECTOR_DATA;
    memset(test.initial.fx, 0, sizeof test.initial.fx);
    store_le16(test.initial.fx, 0x37f);
    store_le32(test.initial.fx + 24, 0x1f80);
    memcpy(test.code, e->bytes, e->size);
    test.code_size = e->size;
    emulated_run(&test, &out);
    return out.vector == vector && out.state.rip == start;
}

/* ---- the sweep ---- */

struct sweep {
    unsigned mode;
    unsigned long encodings, undefined, different, lengths;
};

/* The same with redundant prefixes before it: of 15 bytes it is what it was, of 16 it is #GP(0). SDM vol. 2, 2.3.11. */
static bool has_right_limit(struct sweep *s, const struct encoding *e, unsigned length)
{
    struct encoding padded = *e;
    struct decoded d;

    for (unsigned total = INSTRUCTION_MAX; total <= INSTRUCTION_MAX + 1; total++) {
        unsigned prefixes = total - length;
        memset(padded.bytes, 0x3e, prefixes);
        memcpy(padded.bytes + prefixes, e->bytes, length);
        padded.size = (uint8_t)total;
        s->lengths++;
        enum decode_result wanted = total > INSTRUCTION_MAX ? DECODE_TOO_LONG : DECODED;
        if (decode(decoder, padded.bytes, total, s->mode, &d) != wanted ||
            raises(&padded, s->mode, VEC_UD) || (total > INSTRUCTION_MAX && !raises(&padded, s->mode, VEC_GP))) {
            return false;
        }
    }
    return true;
}

static void one(struct sweep *s, const struct encoding *e)
{
    struct verdict v;
    struct decoded d;

    judge(e, &v);
    bool ours = raises(e, s->mode, VEC_UD);
    bool is_decoded = decode(decoder, e->bytes, e->size, s->mode, &d) == DECODED;
    s->encodings++;
    s->undefined += ours;
    /* Capstone disassembles 32-bit code here, whose lengths are others. test_disassemble.c compares those of 16-bit code. */
    bool has_length = !ours && v.size && (s->mode & MODE_CODE32);
    bool same = ours == v.is_undefined && (ours || is_decoded) && (!has_length || d.length == v.size) &&
                (ours || has_right_limit(s, e, d.length));
    if (!same && s->different++ < 1000) {
        printf("%s ", s->mode & MODE_CODE32 ? "32" : "16");
        for (unsigned k = 0; k < e->opcode_at + 1u; k++) {
            printf("%02x", e->bytes[k]);
        }
        printf(" %s /%u %02x: ours %s %s%u, capstone %s %u %s %s\n", is_register(e) ? "r" : "m", reg_of(e), e->modrm,
               ours ? "#UD" : "ok", is_decoded ? d.opcode->mnemonic : "-", d.length, v.is_undefined ? "#UD" : "ok", v.size, v.text,
               v.why ? v.why : "");
    }
}

static void all_modrm(struct sweep *s, struct encoding *e)
{
    unsigned at = e->opcode_at;

    for (unsigned modrm = 0; modrm < 256; modrm++) {
        if (modrm < 0xc0 && (modrm & 0xc7) != 0x01 && (modrm & 0xc7) != 0x46 && (modrm & 0xc7) != 0x84) {
            continue; /* three memory forms of each /reg: without and with displacement, with SIB */
        }
        e->modrm = (uint8_t)modrm;
        e->bytes[at + 1] = (uint8_t)modrm;
        e->size = 15;
        one(s, e);
    }
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 ||
           byte == 0xf2 || byte == 0xf3;
}

static void run_sweep(unsigned mode)
{
    static const uint8_t prefixes[][2] = { { 0, 0 }, { 0x66, 0 }, { 0xf3, 0 }, { 0xf2, 0 }, { 0, 0xf0 }, { 0x66, 0xf0 },
                                           { 0xf3, 0xf0 }, { 0xf2, 0xf0 } };
    struct sweep s = { .mode = mode };

    struct error err = { 0 };
    ck_assert(cpu_model_parse(NULL, &model, &err));
    decoder = decoder_create(&model);
    ck_assert(decoder && emulated_open() && cs_open(CS_ARCH_X86, CS_MODE_32, &capstone) == CS_ERR_OK);
    cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON);
    insn = cs_malloc(capstone);
    for (unsigned p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        for (unsigned opcode = 0; opcode < 4 * 256; opcode++) {
            struct encoding e = { .prefix = prefixes[p][0], .has_lock = prefixes[p][1] != 0, .map = (uint8_t)(opcode >> 8),
                                  .byte = (uint8_t)opcode };
            unsigned at = 0;
            memset(e.bytes, 0x11, sizeof e.bytes);
            if ((e.map == MAP_1B && (is_prefix(e.byte) || e.byte == 0x0f)) ||
                (e.map == MAP_0F && (e.byte == 0x38 || e.byte == 0x3a))) {
                continue;
            }
            for (unsigned k = 0; k < 2; k++) {
                if (prefixes[p][k]) {
                    e.bytes[at++] = prefixes[p][k];
                }
            }
            if (e.map != MAP_1B) {
                e.bytes[at++] = 0x0f;
            }
            if (e.map >= MAP_38) {
                e.bytes[at++] = e.map == MAP_38 ? 0x38 : 0x3a;
            }
            e.opcode_at = (uint8_t)at;
            e.bytes[at] = e.byte;
            all_modrm(&s, &e);
        }
    }
    cs_free(insn, 1);
    cs_close(&capstone);
    decoder_destroy(decoder);
    printf("%s-bit code: encodings=%lu undefined=%lu lengths=%lu different=%lu\n", mode & MODE_CODE32 ? "32" : "16", s.encodings,
           s.undefined, s.lengths, s.different);
    ck_assert_uint_eq(s.different, 0);
}

START_TEST(code32) { run_sweep(MODE_PROTECTED | MODE_CODE32); }
END_TEST
START_TEST(code16) { run_sweep(MODE_PROTECTED); }
END_TEST

int main(void)
{
    Suite *suite = suite_create("undefined");
    TCase *tcase = tcase_create("sweep");
    tcase_set_timeout(tcase, 1200);
    tcase_add_test(tcase, code32);
    tcase_add_test(tcase, code16);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
