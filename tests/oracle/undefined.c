/* undefined.c - which encodings are undefined, asked of the host's processor: every opcode of one, two and three bytes with each
 * mandatory prefix and LOCK, every ModRM register form and each /reg of the memory form, in 64-bit code.
 *
 * One instruction runs under TF; the answer is whether #UD came at its first byte. The decoder must say the same of the
 * encoding in 32-bit code, where it means the same there. Where they may differ is in `rules` and `extensions`. */
#include "tests/oracle/undefined.h"

#include "tests/oracle/oracle.h"

#include <string.h>

struct encoding {
    uint8_t bytes[16];
    uint8_t size, opcode_at;
    uint8_t prefix;
    bool has_lock;
    uint8_t map, byte, modrm;
};

enum rule { RULE_NONE, RULE_EXTENSIONS, RULE_LOCK, RULE_LEVEL, RULES };
static const char *const rules[RULES] = {
    [RULE_EXTENSIONS] = "extensions of the host that CPUID does not report here (SDM vol. 2, CPUID)",
    [RULE_LEVEL] = "#UD at level 3 (SDM vol. 2, MONITOR, MWAIT, CLAC, STAC), and with CR4.PKE clear (RDPKRU, WRPKRU)",
    [RULE_LOCK] = "LOCK with VERR, VERW, and with MOV CR0 for CR8: #UD by SDM vol. 2, LOCK; AMD Zen executes them",
};

/* Encodings of newer processors: map, byte, the prefixes (0 66 F3 F2 as bits 0 to 3), the /reg (bits). */
static const struct {
    const char *name;
    uint8_t map, byte, prefixes, regs;
    uint8_t forms; /* 1: memory, 2: register */
} extensions[] = {
    { "MONITORX, SVM, RDTSCP, CLZERO, RDPRU, protection keys, SMAP, RTM", MAP_0F, 0x01, 15, 0xff, 2 },
    { "PREFETCHW and its reserved forms", MAP_0F, 0x0d, 15, 0xff, 1 },
    { "SSE4a: MOVNTSS, MOVNTSD", MAP_0F, 0x2b, 12, 0xff, 1 },
    { "SSE4a: EXTRQ with immediates", MAP_0F, 0x78, 2, 1, 2 },
    { "SSE4a: INSERTQ with immediates", MAP_0F, 0x78, 8, 0xff, 2 },
    { "SSE4a: EXTRQ, INSERTQ", MAP_0F, 0x79, 10, 0xff, 2 },
    { "XSAVEOPT", MAP_0F, 0xae, 1, 0x40, 1 },
    { "CLWB, CLFLUSHOPT", MAP_0F, 0xae, 2, 0xc0, 1 },
    { "XSAVEC, XSAVES, XRSTORS", MAP_0F, 0xc7, 1, 0x38, 1 },
    { "RDPID", MAP_0F, 0xc7, 4, 0x80, 2 },
    { "INVPCID", MAP_38, 0x82, 2, 0xff, 1 },
    { "SHA", MAP_38, 0xc8, 1, 0xff, 3 },
    { "SHA", MAP_38, 0xc9, 1, 0xff, 3 },
    { "SHA", MAP_38, 0xca, 1, 0xff, 3 },
    { "SHA", MAP_38, 0xcb, 1, 0xff, 3 },
    { "SHA", MAP_38, 0xcc, 1, 0xff, 3 },
    { "SHA", MAP_38, 0xcd, 1, 0xff, 3 },
    { "SHA", MAP_3A, 0xcc, 1, 0xff, 3 },
    { "GFNI", MAP_38, 0xcf, 2, 0xff, 3 },
    { "GFNI", MAP_3A, 0xce, 2, 0xff, 3 },
    { "GFNI", MAP_3A, 0xcf, 2, 0xff, 3 },
    { "MOVBE", MAP_38, 0xf0, 3, 0xff, 1 },
    { "MOVBE", MAP_38, 0xf1, 3, 0xff, 1 },
    { "ADX", MAP_38, 0xf6, 6, 0xff, 3 },
    { "MOVDIR64B", MAP_38, 0xf8, 2, 0xff, 1 },
    { "MOVDIRI", MAP_38, 0xf9, 1, 0xff, 1 },
};

/* Bytes that mean something else in 64-bit code, or that would leave the process. */
static bool is_skipped(const struct encoding *e)
{
    unsigned reg = e->modrm >> 3 & 7;

    if (e->map == MAP_1B) {
        bool is_rex = (e->byte & 0xf0) == 0x40;
        static const uint8_t not64[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x62, 0x63,
                                         0x82, 0x9a, 0xc4, 0xc5, 0xce, 0xd4, 0xd5, 0xd6, 0xea };
        return is_rex || memchr(not64, e->byte, sizeof not64) || e->byte == 0xcd /* INT n: system calls */ || e->byte == 0xcf;
    }
    if (e->map == MAP_0F) {
        bool is_call = e->byte == 0x05 || e->byte == 0x07 || e->byte == 0x34 || e->byte == 0x35;
        bool is_base = e->byte == 0xae && e->modrm >= 0xc0 && reg < 4; /* WRFSBASE: the thread pointer */
        return is_call || is_base;
    }
    return false;
}

/* The rule by which the host and the decoder may differ on this encoding. */
static enum rule find_rule(const struct encoding *e, bool host, bool ours)
{
    unsigned reg = e->modrm >> 3 & 7, form = e->modrm >= 0xc0 ? 2 : 1;
    unsigned prefix = e->prefix == 0x66 ? 2 : e->prefix == 0xf3 ? 4 : e->prefix == 0xf2 ? 8 : 1;

    if (host && e->map == MAP_0F && e->byte == 0x01 && ((e->modrm >= 0xc8 && e->modrm <= 0xcb) || e->modrm >= 0xee)) {
        return RULE_LEVEL;
    }
    if (host || !ours) {
        return RULE_NONE; /* nothing that we execute is undefined there */
    }
    if (e->map == MAP_0F && e->has_lock && (e->byte == 0x20 || e->byte == 0x22 || (e->byte == 0x00 && (reg == 4 || reg == 5)))) {
        return RULE_LOCK;
    }
    for (size_t k = 0; k < sizeof extensions / sizeof *extensions; k++) {
        if (e->map == extensions[k].map && e->byte == extensions[k].byte && (extensions[k].prefixes & prefix) &&
            (extensions[k].regs >> reg & 1) && (extensions[k].forms & form)) {
            return RULE_EXTENSIONS;
        }
    }
    return RULE_NONE;
}

static bool host_says(const struct encoding *e)
{
    static struct test_case test;
    static struct outcome out;
    uint32_t start = WINDOW_LOW + 8 * PAGE + 64;

    memset(&test.initial, 0, sizeof test.initial);
    test.native_mode = MODE_PROTECTED | MODE_CODE64;
    test.mode = MODE_PROTECTED | MODE_CODE32;
    test.single = true;
    test.restores_fs = test.uses_fpu = true;
    test.initial.rip = start;
    test.initial.rflags = FLAG_1 | FLAG_IF | FLAG_TF;
    for (unsigned k = 0; k < 16; k++) {
        test.initial.gpr[k] = WINDOW_LOW + PAGE + 0x40;
    }
    test.initial.gpr[REG_SP] = WINDOW_LOW + 2 * PAGE;
    test.initial.selector[SEG_CS] = SELECTOR_CODE64;
    test.initial.selector[SEG_ES] = test.initial.selector[SEG_DS] = test.initial.selector[SEG_SS] = SELECTOR_DATA;
    store_le16(test.initial.fx, 0x37f);
    store_le32(test.initial.fx + 24, 0x1f80);
    memcpy(test.native_code, e->bytes, e->size);
    test.native_size = e->size;
    test.exits[0] = start + e->size;
    test.exits[1] = start + 256;
    native_run(&test, &out);
    return out.vector == VEC_UD && out.state.rip == start;
}

struct sweep {
    const struct decoder *decoder;
    unsigned long encodings, different, explained[RULES];
};

static void one(struct sweep *s, const struct encoding *e)
{
    struct decoded d;

    if (is_skipped(e)) {
        return;
    }
    bool host = host_says(e);
    bool ours = decode(s->decoder, e->bytes, e->size, MODE_PROTECTED | MODE_CODE32, &d) != DECODED ||
                !strncmp(d.opcode->mnemonic, "ud", 2) || !strcmp(d.opcode->mnemonic, "rsm");
    s->encodings++;
    if (host == ours) {
        return;
    }
    enum rule rule = find_rule(e, host, ours);
    s->explained[rule]++;
    if (rule == RULE_NONE && s->different++ < 20000) {
        for (unsigned k = 0; k <= e->opcode_at + 1u; k++) {
            printf("%02x", e->bytes[k]);
        }
        printf(" /%u: %s on the host, %s here (%s)\n", e->modrm >> 3 & 7, host ? "#UD" : "defined", ours ? "#UD" : "defined",
               d.opcode ? d.opcode->mnemonic : "-");
    }
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 ||
           byte == 0xf2 || byte == 0xf3;
}

static void all_modrm(struct sweep *s, struct encoding *e)
{
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        if (modrm < 0xc0 && (modrm & 0xc7) != 0x01 && (modrm & 0xc7) != 0x46) {
            continue;
        }
        e->modrm = (uint8_t)modrm;
        e->bytes[e->opcode_at + 1] = (uint8_t)modrm;
        one(s, e);
    }
}

bool undefined_sweep(const struct decoder *decoder)
{
    static const uint8_t prefixes[][2] = { { 0, 0 }, { 0x66, 0 }, { 0xf3, 0 }, { 0xf2, 0 }, { 0, 0xf0 }, { 0x66, 0xf0 },
                                           { 0xf3, 0xf0 }, { 0xf2, 0xf0 } };
    struct sweep s = { .decoder = decoder };

    for (unsigned n = 0; n < sizeof prefixes / sizeof *prefixes * 1024; n++) {
        const uint8_t *prefix = prefixes[n >> 10];
        struct encoding e = { .size = 15, .prefix = prefix[0], .has_lock = prefix[1] != 0, .map = n >> 8 & 3, .byte = (uint8_t)n };
        unsigned at = 0;
        if ((e.map == MAP_1B && (is_prefix(e.byte) || e.byte == 0x0f)) || (e.map == MAP_0F && (e.byte == 0x38 || e.byte == 0x3a))) {
            continue;
        }
        memset(e.bytes, 0x11, sizeof e.bytes);
        for (unsigned k = 0; k < 2; k++) {
            if (prefix[k]) {
                e.bytes[at++] = prefix[k];
            }
        }
        if (e.map != MAP_1B) {
            e.bytes[at++] = 0x0f;
        }
        if (e.map >= MAP_38) {
            e.bytes[at++] = e.map == MAP_38 ? 0x38 : 0x3a;
        }
        e.opcode_at = (uint8_t)at;
        e.bytes[at] = e.byte;
        all_modrm(&s, &e);
    }
    for (unsigned k = 1; k < RULES; k++) {
        printf("%8lu  %s\n", s.explained[k], rules[k]);
    }
    printf("encodings=%lu different=%lu\n", s.encodings, s.different);
    return s.different == 0;
}
