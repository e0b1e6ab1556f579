/* model.c - the models of -cpu: names, signatures and the features of features.def.
 *
 * Signatures are those of the processors they are named after (SDM vol. 4, table 2-1), or of a Core 2 Duo: a 64-bit processor
 * of whose errata no system makes much. */
#include "cpu/model.h"

#include "mem/error.h"

#include <stdio.h>
#include <string.h>

enum {
    M486 = 1,
    MPENTIUM = 2,
    MPENTIUM2 = 4,
    MPENTIUM3 = 8,
    MQEMU32 = 16,
    MCORE2DUO = 32,
    MV1 = 64,
    MV2 = 128,
    MMAX = 256,
    SINCE_V2 = MV2 | MMAX,
    SINCE_CORE2 = MCORE2DUO | MV1 | SINCE_V2,
    SINCE_PENTIUM2 = MPENTIUM2 | MPENTIUM3 | MQEMU32 | SINCE_CORE2,
    SINCE_PENTIUM = MPENTIUM | SINCE_PENTIUM2
};

static const struct {
    const char *name, *brand;
    uint32_t signature, basic_max, extended_max;
    unsigned set;
    uint8_t physical_bits;
} models[] = {
    { "486", "tick86 486 processor", 0x480, 1, 0, M486, 32 },
    { "pentium", "tick86 Pentium processor", 0x543, 1, 0, MPENTIUM, 32 },
    { "pentium2", "tick86 Pentium II processor", 0x652, 2, 0, MPENTIUM2, 36 },
    { "pentium3", "tick86 Pentium III processor", 0x673, 2, 0, MPENTIUM3, 36 },
    { "qemu32", "tick86 32-bit processor", 0x663, 4, 0x80000004, MQEMU32, 36 },
    { "core2duo", "tick86 Core 2 Duo processor", 0x6fb, 0x0a, 0x80000008, MCORE2DUO, 36 },
    { "x86-64", "tick86 x86-64 processor", 0x6fb, 0x16, 0x80000008, MV1, 40 },
    { "x86-64-v2", "tick86 x86-64-v2 processor", 0x6fb, 0x16, 0x80000008, MV2, 40 },
    { "max", "tick86 processor @ 1.00GHz", 0x6fb, 0x16, 0x80000008, MMAX, 40 },
};
enum { MODEL_COUNT = sizeof models / sizeof *models };

static const struct feature_row {
    uint16_t feature;
    uint16_t models;
    const char *name;
} rows[] = {
#define FEATURE(id, word, bit, name, models) { FEATURE_##id, (uint16_t)(models), name },
#include "cpu/features.def"
#undef FEATURE
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

/* Other spellings: QEMU's, and what people say. */
static const char *const aliases[][2] = {
    { "sse3", "pni" }, { "tsc-deadline", "tsc_deadline_timer" }, { "lahf-lm", "lahf_lm" }, { "invtsc", "nonstop_tsc" }, { "spec-ctrl", "ibrs" },
    { "arch-capabilities", "arch_capabilities" }, { "lzcnt", "abm" }, { "sha-ni", "sha_ni" },
};

/* What is useless, or not allowed to be there, without something else. */
static const struct {
    uint16_t feature, needs;
} needs[] = {
    { FEATURE_SSE, FEATURE_FXSR },     { FEATURE_SSE2, FEATURE_SSE },      { FEATURE_SSE3, FEATURE_SSE2 },
    { FEATURE_SSSE3, FEATURE_SSE3 },   { FEATURE_SSE4_1, FEATURE_SSSE3 },  { FEATURE_SSE4_2, FEATURE_SSE4_1 },
    { FEATURE_AES, FEATURE_SSE2 },     { FEATURE_PCLMULQDQ, FEATURE_SSE2 }, { FEATURE_XSAVE, FEATURE_FXSR },
    { FEATURE_LM, FEATURE_PAE },       { FEATURE_LM, FEATURE_SYSCALL },    { FEATURE_LM, FEATURE_SSE2 },
    { FEATURE_LM, FEATURE_FXSR },      { FEATURE_LM, FEATURE_CMOV },       { FEATURE_LM, FEATURE_MSR },
    { FEATURE_NX, FEATURE_PAE },       { FEATURE_CX16, FEATURE_LM },       { FEATURE_PCID, FEATURE_LM },
    { FEATURE_INVPCID, FEATURE_PCID }, { FEATURE_LA57, FEATURE_LM },       { FEATURE_PDPE1GB, FEATURE_LM },
    { FEATURE_FSGSBASE, FEATURE_LM },  { FEATURE_PKU, FEATURE_LM },        { FEATURE_LAHF_LM, FEATURE_LM },
    { FEATURE_PKU, FEATURE_XSAVE },    { FEATURE_XSAVEOPT, FEATURE_XSAVE }, { FEATURE_XSAVEC, FEATURE_XSAVE },
    { FEATURE_XGETBV1, FEATURE_XSAVE }, { FEATURE_SHA_NI, FEATURE_SSE2 },
    { FEATURE_X2APIC, FEATURE_APIC }, { FEATURE_TSC_DEADLINE, FEATURE_APIC },
};

static void model_set(struct cpu_model *model, unsigned feature, bool on)
{
    uint32_t bit = UINT32_C(1) << (feature % 32);

    BUG_ON(feature >= FEATURE_ALWAYS);
    model->features[feature / 32] = (model->features[feature / 32] & ~bit) | (on ? bit : 0);
}

static void model_open(struct cpu_model *model, size_t n)
{
    *model = (struct cpu_model){ models[n].name,         models[n].brand,        models[n].signature,
                                 models[n].basic_max,    models[n].extended_max, models[n].physical_bits, { 0 } };
    for (size_t k = 0; k < ROW_COUNT; k++) {
        model_set(model, rows[k].feature, (rows[k].models & models[n].set) != 0);
    }
}

static const char *feature_name(unsigned feature)
{
    for (size_t k = 0; k < ROW_COUNT; k++) {
        if (rows[k].feature == feature) {
            return rows[k].name;
        }
    }
    return "?";
}

/* Dots and dashes count as underscores. */
static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a == '.' || *a == '-' ? '_' : *a, y = *b == '.' || *b == '-' ? '_' : *b;
        if (x != y) {
            return false;
        }
    }
    return *a == *b;
}

static bool feature_find(const char *name, unsigned *feature)
{
    for (size_t k = 0; k < sizeof aliases / sizeof *aliases; k++) {
        name = same_name(name, aliases[k][0]) ? aliases[k][1] : name;
    }
    for (size_t k = 0; k < ROW_COUNT; k++) {
        if (same_name(name, rows[k].name)) {
            *feature = rows[k].feature;
            return true;
        }
    }
    return false;
}

/* Number of letters that differ in place and length: enough to find a slip. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), common = la < lb ? la : lb, count = la > lb ? la - lb : lb - la;

    for (size_t k = 0; k < common; k++) {
        count += a[k] != b[k];
    }
    return count;
}

static bool unknown_feature(const char *name, struct error *err)
{
    const char *best = rows[0].name;

    for (size_t k = 0; k < ROW_COUNT; k++) {
        best = distance(name, rows[k].name) < distance(name, best) ? rows[k].name : best;
    }
    error_set(err, "-cpu: no feature '%s' is implemented", name);
    return error_hint(err, "the nearest is '%s'; -cpu help lists all", best);
}

static bool unknown_model(const char *name, struct error *err)
{
    const char *best = models[0].name;

    for (size_t k = 0; k < MODEL_COUNT; k++) {
        best = distance(name, models[k].name) < distance(name, best) ? models[k].name : best;
    }
    error_set(err, "-cpu: there is no model '%s'", name);
    return error_hint(err, "the nearest is '%s'; -cpu help lists all", best);
}

/* One word behind the model: +name, -name, name=on, name=off. */
static bool apply(struct cpu_model *model, char *word, struct error *err)
{
    bool on = word[0] != '-';
    char *name = word[0] == '+' || word[0] == '-' ? word + 1 : word, *equals = strchr(name, '=');
    unsigned feature;

    if (equals) {
        *equals = '\0';
        if (name != word || (strcmp(equals + 1, "on") != 0 && strcmp(equals + 1, "off") != 0)) {
            return error_set(err, "-cpu: '%s' takes on or off, not '%s'", name, equals + 1);
        }
        on = !strcmp(equals + 1, "on");
    } else if (name == word) {
        error_set(err, "-cpu: '%s' needs a sign", word);
        return error_hint(err, "write +%s or -%s", word, word);
    }
    if (!feature_find(name, &feature)) {
        return unknown_feature(name, err);
    }
    model_set(model, feature, on);
    return true;
}

/* Drops what lacks something it needs, until nothing changes; an error when it was asked for (`wanted`). */
static bool complete(struct cpu_model *model, const struct cpu_model *wanted, struct error *err)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t k = 0; k < sizeof needs / sizeof *needs; k++) {
            if (!model_has(model, needs[k].feature) || model_has(model, needs[k].needs)) {
                continue;
            }
            if (model_has(wanted, needs[k].feature)) {
                return error_set(err, "-cpu: %s needs %s, which the processor would not have",
                                 feature_name(needs[k].feature), feature_name(needs[k].needs));
            }
            model_set(model, needs[k].feature, false);
            changed = true;
        }
    }
    return true;
}

bool cpu_model_parse(const char *text, struct cpu_model *model, struct error *err)
{
    char copy[1024], *rest = NULL;
    struct cpu_model wanted = { 0 };
    size_t n = 0;

    if (!text) {
        model_open(model, MODEL_COUNT - 1);
        return true;
    }
    if (strlen(text) >= sizeof copy) {
        return error_set(err, "-cpu: more than %zu letters", sizeof copy - 1);
    }
    strcpy(copy, text);
    rest = strchr(copy, ',');
    if (rest) {
        *rest++ = '\0';
    }
    while (n < MODEL_COUNT && strcmp(models[n].name, copy) != 0) {
        n++;
    }
    if (n == MODEL_COUNT) {
        return unknown_model(copy, err);
    }
    model_open(model, n);
    while (rest && *rest) {
        char *word = rest;
        unsigned feature;
        rest = strchr(word, ',');
        if (rest) {
            *rest++ = '\0';
        }
        if (!apply(model, word, err)) {
            return false;
        }
        if (feature_find(word + (word[0] == '+' || word[0] == '-'), &feature)) {
            model_set(&wanted, feature, model_has(model, feature));
        }
    }
    if (model_has(model, FEATURE_LM) && model->extended_max < 0x80000008) {
        return error_set(err, "-cpu: %s is a 32-bit model and cannot have lm", model->name);
    }
    return complete(model, &wanted, err);
}

bool cpu_model_describe(size_t n, const char **name, char *text, size_t size)
{
    size_t used = 0;

    if (n >= MODEL_COUNT) {
        return false;
    }
    *name = models[n].name;
    text[0] = '\0';
    for (size_t k = 0; k < ROW_COUNT; k++) {
        if (rows[k].models & models[n].set) {
            int length = snprintf(text + used, size - used, "%s%s", used ? " " : "", rows[k].name);
            used += length > 0 ? (size_t)length : 0;
            if (used >= size) {
                return true; /* cut */
            }
        }
    }
    return true;
}
