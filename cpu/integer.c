/* integer.c - the integer chapters, compiled as one unit so that sequences (sequences.def) can inline their steps. */
#include "cpu/bind.h"
#include "cpu/fuse.h"
#include "cpu/flags.h"

#include "cpu/int_alu.c.inc"
#include "cpu/int_move.c.inc"
#include "cpu/int_muldiv.c.inc"
#include "cpu/int_shift.c.inc"

#include "cpu/branch.c.inc"

/* ---- sequences ---- */

/* A field of the record, or the register that an instruction before it has in r1. */
#define LINKED(links, field, own)                                                                                      \
    (((links) >> (2 * (field)) & 3) == 0 ? (own)                                                                       \
     : ((links) >> (2 * (field)) & 3) == 1 ? before1                                                                   \
     : ((links) >> (2 * (field)) & 3) == 2 ? before2                                                                   \
                                           : before3)
/* Does one step of a sequence and goes to the next record; where the fast way does not serve, the exact handler goes on
 * from this record on its own, and with the rest of the block as it was decoded. The step gets a copy of the record: its
 * fields then are values to the compiler, and equal registers one value. */
#define DO(name, links)                                                                                                \
    {                                                                                                                  \
        struct insn copy_[2] = { insn[0], insn[n_##name - 1] };                                                        \
        copy_[0].r1 = LINKED(links, 0, copy_[0].r1);                                                                   \
        copy_[0].r2 = LINKED(links, 1, copy_[0].r2);                                                                   \
        copy_[0].r3 = LINKED(links, 2, copy_[0].r3);                                                                   \
        before3 = before2;                                                                                             \
        before2 = before1;                                                                                             \
        before1 = copy_[0].r1;                                                                                         \
        if (UNLIKELY(!s_##name(cpu, copy_))) {                                                                         \
            TAIL(c_##name);                                                                                            \
        }                                                                                                              \
        insn += n_##name;                                                                                              \
    }
#define BEGIN                                                                                                          \
    uint8_t before1 = 0, before2 = 0, before3 = 0;                                                                     \
    (void)before3;
#define NAME2(a, lb, b) h_##a##__##lb##b
#define NAME3(a, lb, b, lc, c) h_##a##__##lb##b##__##lc##c
#define NAME4(a, lb, b, lc, c, ld, d) h_##a##__##lb##b##__##lc##c##__##ld##d
#define NAME5(a, lb, b, lc, c, ld, d, le, e) h_##a##__##lb##b##__##lc##c##__##ld##d##__##le##e
#define S2(a, lb, b) static HANDLER(NAME2(a, lb, b)) { BEGIN DO(a, 0) DO(b, lb) GO(insn); }
#define S3(a, lb, b, lc, c) static HANDLER(NAME3(a, lb, b, lc, c)) { BEGIN DO(a, 0) DO(b, lb) DO(c, lc) GO(insn); }
#define S4(a, lb, b, lc, c, ld, d)                                                                                     \
    static HANDLER(NAME4(a, lb, b, lc, c, ld, d)) { BEGIN DO(a, 0) DO(b, lb) DO(c, lc) DO(d, ld) GO(insn); }
#define S5(a, lb, b, lc, c, ld, d, le, e)                                                                              \
    static HANDLER(NAME5(a, lb, b, lc, c, ld, d, le, e)) { BEGIN DO(a, 0) DO(b, lb) DO(c, lc) DO(d, ld) DO(e, le) GO(insn); }
#define E2(a, lb, b) static HANDLER(NAME2(a, lb, b)) { BEGIN DO(a, 0) TAIL(t_##b); }
#define E3(a, lb, b, lc, c) static HANDLER(NAME3(a, lb, b, lc, c)) { BEGIN DO(a, 0) DO(b, lb) TAIL(t_##c); }
#define E4(a, lb, b, lc, c, ld, d)                                                                                     \
    static HANDLER(NAME4(a, lb, b, lc, c, ld, d)) { BEGIN DO(a, 0) DO(b, lb) DO(c, lc) TAIL(t_##d); }
#define E5(a, lb, b, lc, c, ld, d, le, e)                                                                              \
    static HANDLER(NAME5(a, lb, b, lc, c, ld, d, le, e)) { BEGIN DO(a, 0) DO(b, lb) DO(c, lc) DO(d, ld) TAIL(t_##e); }
#include "cpu/sequences.def"
#undef S2
#undef S3
#undef S4
#undef S5
#undef E2
#undef E3
#undef E4
#undef E5

#define S2(a, lb, b) { h_##a, h_##b, NAME2(a, lb, b), lb },
#define S3(a, lb, b, lc, c) { NAME2(a, lb, b), h_##c, NAME3(a, lb, b, lc, c), lc },
#define S4(a, lb, b, lc, c, ld, d) { NAME3(a, lb, b, lc, c), h_##d, NAME4(a, lb, b, lc, c, ld, d), ld },
#define S5(a, lb, b, lc, c, ld, d, le, e) \
    { NAME4(a, lb, b, lc, c, ld, d), h_##e, NAME5(a, lb, b, lc, c, ld, d, le, e), le },
#define E2 S2
#define E3 S3
#define E4 S4
#define E5 S5
const struct sequence sequences[] = {
#include "cpu/sequences.def"
};
const size_t sequence_count = sizeof sequences / sizeof *sequences;
