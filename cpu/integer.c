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

/* Does one step of a sequence and goes to the next record; where the fast way does not serve, the exact handler goes on
 * from this record on its own, and with the rest of the block as it was decoded. */
#define DO(name)                                                                                                       \
    if (UNLIKELY(!s_##name(cpu, insn))) {                                                                              \
        TAIL(c_##name);                                                                                                \
    }                                                                                                                  \
    insn += n_##name;
#define S2(a, b) static HANDLER(h_##a##__##b) { DO(a) DO(b) GO(insn); }
#define S3(a, b, c) static HANDLER(h_##a##__##b##__##c) { DO(a) DO(b) DO(c) GO(insn); }
#define S4(a, b, c, d) static HANDLER(h_##a##__##b##__##c##__##d) { DO(a) DO(b) DO(c) DO(d) GO(insn); }
#define S5(a, b, c, d, e) static HANDLER(h_##a##__##b##__##c##__##d##__##e) { DO(a) DO(b) DO(c) DO(d) DO(e) GO(insn); }
#define E2(a, b) static HANDLER(h_##a##__##b) { DO(a) TAIL(t_##b); }
#define E3(a, b, c) static HANDLER(h_##a##__##b##__##c) { DO(a) DO(b) TAIL(t_##c); }
#define E4(a, b, c, d) static HANDLER(h_##a##__##b##__##c##__##d) { DO(a) DO(b) DO(c) TAIL(t_##d); }
#define E5(a, b, c, d, e) static HANDLER(h_##a##__##b##__##c##__##d##__##e) { DO(a) DO(b) DO(c) DO(d) TAIL(t_##e); }
#include "cpu/sequences.def"
#undef S2
#undef S3
#undef S4
#undef S5
#undef E2
#undef E3
#undef E4
#undef E5

#define S2(a, b) { h_##a, h_##b, h_##a##__##b },
#define S3(a, b, c) { h_##a##__##b, h_##c, h_##a##__##b##__##c },
#define S4(a, b, c, d) { h_##a##__##b##__##c, h_##d, h_##a##__##b##__##c##__##d },
#define S5(a, b, c, d, e) { h_##a##__##b##__##c##__##d, h_##e, h_##a##__##b##__##c##__##d##__##e },
#define E2 S2
#define E3 S3
#define E4 S4
#define E5 S5
const struct sequence sequences[] = {
#include "cpu/sequences.def"
};
const size_t sequence_count = sizeof sequences / sizeof *sequences;
