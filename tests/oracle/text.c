/* text.c - a case as one line of text: a row of regressions.txt.
 *
 *   MNEMONIC KEY=VALUE ... -> KEY=VALUE ...
 *
 * Before the arrow: mode (16, 32, 64), at (EIP), code, exits, registers, flags, sel (ES CS SS DS FS GS), fx (FXSAVE
 * image, zeros at the end left out), poke (address:bytes), operand (linear address), single, undef (status flags not compared). Behind it: what a
 * processor did: vector (ff: ran through), error, cr2, at, flags, the registers, sel and fx that changed, store
 * (address:bytes). Numbers are hexadecimal, bytes in memory order. */
#include "tests/oracle/oracle.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const register_names[16] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
                                                "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

static void print_bytes(FILE *out, const char *key, const uint8_t *bytes, size_t size)
{
    fprintf(out, " %s=", key);
    for (size_t k = 0; k < size; k++) {
        fprintf(out, "%02x", bytes[k]);
    }
}

static void print_places(FILE *out, const char *key, const struct poke *list, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        fprintf(out, " %s=%x:", key, (unsigned)list[k].linear);
        for (unsigned b = 0; b < list[k].size; b++) {
            fprintf(out, "%02x", list[k].bytes[b]);
        }
    }
}

static void print_selectors(FILE *out, const uint16_t *s)
{
    fprintf(out, " sel=%x,%x,%x,%x,%x,%x", s[0], s[1], s[2], s[3], s[4], s[5]);
}

static size_t fx_size(const uint8_t *fx)
{
    size_t size = 464;

    while (size > 0 && fx[size - 1] == 0) {
        size--;
    }
    return size;
}

void text_print(FILE *out, const struct test_case *t, const struct outcome *o)
{
    const struct state *s = &t->initial, *after = &o->state;
    unsigned registers = t->mode & MODE_CODE64 ? 16 : 8;

    fprintf(out, "%s mode=%d at=%llx", t->row ? t->row->mnemonic : "-",
            t->mode & MODE_CODE64 ? 64 : t->mode & MODE_CODE32 ? 32 : 16, (unsigned long long)s->rip);
    print_bytes(out, "code", t->code, t->code_size);
    fprintf(out, " exits=%x,%x", (unsigned)t->exits[0], (unsigned)t->exits[1]);
    for (unsigned k = 0; k < registers; k++) {
        fprintf(out, " %s=%llx", register_names[k], (unsigned long long)s->gpr[k]);
    }
    fprintf(out, " flags=%x", (unsigned)s->rflags);
    print_selectors(out, s->selector);
    if (t->uses_fpu) {
        print_bytes(out, "fx", s->fx, fx_size(s->fx));
    }
    print_places(out, "poke", t->pokes, t->poke_count);
    if (t->operand) {
        fprintf(out, " operand=%x", (unsigned)t->operand);
    }
    fprintf(out, " single=%d undef=%x -> vector=%x error=%x cr2=%llx at=%llx flags=%x", t->single, (unsigned)(t->undefined | (o->vector != ENDED_HERE ? t->undefined_inside : 0u)),
            (unsigned)o->vector, (unsigned)o->error, (unsigned long long)(o->vector == VEC_PF ? o->cr2 : 0),
            (unsigned long long)after->rip, (unsigned)after->rflags);
    for (unsigned k = 0; k < registers; k++) {
        if (s->gpr[k] != after->gpr[k]) {
            fprintf(out, " %s=%llx", register_names[k], (unsigned long long)after->gpr[k]);
        }
    }
    print_selectors(out, after->selector);
    if (t->uses_fpu) {
        print_bytes(out, "fx", after->fx, fx_size(after->fx));
    }
    print_places(out, "store", o->stores, o->store_count);
    fputc('\n', out);
}

/* ---- parsing ---- */

struct parser {
    struct test_case *test;
    struct outcome *expected;
    bool is_after; /* the arrow was seen */
};

static bool parse_bytes(const char *text, uint8_t *bytes, size_t max, size_t *size)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = strlen(text);

    if (length % 2 || length / 2 > max) {
        return false;
    }
    for (size_t k = 0; k < length; k += 2) {
        const char *high = strchr(digits, text[k]), *low = strchr(digits, text[k + 1]);
        if (!high || !low) {
            return false;
        }
        bytes[k / 2] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    *size = length / 2;
    return true;
}

static bool parse_place(const char *text, struct poke *list, unsigned *count, unsigned max)
{
    const char *colon = strchr(text, ':');
    size_t size;

    if (!colon || *count == max || !parse_bytes(colon + 1, list[*count].bytes, POKE_BYTES, &size)) {
        return false;
    }
    list[*count].linear = (uint32_t)strtoul(text, NULL, 16);
    list[*count].size = (uint8_t)size;
    ++*count;
    return true;
}

static bool parse_selectors(const char *text, uint16_t *s)
{
    unsigned v[6];

    if (sscanf(text, "%x,%x,%x,%x,%x,%x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6) {
        return false;
    }
    for (unsigned k = 0; k < 6; k++) {
        s[k] = (uint16_t)v[k];
    }
    return true;
}

static bool parse_code(const char *value, uint8_t *code, uint8_t *size)
{
    size_t length;

    if (!parse_bytes(value, code, CODE_MAX, &length)) {
        return false;
    }
    *size = (uint8_t)length;
    return true;
}

static bool parse_before(struct test_case *t, const char *key, const char *value, uint64_t number)
{
    if (!strcmp(key, "mode")) {
        t->mode = MODE_PROTECTED | (number == 0x32 ? MODE_CODE32 : number == 0x64 ? MODE_CODE64 : 0u);
    } else if (!strcmp(key, "code")) {
        return parse_code(value, t->code, &t->code_size);
    } else if (!strcmp(key, "exits")) {
        unsigned a, b;
        if (sscanf(value, "%x,%x", &a, &b) != 2) {
            return false;
        }
        t->exits[0] = a;
        t->exits[1] = b;
    } else if (!strcmp(key, "poke")) {
        return parse_place(value, t->pokes, &t->poke_count, POKES_MAX);
    } else if (!strcmp(key, "operand")) {
        t->operand = (uint32_t)number;
    } else if (!strcmp(key, "single")) {
        t->single = number != 0;
    } else if (!strcmp(key, "undef")) {
        t->undefined = (uint8_t)number;
    } else {
        return false;
    }
    return true;
}

static bool parse_after(struct outcome *o, const char *key, const char *value, uint64_t number)
{
    if (!strcmp(key, "vector")) {
        o->vector = (uint8_t)number;
    } else if (!strcmp(key, "error")) {
        o->error = (uint32_t)number;
    } else if (!strcmp(key, "cr2")) {
        o->cr2 = number;
    } else if (!strcmp(key, "store")) {
        return parse_place(value, o->stores, &o->store_count, STORES_MAX);
    } else {
        return false;
    }
    return true;
}

static bool parse_item(struct parser *p, const char *key, const char *value)
{
    struct state *s = p->is_after ? &p->expected->state : &p->test->initial;
    uint64_t number = strtoull(value, NULL, 16);
    size_t size;

    for (unsigned k = 0; k < 16; k++) {
        if (!strcmp(key, register_names[k])) {
            s->gpr[k] = number;
            return true;
        }
    }
    if (!strcmp(key, "at")) {
        s->rip = number;
    } else if (!strcmp(key, "flags")) {
        s->rflags = (uint32_t)number;
    } else if (!strcmp(key, "sel")) {
        return parse_selectors(value, s->selector);
    } else if (!strcmp(key, "fx")) {
        p->test->uses_fpu = true;
        memset(s->fx, 0, sizeof s->fx);
        return parse_bytes(value, s->fx, sizeof s->fx, &size);
    } else {
        return p->is_after ? parse_after(p->expected, key, value, number) : parse_before(p->test, key, value, number);
    }
    return true;
}

bool text_parse(const char *line, struct test_case *test, struct outcome *expected, char *why, size_t size)
{
    struct parser p = { test, expected, false };
    size_t length = strlen(line) + 1;
    char *copy = malloc(length);
    bool ok = copy != NULL;

    memset(test, 0, sizeof *test);
    memset(expected, 0, sizeof *expected);
    store_le16(test->initial.fx, 0x37f);
    store_le32(test->initial.fx + 24, 0x1f80);
    if (copy) {
        memcpy(copy, line, length);
    }
    bool is_first = true;
    for (char *at = copy ? strtok(copy, " \n") : NULL; at && ok; at = strtok(NULL, " \n")) {
        char *equals = strchr(at, '=');
        if (is_first) {
            is_first = false;
        } else if (!strcmp(at, "->")) {
            p.is_after = true;
            expected->state = test->initial;
        } else if (equals) {
            *equals = 0;
            ok = parse_item(&p, at, equals + 1);
            if (!ok) {
                snprintf(why, size, "bad item '%s'", at);
            }
        } else {
            ok = false;
            snprintf(why, size, "'%s' is not KEY=VALUE", at);
        }
    }
    if (ok && (!p.is_after || !test->code_size)) {
        ok = false;
        snprintf(why, size, "no code or no outcome");
    }
    free(copy);
    return ok;
}
