/* disassemble.h - text of an instruction, from the instruction table. */
#ifndef CPU_DISASSEMBLE_H
#define CPU_DISASSEMBLE_H

#include "cpu/decode.h"

#include <stddef.h>
#include <stdint.h>

/* Writes the instruction in Intel syntax ("add dword ptr [ebx + esi*4 + 0x10], eax") and returns its length in bytes. Bytes
 * that are no instruction of this processor in `mode` give "(bad)" and length 1; 0 when there are too few bytes. `eip` is the
 * address of the first byte, for branch targets. */
size_t disassemble(const struct decoder *decoder, const uint8_t *bytes, size_t available, unsigned mode, uint64_t eip,
                   char *text, size_t size);

/* The same for an instruction that was decoded already. */
void disassemble_decoded(const struct decoded *decoded, uint64_t eip, char *text, size_t size);

#endif
