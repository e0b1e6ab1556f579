/* module.h - parts of the program that are loaded only when they are asked for.
 *
 * A display or a disassembler drags in libraries whose relocation alone takes longer than all else that happens between the
 * start of the process and the guest's first instruction (docs/decisions/modules.md). Each such part is a shared object of
 * its own, tick86-NAME.so, that offers one struct of functions; it calls back into the program. A build with MODULES=OFF (or
 * STATIC=ON) has them all built in. */
#ifndef FRONTENDS_MODULE_H
#define FRONTENDS_MODULE_H

#include "mem/error.h"

/* What the module offers: a pointer to the struct that its header declares. It stays loaded. NULL with `err` set when it was
 * not built, is not installed or lacks a library. */
const void *module_load(const char *name, struct error *err);

/* In a module's source, once, at file scope: `offer` is what module_load returns. */
#define MODULE(name, offer)                                                                                            \
    extern const void *const tick86_module_##name;                                                                     \
    const void *const tick86_module_##name = (offer)

#endif
