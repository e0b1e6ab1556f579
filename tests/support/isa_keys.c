/* isa_keys.c - prints what names each row of the instruction table, for check_isa.sh. */
#include "cpu/isa.h"

#include <stdio.h>

int main(void)
{
    char key[80];

    for (size_t k = 0; k < opcode_count; k++) {
        isa_key(&opcodes[k], key, sizeof key);
        puts(key);
    }
    return 0;
}
