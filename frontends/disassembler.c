/* disassembler.c - gets the disassembler's module when it is first needed. */
#include "frontends/disassembler.h"
#include "frontends/module.h"

#include <stdbool.h>

const struct disassembler *disassembler_get(void)
{
    static const struct disassembler *loaded;
    static bool was_tried;

    if (!was_tried) {
        struct error err = {0};
        loaded = module_load("disassembler", &err);
        was_tried = true;
    }
    return loaded;
}
