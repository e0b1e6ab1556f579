/* disassembler.c - guest code as text, by capstone 4. */
#include "frontends/disassembler.h"
#include "frontends/module.h"

#include <capstone/capstone.h>
#include <stdio.h>

static size_t run(unsigned bits, uint64_t address, const uint8_t *bytes, size_t size, disassembled_fn *each, void *context)
{
    csh handle;
    cs_mode mode = bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16;

    if (cs_open(CS_ARCH_X86, mode, &handle) != CS_ERR_OK) {
        return 0;
    }
    cs_insn *insn = cs_malloc(handle);
    const uint8_t *code = bytes;
    size_t left = size;
    while (insn != NULL && cs_disasm_iter(handle, &code, &left, &address, insn)) {
        char text[sizeof insn->mnemonic + sizeof insn->op_str + 1];
        snprintf(text, sizeof text, insn->op_str[0] != '\0' ? "%s %s" : "%s", insn->mnemonic, insn->op_str);
        each(context, insn->address, insn->bytes, insn->size, text);
    }
    if (insn != NULL) {
        cs_free(insn, 1);
    }
    cs_close(&handle);
    return size - left;
}

static const struct disassembler offer = { run };
MODULE(disassembler, &offer);
