/* isa.h - rows of the instruction table by name, and the CPUID feature that says a processor has them. */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include "cpu/decode.h"

/* What names one row and no other, as opcodes.def writes it: map, byte, prefix, extension, mnemonic and operands. */
void isa_key(const struct opcode *row, char *text, size_t size);

/* The opcode as the SDM writes it: "66 0F 38 00 /r", "D9 F0", "0F BA /4 ib". */
void isa_encoding(const struct opcode *row, char *text, size_t size);

/* Mnemonic and operands as in the table: "pshufb Vx, Wx". */
void isa_form(const struct opcode *row, char *text, size_t size);

/* The feature, and where CPUID tells it ("1:ECX.9"); rows that came with a processor of which CPUID says nothing have its
 * name, and "-". SDM vol. 2, CPUID, tables 3-8 to 3-11. */
struct isa_feature {
    const char *name, *bit;
};
struct isa_feature isa_feature(const struct opcode *row);

#endif
