/* opcodes.c - the rows of opcodes.def as data. */
#include "cpu/decode.h"

#include "cpu/model.h"

/* The short names that the table is written with; they live in this file only. */
enum {
    none = 0, C = STATUS_C, P = STATUS_P, A = STATUS_A, Z = STATUS_Z, S = STATUS_S, O = STATUS_O,
    OSZAPC = STATUS_ALL, SZAPC = STATUS_ALL - STATUS_O, OSZAP = STATUS_ALL - STATUS_C
};
enum {
    LOCKABLE = OP_LOCKABLE, CPL0 = OP_CPL0, PROTECTED = OP_PROTECTED, NOT64 = OP_NOT64, ENDS = OP_ENDS,
    BRANCH = OP_BRANCH, FAULTS = OP_FAULTS, STACK = OP_STACK, STACK2 = OP_STACK2, STRING = OP_STRING, IO = OP_IO,
    DEF64 = OP_DEF64, SIZED = OP_SIZED, XLAT = OP_XLAT, X87 = OP_X87, ONLY64 = OP_ONLY64, REXW = OP_REX_W
};
enum { PFX___ = PREFIX_ANY, PFX_NP = PREFIX_NONE, PFX_66 = PREFIX_66, PFX_F3 = PREFIX_F3, PFX_F2 = PREFIX_F2 };
enum { EXT___ = EXT_NONE, EXT_R1 = 2, EXT_R2, EXT_R3, EXT_R4, EXT_R5, EXT_R6, EXT_R7 };
enum { EXT_RR5 = EXT_RR0 + 5, EXT_RR6, EXT_RR7 };
#define EXT_X(modrm) modrm

/* Processors before the first model have what these name. */
enum {
    FEATURE_I8086 = FEATURE_ALWAYS, FEATURE_I186 = FEATURE_ALWAYS, FEATURE_I286 = FEATURE_ALWAYS,
    FEATURE_I386 = FEATURE_ALWAYS, FEATURE_I486 = FEATURE_ALWAYS, FEATURE_I8087 = FEATURE_ALWAYS,
    FEATURE_I287 = FEATURE_ALWAYS, FEATURE_I387 = FEATURE_ALWAYS, FEATURE_I586 = FEATURE_FAMILY5,
    FEATURE_I686 = FEATURE_FAMILY6
};

/* Operand codes: name, kind, size, register. */
#define OPERANDS(_)                                                                                                    \
    _(__, NONE, NONE, 0)                                                                                               \
    _(Eb, E, B, 0) _(Ew, E, W, 0) _(Ed, E, D, 0) _(Eq, E, Q, 0) _(Ev, E, V, 0)                                         \
    _(M, M, NONE, 0) _(Mb, M, B, 0) _(Mw, M, W, 0) _(Md, M, D, 0) _(Mq, M, Q, 0) _(Mt, M, T, 0) _(Mp, M, P, 0)         \
    _(Ma, M, A, 0) _(Ms, M, S, 0)                                                                                      \
    _(Rd, R, Y, 0)                                                                                                     \
    _(Gb, G, B, 0) _(Gw, G, W, 0) _(Gv, G, V, 0)                                                                       \
    _(Zb, Z, B, 0) _(Zv, Z, V, 0) _(Zy, Z, V, 0)                                                                       \
    _(Ib, I, B, 0) _(Iw, I, W, 0) _(Iz, I, Z, 0) _(Iv, I, V, 0) _(sIb, SI, B, 0) _(Ib2, I2, B, 0)                      \
    _(Jb, J, B, 0) _(Jz, J, Z, 0) _(Ap, A, P, 0)                                                                       \
    _(Ob, O, B, 0) _(Ov, O, V, 0)                                                                                      \
    _(Sw, S, W, 0) _(Cd, C, Y, 0) _(Dd, D, Y, 0)                                                                       \
    _(Xb, X, B, 0) _(Xv, X, V, 0) _(Xz, X, Z, 0) _(Yb, Y, B, 0) _(Yv, Y, V, 0) _(Yz, Y, Z, 0)                          \
    _(AL, FIXED, B, 0) _(CL, FIXED, B, 1) _(DX, FIXED, W, 2) _(AX, FIXED, W, 0) _(rAX, FIXED, V, 0)                    \
    _(zAX, FIXED, Z, 0)                                                                                                \
    _(ES, SEG, W, 0) _(CS, SEG, W, 1) _(SS, SEG, W, 2) _(DS, SEG, W, 3) _(FS, SEG, W, 4) _(GS, SEG, W, 5)              \
    _(K1, ONE, NONE, 0) _(ST0, ST, NONE, 8) _(STi, ST, NONE, 0)                                                        \
    _(Pq, P, Q, 0) _(Qq, Q, Q, 0) _(Qd, Q, D, 0) _(Nq, N, Q, 0)                                                        \
    _(Vx, V, X, 0) _(Vq, V, Q, 0) _(Vss, V, D, 0) _(Vsd, V, Q, 0)                                                      \
    _(Wx, W, X, 0) _(Wq, W, Q, 0) _(Wd, W, D, 0) _(Ww, W, W, 0) _(Wss, W, D, 0) _(Wsd, W, Q, 0)                        \
    _(Ux, U, X, 0) _(Uq, U, Q, 0) _(Mx, M, X, 0) _(XMM0, XMM0, X, 0)                                                   \
    _(Ey, E, Y, 0) _(Gy, G, Y, 0) _(Gd, G, D, 0) _(My, M, Y, 0) _(RRd, RR, D, 0) _(RRv, RR, V, 0) _(RRy, RR, Y, 0)                                           \
    _(Mv, M, V, 0) _(By, B, Y, 0)

#define OPERAND_ENUM(name, kind, size, number) OPERAND_##name,
enum { OPERANDS(OPERAND_ENUM) OPERAND_COUNT };
#define OPERAND_ROW(name, kind, size, number) { #name, KIND_##kind, SIZE_##size, number },
const struct operand_code operand_codes[] = { OPERANDS(OPERAND_ROW) };

#define OP(map, byte, pfx, ext, mnemonic, op1, op2, op3, attrs, reads, writes, undefined, since, stem)                 \
    extern const struct binding bind_##stem;
#define OP8 OP
#include "cpu/opcodes.def"
#undef OP
#undef OP8

#define OP_ROW(map, byte, number, pfx, ext, mnemonic, op1, op2, op3, attrs, reads, writes, undefined, since, stem)     \
    { mnemonic, #stem, &bind_##stem, MAP_##map, 0x##byte, number, PFX_##pfx, EXT_##ext,                                \
      { OPERAND_##op1, OPERAND_##op2, OPERAND_##op3 }, attrs, reads, writes, undefined, FEATURE_##since, #since },
#define OP(map, byte, pfx, ext, mnemonic, op1, op2, op3, attrs, reads, writes, undefined, since, stem)                 \
    OP_ROW(map, byte, 1, pfx, ext, mnemonic, op1, op2, op3, attrs, reads, writes, undefined, since, stem)
#define OP8(map, byte, pfx, ext, mnemonic, op1, op2, op3, attrs, reads, writes, undefined, since, stem)                \
    OP_ROW(map, byte, 8, pfx, ext, mnemonic, op1, op2, op3, attrs, reads, writes, undefined, since, stem)
const struct opcode opcodes[] = {
#include "cpu/opcodes.def"
};
const size_t opcode_count = sizeof opcodes / sizeof *opcodes;
