/* decode.h - from instruction bytes to a row of the instruction table with its operands.
 *
 * The decoder is built from opcodes.def when a processor is created; it serves the block builder, the disassembler and
 * the tests. SDM vol. 2, chapter 2 (format) and appendix A (maps). */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include "cpu/cpu.h"
#include "cpu/handler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The last two are those behind a VEX prefix. */
enum opcode_map { MAP_1B, MAP_0F, MAP_38, MAP_3A, MAP_V38, MAP_V3A, MAP_COUNT };

/* How a mandatory prefix selects a row. */
enum opcode_prefix { PREFIX_ANY, PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };

enum operand_kind {
    KIND_NONE,
    KIND_E,     /* ModRM.rm: register or memory */
    KIND_M,     /* ModRM.rm: memory only */
    KIND_R,     /* ModRM.rm: register, whatever mod says */
    KIND_G,     /* ModRM.reg */
    KIND_Z,     /* low three bits of the opcode */
    KIND_I,     /* immediate */
    KIND_SI,    /* immediate byte, sign-extended */
    KIND_I2,    /* second immediate byte (ENTER) */
    KIND_J,     /* relative branch target */
    KIND_A,     /* far pointer */
    KIND_O,     /* memory at an immediate address */
    KIND_S,     /* segment register in ModRM.reg */
    KIND_C,     /* control register in ModRM.reg */
    KIND_D,     /* debug register in ModRM.reg */
    KIND_X,     /* DS:rSI */
    KIND_Y,     /* ES:rDI */
    KIND_FIXED, /* a general register by name */
    KIND_SEG,   /* a segment register by name */
    KIND_ONE,   /* the constant 1 */
    KIND_ST,    /* x87 register: ModRM.rm */
    KIND_P,     /* MMX register in ModRM.reg */
    KIND_Q,     /* ModRM.rm: MMX register or memory */
    KIND_N,     /* ModRM.rm: MMX register only */
    KIND_V,     /* XMM register in ModRM.reg */
    KIND_W,     /* ModRM.rm: XMM register or memory */
    KIND_U,     /* ModRM.rm: XMM register only */
    KIND_RR,    /* ModRM.rm: general register only; memory is another row */
    KIND_XMM0,  /* the register XMM0, implied */
    KIND_B      /* general register in VEX.vvvv */
};

enum operand_size {
    SIZE_NONE, SIZE_B, SIZE_W, SIZE_D, SIZE_Q, SIZE_V /* 16, 32 or 64 by operand size */,
    SIZE_Z /* 16 or 32 */, SIZE_Y /* 32 or 64 */, SIZE_P /* far pointer */, SIZE_A /* pair for BOUND */,
    SIZE_S /* descriptor table register */, SIZE_T /* 80 bits */, SIZE_X /* 16 bytes */
};

struct operand_code {
    const char *name;
    uint8_t kind; /* enum operand_kind */
    uint8_t size; /* enum operand_size */
    uint8_t number; /* register of KIND_FIXED and KIND_SEG */
};

/* Attributes of a row. */
enum {
    OP_LOCKABLE = 1,    /* LOCK is allowed with a memory destination */
    OP_CPL0 = 2,        /* #GP(0) unless CPL is 0 */
    OP_PROTECTED = 4,   /* #UD in real and virtual-8086 mode */
    OP_NOT64 = 8,       /* #UD in 64-bit mode */
    OP_ONLY64 = 16,     /* #UD outside of 64-bit mode */
    OP_ENDS = 32,       /* ends a block */
    OP_BRANCH = 64,     /* ends a block by a near transfer that may be linked */
    OP_FAULTS = 128,    /* may fault even without a memory operand */
    OP_STACK = 256,     /* pushes or pops: has a fast form on flat 32-bit stacks */
    OP_STACK2 = 512,    /* pushes and has another operand that may be memory */
    OP_STRING = 1024,   /* REP prefixes apply */
    OP_IO = 2048,
    OP_DEF64 = 4096,    /* operand size defaults to 64 bits in 64-bit mode */
    OP_SIZED = 8192,    /* operand size matters though no operand says so */
    OP_XLAT = 16384,    /* implicit memory operand DS:[rBX + AL] */
    OP_X87 = 32768,     /* #NM and pending x87 errors first */
    OP_REX_W = 1 << 16, /* the row is for REX.W only; it stands before the one that is for all */
    OP_MOV_SEG = 1 << 17 /* reserved */
};

/* Status flags as the table names them. */
enum { STATUS_C = 1, STATUS_P = 2, STATUS_A = 4, STATUS_Z = 8, STATUS_S = 16, STATUS_O = 32, STATUS_ALL = 63 };

/* `ext` of a row: none, ModRM.reg, ModRM.reg of the register form, or the whole ModRM byte (C0h and above). */
enum { EXT_NONE = 0, EXT_R0 = 1, EXT_RR0 = 9 };

struct opcode {
    const char *mnemonic;
    const char *stem;
    const struct binding *binding;
    uint8_t map, byte, count, prefix, ext;
    uint8_t operands[3]; /* indices into operand_codes */
    uint32_t attributes;
    uint8_t flags_read, flags_written, flags_undefined;
    uint16_t feature; /* enum feature: what the processor must have */
    const char *since;
};

extern const struct opcode opcodes[];
extern const size_t opcode_count;
extern const struct operand_code operand_codes[];

enum { INSTRUCTION_MAX = 15 };

/* One decoded instruction. */
struct decoded {
    const struct opcode *opcode;
    uint8_t length;
    uint8_t operand_size; /* 1: 16, 2: 32, 3: 64 bits */
    uint8_t address_size; /* 0: 16, 1: 32, 2: 64 bits */
    uint8_t size;         /* of the binding: 0: 8, 1: 16, 2: 32, 3: 64 bits */
    uint8_t repeat;       /* 0, F2h or F3h */
    bool has_lock;
    bool has_modrm;
    bool is_relative; /* to RIP: the address of the next instruction is to be added to the displacement */
    uint8_t rex;      /* 40h to 4Fh, or 0 */
    bool has_vex;
    bool vex_l;
    uint8_t vvvv;     /* register in VEX.vvvv */
    uint8_t reg, rm;  /* fields of ModRM with REX.R and REX.B */
    bool is_memory;   /* the ModRM or moffs operand is in memory */
    uint8_t modrm;
    uint8_t segment;  /* of the memory operand: override or default; enum segment_index */
    bool has_override;
    uint8_t base, index, scale; /* REG_NIL when absent */
    uint8_t opcode_byte; /* the last one: its low bits name a register in some rows */
    uint64_t displacement; /* sign-extended (64-bit absolute addresses: all of it) */
    uint64_t immediate;    /* sign-extended where the instruction does so; J: displacement; A: offset */
    uint16_t immediate2;   /* A: selector; ENTER: nesting level */
};

enum decode_result {
    DECODED,
    DECODE_UNDEFINED,  /* #UD */
    DECODE_TOO_LONG,   /* more than 15 bytes: #GP(0) */
    DECODE_MORE        /* the bytes end before the instruction does */
};

struct cpu_model;

/* Builds the maps of the instructions that the model has (NULL: of all). NULL when out of memory. In debug builds an overlap in the
 * table is a bug. */
struct decoder *decoder_create(const struct cpu_model *model);
void decoder_destroy(struct decoder *decoder);

/* Decodes one instruction from `available` bytes in the given mode (MODE_CODE32, MODE_CODE64, MODE_PROTECTED count).
 * Preconditions of the mode (#UD for PROTECTED rows, illegal LOCK) are applied; privilege is not. On DECODE_UNDEFINED
 * `out->length` counts the bytes looked at. */
enum decode_result decode(const struct decoder *decoder, const uint8_t *bytes, size_t available, unsigned mode,
                          struct decoded *out);

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

/* The register that the low bits of the opcode name. */
static inline unsigned opcode_register(const struct decoded *d)
{
    return (d->opcode_byte & 7u) | (d->rex & REX_B ? 8u : 0u);
}

/* Byte offset in cpu->gpr of an 8-bit register (AL CL DL BL AH CH DH BH; with REX SPL BPL SIL DIL for the last four). */
static inline uint8_t byte_register_offset(unsigned number, bool has_rex)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (uint8_t)(number >= 4 && number < 8 && !has_rex ? (number - 4) * 8 + 6 : number * 8 + 7);
#else
    return (uint8_t)(number >= 4 && number < 8 && !has_rex ? (number - 4) * 8 + 1 : number * 8);
#endif
}

#endif
