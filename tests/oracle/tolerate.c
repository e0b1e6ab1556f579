/* tolerate.c - where processors differ from each other or from the manuals, by rule: instruction and field.
 *
 * Each rule names its source. A rule takes exactly its own difference out of the interpreter's outcome; whatever else
 * differs still counts. */
#include "tests/oracle/oracle.h"

#include <string.h>

enum { RULE_PORTS, RULE_LOOP, RULE_LOCK_VERIFY, RULE_COMPARE_C1, RULE_COMPARE_UNMASKED, RULE_ENVIRONMENT, RULE_LOGARITHM,
       RULE_FUNCTION, RULE_COUNT_BITS, RULE_REPEAT_RF, RULE_FX_ALIGNMENT, RULE_ESTIMATE, RULE_MOVE_ALIGNMENT, RULE_MASKED_MOVE, RULE_REPEAT_FLAGS, RULE_MXCSR_MM, RULE_COUNT };

const char *const tolerance_rules[RULE_COUNT + 1] = {
    [RULE_PORTS] = "INS and OUTS with REP and count 0: AMD Zen checks the ports all the same; SDM vol. 2, REP: nothing is done",
    [RULE_LOOP] = "LOOPE and LOOPNE with F2 or F3: reserved (SDM vol. 2, 2.1.1); AMD Zen takes the condition from the prefix",
    [RULE_LOCK_VERIFY] = "VERR and VERW with LOCK: #UD by SDM vol. 2, LOCK; AMD Zen executes them",
    [RULE_COMPARE_C1] = "C1 after FCOMI, FCOMIP, FUCOMI, FUCOMIP: cleared by SDM vol. 2, FCOMI; AMD Zen leaves it",
    [RULE_COMPARE_UNMASKED] = "EFLAGS after FCOMI with an unmasked invalid operation: not set by SDM vol. 2, FCOMI; AMD Zen sets it",
    [RULE_ENVIRONMENT] = "CR2 of an environment or state that crosses into a bad page: any byte of it there (FLDENV, FSTENV, FRSTOR, FSAVE, FXSAVE, FXRSTOR)",
    [RULE_LOGARITHM] = "FYL2XP1 outside of +-(1 - sqrt(2)/2) and F2XM1 outside of +-1: undefined (SDM vol. 2)",
    [RULE_FUNCTION] = "functions: within 1 ulp, C1 aside; FSIN, FCOS, FPTAN within what a pi of 66 bits costs (SDM vol. 1, 8.3.8)",
    [RULE_COUNT_BITS] = "BSF and BSR with F3 are TZCNT and LZCNT on processors that have these (SDM vol. 2)",
    [RULE_REPEAT_RF] = "RF saved between iterations of REP: 1 by SDM vol. 3, 17.3.1.1; AMD Zen leaves it as it was",
    [RULE_FX_ALIGNMENT] = "FXSAVE and FXRSTOR at a misaligned address: #GP, or with AC #AC, before or after #PF (SDM vol. 2, FXSAVE)",
    [RULE_ESTIMATE] = "RCPPS, RCPSS, RSQRTPS, RSQRTSS: relative error up to 1.5 * 2^-12 (SDM vol. 2)",
    [RULE_MOVE_ALIGNMENT] = "#AC of a misaligned access of 16 bytes at CPL 3 with AC: varies (SDM vol. 2, 2.4, type 4)",
    [RULE_MASKED_MOVE] = "MASKMOVQ that faults: AMD Zen has changed to MMX state by then",
    [RULE_REPEAT_FLAGS] = "status flags at a fault in repeated CMPS and SCAS: as before the instruction by SDM vol. 2, REP; AMD Zen keeps those of the last iteration",
    [RULE_MXCSR_MM] = "MXCSR bit 17: reserved, #GP (SDM vol. 1, 10.2.3); AMD processors have misaligned SSE mode there (AMD64 APM vol. 1, 4.2.2)",
    [RULE_COUNT] = NULL,
};

static bool is_one_of(const struct test_case *t, const char *const *list)
{
    for (; t->row && *list; list++) {
        if (!strcmp(t->row->mnemonic, *list)) {
            return true;
        }
    }
    return false;
}

/* ---- 80-bit values ---- */

static double power_of_two(int exponent)
{
    double value = 1;

    for (; exponent > 0; exponent--) {
        value *= 2;
    }
    for (; exponent < 0; exponent++) {
        value /= 2;
    }
    return value;
}

/* Distance in units of the last place; huge when it makes no sense. */
static double ulps_apart(const uint8_t *a, const uint8_t *b)
{
    int exponent_a = load_le16(a + 8), exponent_b = load_le16(b + 8);

    exponent_a += (exponent_a & 0x7fff) == 0; /* denormals have the smallest exponent: SDM vol. 1, table 4-3 */
    exponent_b += (exponent_b & 0x7fff) == 0;
    double mantissa_a = (double)load_le64(a), mantissa_b = (double)load_le64(b);

    if (exponent_a == exponent_b) {
        uint64_t x = load_le64(a), y = load_le64(b);
        return (double)(x > y ? x - y : y - x);
    }
    if (((exponent_a ^ exponent_b) & 0x8000) || exponent_a - exponent_b > 60 || exponent_b - exponent_a > 60) {
        return 1e300;
    }
    double distance = mantissa_a * power_of_two(exponent_a - exponent_b) - mantissa_b;
    return distance < 0 ? -distance : distance;
}

static int exponent_of(const uint8_t *value) { return (load_le16(value + 8) & 0x7fff) - 0x3fff; }

/* What a pi of 66 bits may change: the reduced angle is off by |x| * 2^-65. */
static double angle_allowance(const uint8_t *angle, const uint8_t *result, bool is_tangent)
{
    int e = exponent_of(result), steepness = is_tangent && e > 0 ? 2 * e + 2 : 0;
    int power = exponent_of(angle) - e + steepness + (is_tangent ? 1 : 0);

    return power < -60 ? 0 : power > 200 ? 1e60 : power_of_two(power);
}

static bool tolerate_function(const struct test_case *t, const struct outcome *native, struct outcome *emulated)
{
    static const char *const functions[] = { "f2xm1", "fyl2x", "fyl2xp1", "fpatan", "fsin", "fcos", "fsincos", "fptan", NULL };
    static const char *const angles[] = { "fsin", "fcos", "fsincos", "fptan", NULL };
    const uint8_t *n = native->state.fx, *angle = t->initial.fx + 32;
    uint8_t *e = emulated->state.fx;

    if (!is_one_of(t, functions)) {
        return false;
    }
    e[3] = (uint8_t)((e[3] & ~2) | (n[3] & 2)); /* C1: rounded up */
    for (unsigned k = 0; k < 2; k++) {
        const uint8_t *a = n + 32 + 16 * k;
        uint8_t *b = e + 32 + 16 * k;
        double allowed = 1;
        if (is_one_of(t, angles)) {
            allowed += angle_allowance(angle, b, !strcmp(t->row->mnemonic, "fptan"));
        }
        if (ulps_apart(a, b) <= allowed) {
            memcpy(b, a, 10);
        }
    }
    return true;
}

static bool tolerate_logarithm(const struct test_case *t, const struct outcome *native, struct outcome *emulated)
{
    const uint8_t *operand = t->initial.fx + 32;
    uint64_t limit = !strcmp(t->row->mnemonic, "f2xm1") ? UINT64_C(1) << 63 : UINT64_C(0x95f619980c4336f7);
    int exponent = !strcmp(t->row->mnemonic, "f2xm1") ? 0 : -2;

    if (strcmp(t->row->mnemonic, "f2xm1") && strcmp(t->row->mnemonic, "fyl2xp1")) {
        return false;
    }
    if (load_le64(operand) >> 63 == 0 || exponent_of(operand) < exponent ||
        (exponent_of(operand) == exponent && load_le64(operand) <= limit)) {
        return false;
    }
    memcpy(emulated->state.fx, native->state.fx, sizeof native->state.fx);
    return true;
}

/* ---- the others ---- */

static bool tolerate_compare(const struct test_case *t, const struct outcome *native, struct outcome *emulated, unsigned rule)
{
    static const char *const compares[] = { "fcomi", "fcomip", "fucomi", "fucomip", NULL };
    const uint8_t *n = native->state.fx;
    uint8_t *e = emulated->state.fx;

    if (!is_one_of(t, compares)) {
        return false;
    }
    if (rule == RULE_COMPARE_C1) {
        bool differs = ((n[3] ^ e[3]) & 2) != 0;
        e[3] = (uint8_t)((e[3] & ~2) | (n[3] & 2));
        return differs;
    }
    bool is_unmasked = (load_le16(n + 2) & ~load_le16(n) & 1) != 0;
    if (!is_unmasked || !((native->state.rflags ^ emulated->state.rflags) & FLAGS_STATUS)) {
        return false;
    }
    emulated->state.rflags = (emulated->state.rflags & ~FLAGS_STATUS) | (native->state.rflags & FLAGS_STATUS);
    return true;
}

static bool tolerate_environment(const struct test_case *t, const struct outcome *native, struct outcome *emulated)
{
    static const char *const states[] = { "fldenv", "fnstenv", "frstor", "fnsave", "fxsave", "fxrstor", NULL };

    if (!is_one_of(t, states) || native->vector != VEC_PF || emulated->vector != VEC_PF ||
        (uint32_t)(native->cr2 - t->operand) >= 512 || native->cr2 == emulated->cr2) {
        return false;
    }
    emulated->cr2 = native->cr2;
    emulated->error = native->error; /* that byte's page may lack another right */
    return true;
}

/* Positive finite values within 1.5 * 2^-11 of each other, each being that half near the truth. */
static bool is_near(uint32_t a, uint32_t b)
{
    uint32_t distance = a > b ? a - b : b - a;

    return (a >> 31) == (b >> 31) && (a >> 23 & 0xff) != 0xff && distance <= 2 * 12288;
}

static bool tolerate_estimate(const struct test_case *t, const struct outcome *native, struct outcome *emulated)
{
    static const char *const estimates[] = { "rcpps", "rcpss", "rsqrtps", "rsqrtss", NULL };
    bool applied = false;

    for (unsigned at = 160; is_one_of(t, estimates) && at < 416; at += 4) {
        uint32_t a = load_le32(native->state.fx + at), b = load_le32(emulated->state.fx + at);
        if (a != b && is_near(a, b)) {
            store_le32(emulated->state.fx + at, a);
            applied = true;
        }
    }
    return applied;
}

/* 16-byte operands that need no alignment. */
static bool is_wide_unaligned(const struct test_case *t)
{
    static const char *const names[] = { "movups", "movupd", "movdqu", "lddqu", "maskmovdqu", "pcmpestri", "pcmpestrm", "pcmpistri",
                                         "pcmpistrm", NULL };

    return is_one_of(t, names);
}

static bool applies(unsigned rule, const struct test_case *t, const struct outcome *native, struct outcome *emulated)
{
    static const char *const ports[] = { "ins", "outs", NULL };
    static const char *const loops[] = { "loope", "loopne", NULL };
    static const char *const verifies[] = { "verr", "verw", NULL };
    static const char *const images[] = { "fxsave", "fxrstor", NULL };
    static const char *const mxcsr_loads[] = { "ldmxcsr", "fxrstor", NULL };
    static const char *const scanned[] = { "cmps", "scas", NULL };
    static const char *const scans[] = { "bsf", "bsr", NULL };
    uint64_t count_mask = t->decoded.address_size == 0 ? 0xffff : 0xffffffff;
    bool whole = false;

    switch (rule) {
    case RULE_PORTS:
        whole = is_one_of(t, ports) && t->decoded.repeat && !(t->initial.gpr[REG_CX] & count_mask) && native->vector == VEC_GP;
        break;
    case RULE_LOOP:
        whole = is_one_of(t, loops) && t->decoded.repeat;
        break;
    case RULE_LOCK_VERIFY:
        whole = is_one_of(t, verifies) && t->decoded.has_lock && emulated->vector == VEC_UD;
        break;
    case RULE_COUNT_BITS:
        whole = is_one_of(t, scans) && t->decoded.repeat == 0xf3;
        break;
    case RULE_REPEAT_RF:
        if (native->vector == VEC_DB && t->decoded.repeat && ((native->state.rflags ^ emulated->state.rflags) & FLAG_RF)) {
            emulated->state.rflags ^= FLAG_RF;
            return true;
        }
        return false;
    case RULE_FX_ALIGNMENT:
        whole = is_one_of(t, images) && emulated->vector == VEC_GP && (native->vector == VEC_AC || native->vector == VEC_PF);
        break;
    case RULE_ESTIMATE:
        return tolerate_estimate(t, native, emulated);
    case RULE_MOVE_ALIGNMENT:
        whole = is_wide_unaligned(t) && native->vector != emulated->vector &&
                (native->vector == VEC_AC || emulated->vector == VEC_AC);
        break;
    case RULE_MXCSR_MM:
        whole = is_one_of(t, mxcsr_loads) && emulated->vector == VEC_GP && (native->vector == ENDED_HERE || native->vector == VEC_DB) &&
                (load_le32(native->state.fx + 24) >> 17 & 1);
        break;
    case RULE_REPEAT_FLAGS:
        if (is_one_of(t, scanned) && t->decoded.repeat && native->vector == emulated->vector && native->vector != ENDED_HERE) {
            emulated->state.rflags = (emulated->state.rflags & ~FLAGS_STATUS) | (native->state.rflags & FLAGS_STATUS);
            return true;
        }
        return false;
    case RULE_MASKED_MOVE:
        if (t->row && !strcmp(t->row->mnemonic, "maskmovq") && native->vector == emulated->vector && native->vector != ENDED_HERE) {
            memcpy(emulated->state.fx, native->state.fx, sizeof native->state.fx);
            return true;
        }
        return false;
    case RULE_COMPARE_C1:
    case RULE_COMPARE_UNMASKED:
        return tolerate_compare(t, native, emulated, rule);
    case RULE_ENVIRONMENT:
        return tolerate_environment(t, native, emulated);
    case RULE_LOGARITHM:
        return tolerate_logarithm(t, native, emulated);
    case RULE_FUNCTION:
        return tolerate_function(t, native, emulated);
    default:
        return false;
    }
    if (whole) {
        *emulated = *native;
        emulated->is_tolerated = true;
    }
    return whole;
}

uint32_t tolerate(const struct test_case *test, const struct outcome *native, struct outcome *emulated)
{
    uint32_t rules = 0;

    for (unsigned k = 0; k < RULE_COUNT && test->row; k++) {
        rules |= applies(k, test, native, emulated) ? 1u << k : 0;
    }
    if (!rules && (native->vector == VEC_AC) != (emulated->vector == VEC_AC)) {
        struct test_case later = *test; /* in a sequence: the instruction that faulted */
        uint64_t rip = native->vector == VEC_AC ? native->state.rip : emulated->state.rip;
        struct decoder *decoder = decoder_create(NULL);
        uint64_t at = rip - test->initial.rip;
        if (decoder && at > 0 && at < test->code_size &&
            decode(decoder, test->code + at, test->code_size - at, test->mode, &later.decoded) == DECODED) {
            later.row = later.decoded.opcode;
            rules |= applies(RULE_MOVE_ALIGNMENT, &later, native, emulated) ? 1u << RULE_MOVE_ALIGNMENT : 0;
        }
        decoder_destroy(decoder);
    }
    return rules;
}
