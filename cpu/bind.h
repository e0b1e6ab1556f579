/* bind.h - tables from stems of opcodes.def to handlers. A column is an operand size: 8, 16, 32, 64 bits. */
#ifndef CPU_BIND_H
#define CPU_BIND_H

#include "cpu/handler.h"

#define SIZES(name) { h_##name##8, h_##name##16, h_##name##32, h_##name##64 }
#define SIZES_V(name) { NULL, h_##name##16, h_##name##32, h_##name##64 }
/* For instructions that are not there in 64-bit code, or whose operand is 32 bits at most. */
#define SIZES_32(name) { NULL, h_##name##16, h_##name##32, NULL }
#define ALL_SIZES(handler) { handler, handler, handler, handler }
/* The sized handlers of a stem: <stem>8_m and so on. */
#define SIZES_FORM(name, form)                                                                                         \
    { h_##name##8_##form, h_##name##16_##form, h_##name##32_##form, h_##name##64_##form }
#define SIZES_FORM_V(name, form) { NULL, h_##name##16_##form, h_##name##32_##form, h_##name##64_##form }
/* 32-bit addresses go with operands of 8 to 32 bits only. */
#define SIZES_SHORT(name, form) { h_##name##8_##form, h_##name##16_##form, h_##name##32_##form, NULL }
#define SIZES_SHORT_V(name, form) { NULL, h_##name##16_##form, h_##name##32_##form, NULL }

#define FORMS(name)                                                                                                    \
    [FORM_GENERIC] = SIZES_FORM(name, m), [FORM_BD] = SIZES_SHORT(name, bd), [FORM_BID] = SIZES_SHORT(name, bid),      \
    [FORM_LBD] = SIZES_FORM(name, lbd), [FORM_LBID] = SIZES_FORM(name, lbid)
#define FORMS_V(name)                                                                                                  \
    [FORM_GENERIC] = SIZES_FORM_V(name, m), [FORM_BD] = SIZES_SHORT_V(name, bd),                                       \
    [FORM_BID] = SIZES_SHORT_V(name, bid), [FORM_LBD] = SIZES_FORM_V(name, lbd), [FORM_LBID] = SIZES_FORM_V(name, lbid)

/* Both register and memory operands, 8 to 64 bits, or 16 to 64 bits only. */
#define BIND_RM(stem, reg, mem)                                                                                        \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES(reg), FORMS(mem) } } };
#define BIND_RM_V(stem, reg, mem)                                                                                      \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES_V(reg), FORMS_V(mem) } } };
/* With variants for dead flags. */
#define BIND_RM_NF(stem, reg, mem)                                                                                     \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES(reg), FORMS(mem) },                           \
                                           [DEAD] = { [FORM_REG] = SIZES(reg##_nf), FORMS(mem##_nf) } } };
#define BIND_RM_V_NF(stem, reg, mem)                                                                                   \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES_V(reg), FORMS_V(mem) },                       \
                                           [DEAD] = { [FORM_REG] = SIZES_V(reg##_nf), FORMS_V(mem##_nf) } } };
/* A variant for dead flags with register operands only. */
#define BIND_RM_R_NF(stem, reg, mem)                                                                                   \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES(reg), FORMS(mem) },                           \
                                           [DEAD] = { [FORM_REG] = SIZES(reg##_nf), FORMS(mem) } } };
/* One handler whatever the size, without memory operand. */
#define BIND_ONE(stem, handler)                                                                                        \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = ALL_SIZES(handler),                                 \
                                                      [FORM_GENERIC] = ALL_SIZES(handler) } } };
/* One handler, and another with REX.W. */
#define BIND_REX_W(stem)                                                                                               \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = { h_##stem, h_##stem, h_##stem, h_##stem##64 },     \
                                                      [FORM_GENERIC] = { h_##stem, h_##stem, h_##stem,                 \
                                                                         h_##stem##64 } } } };
/* By operand size 16 to 64 (or 16 and 32), no memory operand (or one that the handler reads by itself). */
#define BIND_SIZED(stem)                                                                                               \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES_V(stem), [FORM_GENERIC] = SIZES_V(stem) } } };
#define BIND_SIZED_32(stem)                                                                                            \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES_32(stem), [FORM_GENERIC] = SIZES_32(stem) } } };
#define BIND_SIZED8_32(stem)                                                                                           \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = { h_##stem##8, h_##stem##16, h_##stem##32, NULL },  \
                                                      [FORM_GENERIC] = { h_##stem##8, h_##stem##16, h_##stem##32,      \
                                                                         NULL } } } };
#define BIND_SIZED8(stem)                                                                                              \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = SIZES(stem), [FORM_GENERIC] = SIZES(stem) } } };

#endif
