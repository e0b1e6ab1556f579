/* model.h - models of processors: which features they have, and what CPUID says of them. */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* Registers of CPUID leaves that hold feature bits. */
enum feature_word {
    WORD_1_EDX, WORD_1_ECX, WORD_7_EBX, WORD_7_ECX, WORD_7_EDX, WORD_D1_EAX, WORD_81_EDX, WORD_81_ECX, WORD_87_EDX,
    WORD_COUNT
};

/* A feature's number is its word and bit. */
#define FEATURE(id, word, bit, name, models) FEATURE_##id = WORD_##word * 32 + (bit),
enum feature {
#include "cpu/features.def"
    /* Not bits of CPUID, but what instructions came with. */
    FEATURE_ALWAYS = WORD_COUNT * 32,
    FEATURE_FAMILY5,
    FEATURE_FAMILY6
};
#undef FEATURE

struct cpu_model {
    const char *name, *brand;
    uint32_t signature; /* EAX of leaf 1 */
    uint32_t basic_max, extended_max;
    uint8_t physical_bits;
    uint32_t features[WORD_COUNT];
};

static inline bool model_has(const struct cpu_model *model, unsigned feature)
{
    if (feature >= FEATURE_ALWAYS) {
        unsigned family = model->signature >> 8 & 15;
        return feature == FEATURE_ALWAYS || family >= (feature == FEATURE_FAMILY5 ? 5u : 6u);
    }
    return model->features[feature / 32] >> (feature % 32) & 1;
}

/* "MODEL[,+feature,-feature]" (also "feature=on|off"); NULL: the default, "max". An unknown model or feature is an error that names
 * the nearest one, as is a feature that needs another one which is not there. */
bool cpu_model_parse(const char *text, struct cpu_model *model, struct error *err);

/* The nth model, with its features' names separated by blanks in `text`; false when there is none. */
bool cpu_model_describe(size_t n, const char **name, char *text, size_t size);

#endif
