/* symbols_private.h - for those who find symbols. */
#ifndef FRONTENDS_SYMBOLS_PRIVATE_H
#define FRONTENDS_SYMBOLS_PRIVATE_H

#include "frontends/symbols.h"

bool symbols_add(struct symbols *symbols, uint64_t address, const char *name, size_t length);
/* After the last one. */
bool symbols_sort(struct symbols *symbols);

#endif
