/* x87.c - x87 data movement, arithmetic, comparison and functions.
 *
 * Intel SDM vol. 1, chapter 8 (December 2023), and the instruction pages of vol. 2. The arithmetic is in float80.c;
 * here are the register stack, stack faults and what an unmasked exception leaves behind (SDM vol. 1, 8.5): after an unmasked
 * invalid operation, denormal operand or division by zero nothing is written and nothing popped; after an unmasked
 * overflow, underflow or inexact result the register result is written (stores to memory: only the inexact one is).
 * Priority: #NM, pending #MF, memory faults, stack fault, then the operands' exceptions. */
#include "cpu/x87.h"

#include "cpu/flags.h"

/* ---- memory operands ---- */

/* A float64 as it is: no exceptions, SNaNs stay SNaNs. `*is_denormal` is left to the caller, whose other operand may be
 * a NaN and take precedence. */
static ALWAYS_INLINE struct float80 widen64(uint64_t bits, bool *is_denormal)
{
    unsigned exp = (unsigned)(bits >> 52) & 0x7ff;
    uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
    uint64_t fraction = bits << 12;

    if (LIKELY(exp != 0 && exp != 0x7ff)) {
        return (struct float80){ UINT64_C(1) << 63 | fraction >> 1, (uint16_t)(sign | (exp + (0x3fff - 0x3ff))) };
    }
    if (exp == 0x7ff) {
        return (struct float80){ UINT64_C(1) << 63 | fraction >> 1, (uint16_t)(sign | 0x7fff) };
    }
    if (fraction == 0) {
        return (struct float80){ 0, sign };
    }
    struct fpu_env scratch = FPU_ENV_INIT(X87_CONTROL_INIT);
    *is_denormal = true;
    return f80_from_float64(&scratch, bits);
}

static ALWAYS_INLINE struct float80 widen32(uint32_t bits, bool *is_denormal)
{
    unsigned exp = bits >> 23 & 0xff;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint64_t fraction = (uint64_t)bits << 41;

    if (LIKELY(exp != 0 && exp != 0xff)) {
        return (struct float80){ UINT64_C(1) << 63 | fraction >> 1, (uint16_t)(sign | (exp + (0x3fff - 0x7f))) };
    }
    if (exp == 0xff) {
        return (struct float80){ UINT64_C(1) << 63 | fraction >> 1, (uint16_t)(sign | 0x7fff) };
    }
    if (fraction == 0) {
        return (struct float80){ 0, sign };
    }
    struct fpu_env scratch = FPU_ENV_INIT(X87_CONTROL_INIT);
    *is_denormal = true;
    return f80_from_float32(&scratch, bits);
}

static ALWAYS_INLINE bool operand_m32(struct cpu *cpu, const struct insn *insn, enum form form, struct float80 *value,
                                      bool *is_denormal)
{
    uint32_t bits;

    if (!load32(cpu, insn, form, &bits)) {
        return false;
    }
    *value = widen32(bits, is_denormal);
    return true;
}

static ALWAYS_INLINE bool operand_m64(struct cpu *cpu, const struct insn *insn, enum form form, struct float80 *value,
                                      bool *is_denormal)
{
    uint64_t bits;

    if (!load64(cpu, insn, form, &bits)) {
        return false;
    }
    *value = widen64(bits, is_denormal);
    return true;
}

static ALWAYS_INLINE bool operand_i16(struct cpu *cpu, const struct insn *insn, enum form form, struct float80 *value,
                                      bool *is_denormal)
{
    uint16_t bits;

    (void)is_denormal;
    if (!load16(cpu, insn, form, &bits)) {
        return false;
    }
    *value = f80_from_int64((int16_t)bits);
    return true;
}

static ALWAYS_INLINE bool operand_i32(struct cpu *cpu, const struct insn *insn, enum form form, struct float80 *value,
                                      bool *is_denormal)
{
    uint32_t bits;

    (void)is_denormal;
    if (!load32(cpu, insn, form, &bits)) {
        return false;
    }
    *value = f80_from_int64((int32_t)bits);
    return true;
}

/* Second part of an 80-bit operand of the generic form. */
static uint64_t ea_high(const struct cpu *cpu, const struct insn *insn)
{
    return (ea_generic(cpu, insn) + 8) & address_mask(insn);
}

static ALWAYS_INLINE bool load80(struct cpu *cpu, const struct insn *insn, enum form form, uint64_t *low,
                                 uint16_t *high)
{
    if (form == FORM_GENERIC) {
        uint64_t wide;
        cpu->current = insn;
        if (!segment_read(cpu, ea_segment(insn), ea_generic(cpu, insn), 8, low) ||
            !segment_read(cpu, ea_segment(insn), ea_high(cpu, insn), 2, &wide)) {
            return false;
        }
        *high = (uint16_t)wide;
        return true;
    }
    const uint8_t *host = flat_host(cpu, insn, form, 10, false);
    if (UNLIKELY(!host)) {
        return false;
    }
    *low = host_load64(host);
    *high = host_load16(host + 8);
    return true;
}

static ALWAYS_INLINE bool store80(struct cpu *cpu, const struct insn *insn, enum form form, uint64_t low,
                                  uint16_t high)
{
    if (form == FORM_GENERIC) {
        enum segment_index seg = ea_segment(insn);
        uint64_t first = ea_generic(cpu, insn), second = ea_high(cpu, insn);
        cpu->current = insn;
        if (!segment_probe_write(cpu, seg, first, 8) || !segment_probe_write(cpu, seg, second, 2)) {
            return false;
        }
        return segment_write(cpu, seg, first, 8, low) && segment_write(cpu, seg, second, 2, high);
    }
    uint8_t *host = flat_host(cpu, insn, form, 10, true);
    if (UNLIKELY(!host)) {
        return false;
    }
    host_store64(host, low);
    host_store16(host + 8, high);
    return true;
}

/* Whether a store that an unmasked exception prevents would have succeeded: a fault of its address comes first. The flat
 * forms leave that to the generic one. */
static ALWAYS_INLINE bool store_would(struct cpu *cpu, const struct insn *insn, enum form form, unsigned size)
{
    if (form != FORM_GENERIC) {
        return false;
    }
    cpu->current = insn;
    enum segment_index seg = ea_segment(insn);
    return segment_probe_write(cpu, seg, ea_generic(cpu, insn), size == 10 ? 8 : size) &&
           (size != 10 || segment_probe_write(cpu, seg, ea_high(cpu, insn), 2));
}

static bool is_special(struct float80 a)
{
    enum f80_class class = f80_classify(a);

    return class == F80_CLASS_NAN || class == F80_CLASS_UNSUPPORTED;
}

/* A denormal in memory raises DE, unless a NaN operand, an invalid operation or a division by zero comes first;
 * unmasked, it comes before what the operation itself found. */
static NOINLINE void note_denormal(struct fpu_env *env, struct float80 other)
{
    if (is_special(other) || (env->exceptions & (FPU_IE | FPU_ZE))) {
        return;
    }
    if (!(env->control & FPU_DE)) {
        env->exceptions = 0;
        env->rounded_up = false;
    }
    env->exceptions |= FPU_DE;
}

/* ---- loads ---- */

/* Pushes; stack overflow when ST(7) is in use. */
static ALWAYS_INLINE void push(struct cpu *cpu, const struct insn *insn, struct float80 value)
{
    if (UNLIKELY(!x87_is_empty(cpu, x87_st(cpu, 7)))) {
        if (!x87_stack_fault(cpu, insn, true)) {
            return;
        }
        value = f80_indefinite();
    } else {
        x87_clear_c1(cpu);
    }
    x87_push_raw(cpu, value);
}

/* FLD m32 and m64, whose operand may be an SNaN or a denormal. */
static NOINLINE void push_odd(struct cpu *cpu, const struct insn *insn, struct float80 value, bool is_denormal)
{
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);

    if (!x87_is_empty(cpu, x87_st(cpu, 7))) {
        push(cpu, insn, value);
        return;
    }
    if (is_denormal) {
        env.exceptions |= FPU_DE;
    } else if ((value.mantissa << 1) != 0 && !(value.mantissa & UINT64_C(1) << 62)) {
        env.exceptions |= FPU_IE;
        value.mantissa |= UINT64_C(1) << 62;
    }
    /* A denormal is loaded even when its exception is unmasked (as measured on AMD Zen). */
    if (x87_commit(cpu, insn, &env) || is_denormal) {
        x87_push_raw(cpu, value);
    }
}

#define LOAD_FLOAT(name, operand)                                                                                      \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct float80 value;                                                                                          \
        bool is_denormal = false;                                                                                      \
        if (!x87_ready(cpu) || !operand(cpu, insn, form, &value, &is_denormal)) {                                      \
            return false;                                                                                              \
        }                                                                                                              \
        if (UNLIKELY(is_denormal || (value.sign_exp & 0x7fff) == 0x7fff)) {                                            \
            push_odd(cpu, insn, value, is_denormal);                                                                   \
        } else {                                                                                                       \
            push(cpu, insn, value);                                                                                    \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_MEM(name)
LOAD_FLOAT(fld_m32, operand_m32)
LOAD_FLOAT(fld_m64, operand_m64)

#define LOAD_INTEGER(name, bits)                                                                                       \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!x87_ready(cpu) || !load##bits(cpu, insn, form, &value)) {                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        push(cpu, insn, f80_from_int64((int##bits##_t)value));                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_MEM(name)
LOAD_INTEGER(fild_m16, 16)
LOAD_INTEGER(fild_m32, 32)
LOAD_INTEGER(fild_m64, 64)

static ALWAYS_INLINE bool b_fld_m80(struct cpu *cpu, const struct insn *insn, enum form form)
{
    struct float80 value;

    if (!x87_ready(cpu) || !load80(cpu, insn, form, &value.mantissa, &value.sign_exp)) {
        return false;
    }
    push(cpu, insn, value);
    return true;
}
X87_MEM(fld_m80)

static ALWAYS_INLINE bool b_fbld(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint64_t low;
    uint16_t high;
    uint8_t bcd[10];

    if (!x87_ready(cpu) || !load80(cpu, insn, form, &low, &high)) {
        return false;
    }
    host_store64(bcd, low);
    host_store16(bcd + 8, high);
    push(cpu, insn, f80_from_bcd(bcd));
    return true;
}
X87_MEM(fbld)

static ALWAYS_INLINE bool b_fld_sti(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned source = x87_st(cpu, insn->r1);
    if (UNLIKELY(x87_is_empty(cpu, source))) {
        if (x87_stack_fault(cpu, insn, false)) {
            x87_push_raw(cpu, f80_indefinite());
        }
        return true;
    }
    push(cpu, insn, x87_get(cpu, source));
    return true;
}
X87_REG(fld_sti)

#define LOAD_CONSTANT(name, which)                                                                                     \
    static bool b_##name(struct cpu *cpu, const struct insn *insn)                                                     \
    {                                                                                                                  \
        if (!x87_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        push(cpu, insn, f80_constant(which, cpu->fpu.control));                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_REG(name)
LOAD_CONSTANT(fld1, F80_CONST_ONE)
LOAD_CONSTANT(fldl2t, F80_CONST_L2T)
LOAD_CONSTANT(fldl2e, F80_CONST_L2E)
LOAD_CONSTANT(fldpi, F80_CONST_PI)
LOAD_CONSTANT(fldlg2, F80_CONST_LG2)
LOAD_CONSTANT(fldln2, F80_CONST_LN2)
LOAD_CONSTANT(fldz, F80_CONST_ZERO)

/* ---- stores ---- */

/* The usual case of f80_to_float64 and f80_to_float32, written out: a normal number that stays one, rounded to nearest. */
static ALWAYS_INLINE uint64_t to_float64(struct fpu_env *env, struct float80 a)
{
    unsigned exp = (a.sign_exp & 0x7fffu) - (0x3fff - 0x3ff);

    if (LIKELY((exp - 1 < 0x7fd) & (unsigned)(a.mantissa >> 63)) && (env->control & FPU_RC_MASK) == FPU_RC_NEAREST) {
        unsigned rest = (unsigned)a.mantissa & 0x7ff;
        uint64_t whole = a.mantissa >> 11;
        env->rounded_up = rest > 0x400 || (rest == 0x400 && (whole & 1));
        env->exceptions = rest ? FPU_PE : 0;
        /* Bit 52 of `whole` is the implicit one, and a carry goes on into the exponent. */
        return (uint64_t)(a.sign_exp & 0x8000u) << 48 | (((uint64_t)(exp - 1) << 52) + whole + env->rounded_up);
    }
    return f80_to_float64(env, a);
}

static ALWAYS_INLINE uint32_t to_float32(struct fpu_env *env, struct float80 a)
{
    unsigned exp = (a.sign_exp & 0x7fffu) - (0x3fff - 0x7f);

    if (LIKELY((exp - 1 < 0xfd) & (unsigned)(a.mantissa >> 63)) && (env->control & FPU_RC_MASK) == FPU_RC_NEAREST) {
        uint64_t rest = a.mantissa & UINT64_C(0xffffffffff), half = UINT64_C(0x8000000000);
        uint32_t whole = (uint32_t)(a.mantissa >> 40);
        env->rounded_up = rest > half || (rest == half && (whole & 1));
        env->exceptions = rest ? FPU_PE : 0;
        return (uint32_t)(a.sign_exp & 0x8000u) << 16 | (((exp - 1) << 23) + whole + env->rounded_up);
    }
    return f80_to_float32(env, a);
}

/* A store to memory: the converted value is stored first, as that may fault, then the exceptions count. */
#define STORE(name, bits, convert, indefinite, pops)                                                                   \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        if (!x87_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        unsigned top = cpu->fpu.top;                                                                                   \
        if (UNLIKELY(x87_is_empty(cpu, top))) {                                                                        \
            if (cpu->fpu.control & FPU_IE ? !store##bits(cpu, insn, form, indefinite)                                  \
                                          : !store_would(cpu, insn, form, bits / 8)) {                                 \
                return false;                                                                                          \
            }                                                                                                          \
            if (!x87_stack_fault(cpu, insn, false)) {                                                                  \
                return true;                                                                                           \
            }                                                                                                          \
        } else {                                                                                                       \
            struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);                                                       \
            uint##bits##_t value = (uint##bits##_t)convert(&env, x87_get(cpu, top));                                   \
            if (UNLIKELY(fpu_env_is_store_prevented(&env))) {                                                          \
                if (!store_would(cpu, insn, form, bits / 8)) {                                                         \
                    return false;                                                                                      \
                }                                                                                                      \
                (void)x87_commit(cpu, insn, &env);                                                                     \
                return true;                                                                                           \
            }                                                                                                          \
            if (!store##bits(cpu, insn, form, value)) {                                                                \
                return false;                                                                                          \
            }                                                                                                          \
            (void)x87_commit(cpu, insn, &env);                                                                         \
        }                                                                                                              \
        if (pops) {                                                                                                    \
            x87_pop(cpu);                                                                                              \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_MEM(name)
STORE(fst_m32, 32, to_float32, 0xffc00000u, false)
STORE(fstp_m32, 32, to_float32, 0xffc00000u, true)
STORE(fst_m64, 64, to_float64, UINT64_C(0xfff8000000000000), false)
STORE(fstp_m64, 64, to_float64, UINT64_C(0xfff8000000000000), true)
STORE(fist_m16, 16, f80_to_int16, 0x8000, false)
STORE(fistp_m16, 16, f80_to_int16, 0x8000, true)
STORE(fist_m32, 32, f80_to_int32, 0x80000000u, false)
STORE(fistp_m32, 32, f80_to_int32, 0x80000000u, true)
STORE(fistp_m64, 64, f80_to_int64, UINT64_C(0x8000000000000000), true)
/* SSE3: truncation whatever RC says. */
STORE(fisttp_m16, 16, f80_to_int16_truncate, 0x8000, true)
STORE(fisttp_m32, 32, f80_to_int32_truncate, 0x80000000u, true)
STORE(fisttp_m64, 64, f80_to_int64_truncate, UINT64_C(0x8000000000000000), true)

static ALWAYS_INLINE bool b_fstp_m80(struct cpu *cpu, const struct insn *insn, enum form form)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    struct float80 value = x87_get(cpu, cpu->fpu.top);
    bool is_empty = x87_is_empty(cpu, cpu->fpu.top);
    if (UNLIKELY(is_empty)) {
        value = f80_indefinite();
    }
    if (!is_empty || (cpu->fpu.control & FPU_IE) ? !store80(cpu, insn, form, value.mantissa, value.sign_exp)
                                                 : !store_would(cpu, insn, form, 10)) {
        return false;
    }
    if (UNLIKELY(is_empty)) {
        if (!x87_stack_fault(cpu, insn, false)) {
            return true;
        }
    } else {
        x87_clear_c1(cpu);
    }
    x87_pop(cpu);
    return true;
}
X87_MEM(fstp_m80)

static ALWAYS_INLINE bool b_fbstp(struct cpu *cpu, const struct insn *insn, enum form form)
{
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
    uint8_t bcd[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };

    if (!x87_ready(cpu)) {
        return false;
    }
    bool is_empty = x87_is_empty(cpu, cpu->fpu.top);
    if (is_empty) {
        env.exceptions = FPU_IE;
    } else {
        f80_to_bcd(&env, x87_get(cpu, cpu->fpu.top), bcd);
    }
    bool is_prevented = fpu_env_is_store_prevented(&env);
    if (is_prevented ? !store_would(cpu, insn, form, 10)
                     : !store80(cpu, insn, form, host_load64(bcd), host_load16(bcd + 8))) {
        return false;
    }
    if (is_empty) {
        (void)x87_stack_fault(cpu, insn, false);
    } else {
        (void)x87_commit(cpu, insn, &env);
    }
    if (!is_prevented) {
        x87_pop(cpu);
    }
    return true;
}
X87_MEM(fbstp)

static ALWAYS_INLINE bool store_sti(struct cpu *cpu, const struct insn *insn, bool pops)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    struct float80 value = x87_get(cpu, cpu->fpu.top);
    if (UNLIKELY(x87_is_empty(cpu, cpu->fpu.top))) {
        if (!x87_stack_fault(cpu, insn, false)) {
            return true;
        }
        value = f80_indefinite();
    } else {
        x87_clear_c1(cpu);
    }
    x87_set(cpu, x87_st(cpu, insn->r1), value);
    if (pops) {
        x87_pop(cpu);
    }
    return true;
}

static ALWAYS_INLINE bool b_fst_sti(struct cpu *cpu, const struct insn *insn)
{
    return store_sti(cpu, insn, false);
}
X87_REG(fst_sti)

static ALWAYS_INLINE bool b_fstp_sti(struct cpu *cpu, const struct insn *insn)
{
    return store_sti(cpu, insn, true);
}
X87_REG(fstp_sti)

/* D9 D8-DF: does not check ST(0); an empty one is not stored, only popped (as measured on AMD Zen). */
static bool b_fstp1(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    if (!x87_is_empty(cpu, cpu->fpu.top)) {
        return store_sti(cpu, insn, true);
    }
    x87_clear_c1(cpu);
    x87_pop(cpu);
    return true;
}
X87_REG(fstp1)

/* ---- moves between registers ---- */

/* Masked underflow of FXCH: the empty ones of the two become the indefinite. */
static NOINLINE bool fill_empty(struct cpu *cpu, const struct insn *insn, unsigned a, unsigned b)
{
    if (!x87_stack_fault(cpu, insn, false)) {
        return false;
    }
    if (x87_is_empty(cpu, a)) {
        x87_set(cpu, a, f80_indefinite());
    }
    if (x87_is_empty(cpu, b)) {
        x87_set(cpu, b, f80_indefinite());
    }
    return true;
}

static ALWAYS_INLINE bool b_fxch(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned a = cpu->fpu.top, b = x87_st(cpu, insn->r1);
    if (UNLIKELY(x87_is_empty(cpu, a) || x87_is_empty(cpu, b))) {
        if (!fill_empty(cpu, insn, a, b)) {
            return true;
        }
    } else {
        x87_clear_c1(cpu);
    }
    struct float80 was = x87_get(cpu, a);
    x87_set(cpu, a, x87_get(cpu, b));
    x87_set(cpu, b, was);
    return true;
}
X87_REG(fxch)

#define CONDITIONAL_MOVE(name, cc)                                                                                     \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn)                                       \
    {                                                                                                                  \
        if (!x87_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        unsigned a = cpu->fpu.top, b = x87_st(cpu, insn->r1);                                                          \
        if (UNLIKELY(x87_is_empty(cpu, a) || x87_is_empty(cpu, b))) {                                                  \
            if (x87_stack_fault(cpu, insn, false)) {                                                                   \
                x87_set(cpu, a, f80_indefinite());                                                                     \
            }                                                                                                          \
            return true;                                                                                               \
        }                                                                                                              \
        if (condition(cpu, cc)) {                                                                                      \
            x87_set(cpu, a, x87_get(cpu, b));                                                                          \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_REG(name)
CONDITIONAL_MOVE(fcmovb, 2)
CONDITIONAL_MOVE(fcmovnb, 3)
CONDITIONAL_MOVE(fcmove, 4)
CONDITIONAL_MOVE(fcmovne, 5)
CONDITIONAL_MOVE(fcmovbe, 6)
CONDITIONAL_MOVE(fcmovnbe, 7)
CONDITIONAL_MOVE(fcmovu, 10)
CONDITIONAL_MOVE(fcmovnu, 11)

/* FCHS and FABS. */
#define SIGN(name, operation)                                                                                          \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn)                                       \
    {                                                                                                                  \
        if (!x87_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        unsigned top = cpu->fpu.top;                                                                                   \
        if (UNLIKELY(x87_is_empty(cpu, top))) {                                                                        \
            if (x87_stack_fault(cpu, insn, false)) {                                                                   \
                x87_set(cpu, top, f80_indefinite());                                                                   \
            }                                                                                                          \
            return true;                                                                                               \
        }                                                                                                              \
        x87_clear_c1(cpu);                                                                                             \
        x87_set(cpu, top, operation(x87_get(cpu, top)));                                                               \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_REG(name)
SIGN(fchs, f80_chs)
SIGN(fabs, f80_abs)

/* ---- arithmetic ---- */

/* The R operations have their operands exchanged. */
enum operation { OP_ADD, OP_MUL, OP_SUB, OP_SUBR, OP_DIV, OP_DIVR };

static ALWAYS_INLINE struct float80 compute(enum operation operation, struct fpu_env *env, struct float80 a,
                                            struct float80 b)
{
    switch (operation) {
    case OP_ADD:
        return f80_add(env, a, b);
    case OP_MUL:
        return f80_mul(env, a, b);
    case OP_SUB:
        return f80_sub(env, a, b);
    case OP_SUBR:
        return f80_sub(env, b, a);
    case OP_DIV:
        return f80_div(env, a, b);
    case OP_DIVR:
    default:
        return f80_div(env, b, a);
    }
}

static ALWAYS_INLINE bool compute_fast(struct cpu *cpu, enum operation operation, unsigned dest, struct float80 a,
                                       struct float80 b)
{
    switch (operation) {
    case OP_ADD:
        return x87_fast_add(cpu, dest, a, b);
    case OP_MUL:
        return x87_fast_multiply(cpu, dest, a, b);
    case OP_SUB:
        return x87_fast_add(cpu, dest, a, f80_chs(b));
    case OP_SUBR:
        return x87_fast_add(cpu, dest, b, f80_chs(a));
    case OP_DIV:
        return x87_fast_divide(cpu, dest, a, b);
    case OP_DIVR:
    default:
        return x87_fast_divide(cpu, dest, b, a);
    }
}

static ALWAYS_INLINE bool arith_registers(struct cpu *cpu, const struct insn *insn, enum operation operation,
                                          bool to_sti, bool pops)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned top = cpu->fpu.top, other = x87_st(cpu, insn->r1);
    unsigned dest = to_sti ? other : top, source = to_sti ? top : other;
    if (UNLIKELY(x87_is_empty(cpu, dest) || x87_is_empty(cpu, source))) {
        if (!x87_stack_fault(cpu, insn, false)) {
            return true;
        }
        x87_set(cpu, dest, f80_indefinite());
    } else if (UNLIKELY(!compute_fast(cpu, operation, dest, x87_get(cpu, dest), x87_get(cpu, source)))) {
        struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
        struct float80 result = compute(operation, &env, x87_get(cpu, dest), x87_get(cpu, source));
        if (UNLIKELY(!x87_commit(cpu, insn, &env))) {
            return true;
        }
        x87_set(cpu, dest, result);
    }
    if (pops) {
        x87_pop(cpu);
    }
    return true;
}

static ALWAYS_INLINE void arith_memory(struct cpu *cpu, const struct insn *insn, enum operation operation,
                                       struct float80 value, bool is_denormal)
{
    unsigned top = cpu->fpu.top;

    if (UNLIKELY(x87_is_empty(cpu, top))) {
        if (x87_stack_fault(cpu, insn, false)) {
            x87_set(cpu, top, f80_indefinite());
        }
        return;
    }
    if (LIKELY(!is_denormal && compute_fast(cpu, operation, top, x87_get(cpu, top), value))) {
        return;
    }
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
    struct float80 result = compute(operation, &env, x87_get(cpu, top), value);
    if (UNLIKELY(is_denormal)) {
        note_denormal(&env, x87_get(cpu, top));
    }
    if (LIKELY(x87_commit(cpu, insn, &env))) {
        x87_set(cpu, top, result);
    }
}

#define ARITH_MEMORY(name, operation, operand)                                                                         \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct float80 value;                                                                                          \
        bool is_denormal = false;                                                                                      \
        if (!x87_ready(cpu) || !operand(cpu, insn, form, &value, &is_denormal)) {                                      \
            return false;                                                                                              \
        }                                                                                                              \
        arith_memory(cpu, insn, operation, value, is_denormal);                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_MEM(name)
#define ARITH_REGISTERS(name, operation, to_sti, pops)                                                                 \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn)                                       \
    {                                                                                                                  \
        return arith_registers(cpu, insn, operation, to_sti, pops);                                                    \
    }                                                                                                                  \
    X87_REG(name)
/* `op` with its F and FI forms. */
#define ARITH(op, operation)                                                                                           \
    ARITH_MEMORY(f##op##_m32, operation, operand_m32)                                                                  \
    ARITH_MEMORY(f##op##_m64, operation, operand_m64)                                                                  \
    ARITH_MEMORY(fi##op##_m16, operation, operand_i16)                                                                 \
    ARITH_MEMORY(fi##op##_m32, operation, operand_i32)                                                                 \
    ARITH_REGISTERS(f##op##_st0, operation, false, false)                                                              \
    ARITH_REGISTERS(f##op##_sti, operation, true, false)                                                               \
    ARITH_REGISTERS(f##op##p, operation, true, true)
ARITH(add, OP_ADD)
ARITH(mul, OP_MUL)
ARITH(sub, OP_SUB)
ARITH(subr, OP_SUBR)
ARITH(div, OP_DIV)
ARITH(divr, OP_DIVR)

/* ---- comparison ---- */

static ALWAYS_INLINE void set_codes(struct cpu *cpu, unsigned mask, unsigned codes)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~mask) | codes);
}

static ALWAYS_INLINE unsigned relation_codes(enum f80_relation relation)
{
    return relation == F80_LESS      ? X87_C0
           : relation == F80_EQUAL   ? X87_C3
           : relation == F80_GREATER ? 0
                                     : X87_C0 | X87_C2 | X87_C3;
}

static ALWAYS_INLINE uint32_t relation_flags(enum f80_relation relation)
{
    return relation == F80_LESS      ? FLAG_CF
           : relation == F80_EQUAL   ? FLAG_ZF
           : relation == F80_GREATER ? 0
                                     : FLAG_CF | FLAG_PF | FLAG_ZF;
}

enum { COMPARE_QUIET = 1, COMPARE_EFLAGS = 2 };

/* Delivers ST(0) : b. `is_present`: both operands are there. True when pops are due. The condition codes are set
 * whether the exceptions are masked or not, EFLAGS not when an invalid operation is unmasked (SDM vol. 2, FCOMI). */
static ALWAYS_INLINE bool compare(struct cpu *cpu, const struct insn *insn, struct float80 b, bool is_present,
                                  bool is_denormal, unsigned how)
{
    enum f80_relation relation = F80_UNORDERED;
    bool is_masked, is_invalid = false;

    if (UNLIKELY(!is_present)) {
        is_masked = x87_stack_fault(cpu, insn, false);
        is_invalid = !is_masked;
    } else {
        struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
        struct float80 a = x87_get(cpu, cpu->fpu.top);
        relation = f80_compare(&env, a, b, (how & COMPARE_QUIET) != 0);
        if (UNLIKELY(is_denormal)) {
            note_denormal(&env, a);
        }
        is_masked = x87_commit(cpu, insn, &env);
        is_invalid = !is_masked && (env.exceptions & ~env.control & FPU_IE);
    }
    if (!(how & COMPARE_EFLAGS)) {
        set_codes(cpu, X87_C0 | X87_C2 | X87_C3, relation_codes(relation));
    } else if (LIKELY(!is_invalid)) {
        flags_scatter(cpu, relation_flags(relation));
    }
    return is_masked;
}

static ALWAYS_INLINE bool compare_registers(struct cpu *cpu, const struct insn *insn, unsigned i, unsigned how,
                                            unsigned pops)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned top = cpu->fpu.top, other = x87_st(cpu, i);
    bool is_present = !x87_is_empty(cpu, top) && !x87_is_empty(cpu, other);
    if (compare(cpu, insn, x87_get(cpu, other), is_present, false, how)) {
        for (unsigned k = 0; k < pops; k++) {
            x87_pop(cpu);
        }
    }
    return true;
}

#define COMPARE_REGISTERS(name, i, how, pops)                                                                          \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn)                                       \
    {                                                                                                                  \
        return compare_registers(cpu, insn, i, how, pops);                                                             \
    }                                                                                                                  \
    X87_REG(name)
COMPARE_REGISTERS(fcom, insn->r1, 0, 0)
COMPARE_REGISTERS(fcomp, insn->r1, 0, 1)
COMPARE_REGISTERS(fcompp, 1, 0, 2)
COMPARE_REGISTERS(fucom, insn->r1, COMPARE_QUIET, 0)
COMPARE_REGISTERS(fucomp, insn->r1, COMPARE_QUIET, 1)
COMPARE_REGISTERS(fucompp, 1, COMPARE_QUIET, 2)
COMPARE_REGISTERS(fcomi, insn->r1, COMPARE_EFLAGS, 0)
COMPARE_REGISTERS(fcomip, insn->r1, COMPARE_EFLAGS, 1)
COMPARE_REGISTERS(fucomi, insn->r1, COMPARE_EFLAGS | COMPARE_QUIET, 0)
COMPARE_REGISTERS(fucomip, insn->r1, COMPARE_EFLAGS | COMPARE_QUIET, 1)

#define COMPARE_MEMORY(name, operand, pops)                                                                            \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct float80 value;                                                                                          \
        bool is_denormal = false;                                                                                      \
        if (!x87_ready(cpu) || !operand(cpu, insn, form, &value, &is_denormal)) {                                      \
            return false;                                                                                              \
        }                                                                                                              \
        if (compare(cpu, insn, value, !x87_is_empty(cpu, cpu->fpu.top), is_denormal, 0) && (pops)) {                   \
            x87_pop(cpu);                                                                                              \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_MEM(name)
COMPARE_MEMORY(fcom_m32, operand_m32, false)
COMPARE_MEMORY(fcom_m64, operand_m64, false)
COMPARE_MEMORY(ficom_m16, operand_i16, false)
COMPARE_MEMORY(ficom_m32, operand_i32, false)
COMPARE_MEMORY(fcomp_m32, operand_m32, true)
COMPARE_MEMORY(fcomp_m64, operand_m64, true)
COMPARE_MEMORY(ficomp_m16, operand_i16, true)
COMPARE_MEMORY(ficomp_m32, operand_i32, true)

static ALWAYS_INLINE bool b_ftst(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    (void)compare(cpu, insn, (struct float80){ 0, 0 }, !x87_is_empty(cpu, cpu->fpu.top), false, 0);
    return true;
}
X87_REG(ftst)

static bool b_fxam(struct cpu *cpu, const struct insn *insn)
{
    static const uint16_t codes[] = {
        [F80_CLASS_UNSUPPORTED] = 0,           [F80_CLASS_NAN] = X87_C0,
        [F80_CLASS_NORMAL] = X87_C2,           [F80_CLASS_INFINITY] = X87_C2 | X87_C0,
        [F80_CLASS_ZERO] = X87_C3,             [F80_CLASS_DENORMAL] = X87_C3 | X87_C2,
    };

    (void)insn;
    if (!x87_ready(cpu)) {
        return false;
    }
    struct float80 a = x87_get(cpu, cpu->fpu.top);
    unsigned sign = a.sign_exp & 0x8000 ? X87_C1 : 0;
    bool is_empty = x87_is_empty(cpu, cpu->fpu.top);
    set_codes(cpu, X87_CODES, sign | (is_empty ? X87_C3 | X87_C0 : codes[f80_classify(a)]));
    return true;
}
X87_REG(fxam)

/* ---- functions ---- */

/* Of ST(0) alone. */
#define FUNCTION(name, operation)                                                                                      \
    static bool b_##name(struct cpu *cpu, const struct insn *insn)                                                     \
    {                                                                                                                  \
        if (!x87_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        unsigned top = cpu->fpu.top;                                                                                   \
        if (UNLIKELY(x87_is_empty(cpu, top))) {                                                                        \
            if (x87_stack_fault(cpu, insn, false)) {                                                                   \
                x87_set(cpu, top, f80_indefinite());                                                                   \
            }                                                                                                          \
            return true;                                                                                               \
        }                                                                                                              \
        struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);                                                           \
        struct float80 result = operation(&env, x87_get(cpu, top));                                                    \
        if (x87_commit(cpu, insn, &env)) {                                                                             \
            x87_set(cpu, top, result);                                                                                 \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    X87_REG(name)
FUNCTION(fsqrt, f80_sqrt)
FUNCTION(frndint, f80_rint)
FUNCTION(f2xm1, f80_2xm1)

typedef struct float80 binary_fn(struct fpu_env *env, struct float80 a, struct float80 b);

/* Of ST(0) and ST(1): the result replaces ST(0), or with `pops` ST(1), which becomes the top. */
static bool function2(struct cpu *cpu, const struct insn *insn, binary_fn *operation, bool pops)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned top = cpu->fpu.top, second = x87_st(cpu, 1), dest = pops ? second : top;
    if (x87_is_empty(cpu, top) || x87_is_empty(cpu, second)) {
        if (!x87_stack_fault(cpu, insn, false)) {
            return true;
        }
        x87_set(cpu, dest, f80_indefinite());
    } else {
        struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
        struct float80 result = operation(&env, x87_get(cpu, dest), x87_get(cpu, pops ? top : second));
        if (!x87_commit(cpu, insn, &env)) {
            return true;
        }
        x87_set(cpu, dest, result);
    }
    if (pops) {
        x87_pop(cpu);
    }
    return true;
}

#define FUNCTION2(name, operation, pops)                                                                               \
    static bool b_##name(struct cpu *cpu, const struct insn *insn)                                                     \
    {                                                                                                                  \
        return function2(cpu, insn, operation, pops);                                                                  \
    }                                                                                                                  \
    X87_REG(name)
FUNCTION2(fscale, f80_scale, false)
FUNCTION2(fyl2x, f80_yl2x, true)
FUNCTION2(fyl2xp1, f80_yl2xp1, true)
FUNCTION2(fpatan, f80_patan, true)

typedef struct float80 remainder_fn(struct fpu_env *env, struct float80 a, struct float80 b, struct f80_quotient *q);

static bool partial(struct cpu *cpu, const struct insn *insn, remainder_fn *operation)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned top = cpu->fpu.top, second = x87_st(cpu, 1);
    set_codes(cpu, X87_C2, 0);
    if (x87_is_empty(cpu, top) || x87_is_empty(cpu, second)) {
        if (x87_stack_fault(cpu, insn, false)) {
            x87_set(cpu, top, f80_indefinite());
        }
        return true;
    }
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
    struct f80_quotient q = { 0, false };
    struct float80 result = operation(&env, x87_get(cpu, top), x87_get(cpu, second), &q);
    if (!x87_commit(cpu, insn, &env)) {
        return true;
    }
    x87_set(cpu, top, result);
    if ((result.sign_exp & 0x7fff) == 0x7fff) {
        return true; /* a NaN: there is no quotient, and C0 and C3 keep their values */
    }
    set_codes(cpu, X87_CODES,
              (q.quotient & 4 ? X87_C0 : 0u) | (q.quotient & 2 ? X87_C3 : 0u) | (q.quotient & 1 ? X87_C1 : 0u) |
                  (q.is_incomplete ? X87_C2 : 0u));
    return true;
}

static bool b_fprem(struct cpu *cpu, const struct insn *insn)
{
    return partial(cpu, insn, f80_prem);
}
X87_REG(fprem)

static bool b_fprem1(struct cpu *cpu, const struct insn *insn)
{
    return partial(cpu, insn, f80_prem1);
}
X87_REG(fprem1)

typedef bool angle_fn(struct fpu_env *env, struct float80 a, struct float80 *result);

static bool angle(struct cpu *cpu, const struct insn *insn, angle_fn *operation)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    unsigned top = cpu->fpu.top;
    set_codes(cpu, X87_C2, 0);
    if (x87_is_empty(cpu, top)) {
        if (x87_stack_fault(cpu, insn, false)) {
            x87_set(cpu, top, f80_indefinite());
        }
        return true;
    }
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
    struct float80 result;
    if (!operation(&env, x87_get(cpu, top), &result)) {
        set_codes(cpu, X87_C1 | X87_C2, X87_C2);
        return true;
    }
    if (x87_commit(cpu, insn, &env)) {
        x87_set(cpu, top, result);
    }
    return true;
}

static bool b_fsin(struct cpu *cpu, const struct insn *insn)
{
    return angle(cpu, insn, f80_sin);
}
X87_REG(fsin)

static bool b_fcos(struct cpu *cpu, const struct insn *insn)
{
    return angle(cpu, insn, f80_cos);
}
X87_REG(fcos)

/* True when ST(0) can be replaced and a second result pushed; else the stack fault has been dealt with. */
static bool two_results_fit(struct cpu *cpu, const struct insn *insn)
{
    bool is_empty = x87_is_empty(cpu, cpu->fpu.top);

    if (!is_empty && x87_is_empty(cpu, x87_st(cpu, 7))) {
        return true;
    }
    if (x87_stack_fault(cpu, insn, !is_empty)) {
        x87_set(cpu, cpu->fpu.top, f80_indefinite());
        x87_push_raw(cpu, f80_indefinite());
    }
    return false;
}

typedef bool angle2_fn(struct fpu_env *env, struct float80 a, struct float80 *replaced, struct float80 *pushed);

static bool angle2(struct cpu *cpu, const struct insn *insn, angle2_fn *operation)
{
    struct float80 replaced, pushed;

    if (!x87_ready(cpu)) {
        return false;
    }
    set_codes(cpu, X87_C2, 0);
    if (!two_results_fit(cpu, insn)) {
        return true;
    }
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
    if (!operation(&env, x87_get(cpu, cpu->fpu.top), &replaced, &pushed)) {
        set_codes(cpu, X87_C1 | X87_C2, X87_C2);
        return true;
    }
    if (x87_commit(cpu, insn, &env)) {
        x87_set(cpu, cpu->fpu.top, replaced);
        x87_push_raw(cpu, pushed);
    }
    return true;
}

static bool b_fsincos(struct cpu *cpu, const struct insn *insn)
{
    return angle2(cpu, insn, f80_sincos);
}
X87_REG(fsincos)

static bool b_fptan(struct cpu *cpu, const struct insn *insn)
{
    return angle2(cpu, insn, f80_ptan);
}
X87_REG(fptan)

static bool b_fxtract(struct cpu *cpu, const struct insn *insn)
{
    struct float80 significand;

    if (!x87_ready(cpu)) {
        return false;
    }
    if (!two_results_fit(cpu, insn)) {
        return true;
    }
    struct fpu_env env = FPU_ENV_INIT(cpu->fpu.control);
    struct float80 exponent = f80_xtract(&env, x87_get(cpu, cpu->fpu.top), &significand);
    if (x87_commit(cpu, insn, &env)) {
        x87_set(cpu, cpu->fpu.top, exponent);
        x87_push_raw(cpu, significand);
    }
    return true;
}
X87_REG(fxtract)
