/* debug_expression.c - expressions as the monitor takes them, compiled to agent expressions; see tick86_debug.h.
 *
 * C's operators with C's precedence, without assignment, and the conditional one left out. */
#include "machine/debug.h"
#include "machine/debug_agent.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 40, NAME_MAX_BYTES = 128 };

struct compiler {
    const char *at;
    uint8_t *code;
    size_t size, used;
    tick86_symbol_fn *symbol;
    void *context;
    struct error *err;
    unsigned depth;
    bool has_failed;
};

static void fail(struct compiler *c, const char *what)
{
    if (!c->has_failed) {
        error_set(c->err, "%s at '%.40s'", what, *c->at != '\0' ? c->at : "the end");
    }
    c->has_failed = true;
}

static void put(struct compiler *c, uint64_t value, unsigned size)
{
    if (c->size - c->used < size) {
        fail(c, "the expression is too long");
        return;
    }
    while (size-- > 0) {
        c->code[c->used++] = (uint8_t)(value >> (8 * size));
    }
}

static void put_constant(struct compiler *c, uint64_t value)
{
    unsigned size = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;

    put(c, size == 1 ? AGENT_CONST8 : size == 2 ? AGENT_CONST16 : size == 4 ? AGENT_CONST32 : AGENT_CONST64, 1);
    put(c, value, size);
}

static void skip_blanks(struct compiler *c)
{
    c->at += strspn(c->at, " \t");
}

static bool takes(struct compiler *c, const char *token)
{
    skip_blanks(c);
    if (strncmp(c->at, token, strlen(token)) != 0) {
        return false;
    }
    c->at += strlen(token);
    return true;
}

static void level(struct compiler *c, unsigned precedence);

static void whole(struct compiler *c)
{
    if (++c->depth > DEPTH_MAX) {
        fail(c, "the expression is nested too deep");
    } else {
        level(c, 0);
    }
    c->depth--;
}

/* b[ADDRESS] and its like; false when the name is none of these. */
static bool memory(struct compiler *c, const char *name)
{
    static const char sizes[] = "bwdq";
    bool is_physical = name[0] == 'p';
    const char *size = name[is_physical] != '\0' ? strchr(sizes, name[is_physical]) : NULL;

    if (size == NULL || name[is_physical + 1] != '\0' || !takes(c, "[")) {
        return false;
    }
    whole(c);
    if (!takes(c, "]")) {
        fail(c, "']' is missing");
    }
    put(c, (is_physical ? (unsigned)AGENT_PHYSICAL8 : (unsigned)AGENT_REF8) + (unsigned)(size - sizes), 1);
    return true;
}

static void name(struct compiler *c)
{
    char text[NAME_MAX_BYTES];
    size_t length = 0;
    uint64_t value;
    bool is_register = takes(c, "$");

    while ((isalnum((unsigned char)*c->at) || strchr("_.@", *c->at) != NULL) && *c->at != '\0' &&
           length + 1 < sizeof text) {
        text[length++] = *c->at++;
    }
    text[length] = '\0';
    int reg = tick86_register_find(text);
    if (!is_register && memory(c, text)) {
        return;
    }
    if (!is_register && c->symbol != NULL && c->symbol(c->context, text, &value)) {
        put_constant(c, value);
    } else if (reg >= 0) {
        put(c, AGENT_OUR_REG, 1);
        put(c, (uint64_t)reg, 2);
    } else {
        c->at -= length;
        fail(c, "neither register nor symbol");
    }
}

static void primary(struct compiler *c)
{
    skip_blanks(c);
    if (takes(c, "(")) {
        whole(c);
        if (!takes(c, ")")) {
            fail(c, "')' is missing");
        }
    } else if (isdigit((unsigned char)*c->at)) {
        char *end;
        uint64_t value = strtoull(c->at, &end, 0);
        c->at = end;
        if (isalnum((unsigned char)*c->at)) {
            fail(c, "not a number");
        }
        put_constant(c, value);
    } else if (isalpha((unsigned char)*c->at) || *c->at == '_' || *c->at == '$') {
        name(c);
    } else {
        fail(c, "a number, register or symbol is missing");
    }
}

static void unary(struct compiler *c)
{
    skip_blanks(c);
    if (++c->depth > DEPTH_MAX) {
        fail(c, "the expression is nested too deep");
    } else if (c->at[0] == '!' && c->at[1] != '=') {
        c->at++;
        unary(c);
        put(c, AGENT_LOG_NOT, 1);
    } else if (takes(c, "~")) {
        unary(c);
        put(c, AGENT_BIT_NOT, 1);
    } else if (takes(c, "-")) {
        put_constant(c, 0);
        unary(c);
        put(c, AGENT_SUB, 1);
    } else {
        primary(c);
        if (takes(c, ":")) { /* SEG:OFFSET as real mode has it */
            put_constant(c, 4);
            put(c, AGENT_LSH, 1);
            primary(c);
            put(c, AGENT_ADD, 1);
        }
    }
    c->depth--;
}

/* Longer tokens come before those that they begin with. `code`: up to two opcodes, in order; `swaps`: the operands first. */
static const struct operator {
    const char *token;
    const char *not_before; /* a character that would make it another token */
    unsigned precedence;
    bool swaps;
    uint8_t codes[2];
} operators[] = {
    { "||", "", 1, false, { 0, 0 } },
    { "&&", "", 2, false, { 0, 0 } },
    { "|", "|", 3, false, { AGENT_BIT_OR, 0 } },
    { "^", "", 4, false, { AGENT_BIT_XOR, 0 } },
    { "&", "&", 5, false, { AGENT_BIT_AND, 0 } },
    { "==", "", 6, false, { AGENT_EQUAL, 0 } },
    { "!=", "", 6, false, { AGENT_EQUAL, AGENT_LOG_NOT } },
    { "<=", "", 7, true, { AGENT_LESS_UNSIGNED, AGENT_LOG_NOT } },
    { ">=", "", 7, false, { AGENT_LESS_UNSIGNED, AGENT_LOG_NOT } },
    { "<<", "", 8, false, { AGENT_LSH, 0 } },
    { ">>", "", 8, false, { AGENT_RSH_UNSIGNED, 0 } },
    { "<", "", 7, false, { AGENT_LESS_UNSIGNED, 0 } },
    { ">", "", 7, true, { AGENT_LESS_UNSIGNED, 0 } },
    { "+", "", 9, false, { AGENT_ADD, 0 } },
    { "-", "", 9, false, { AGENT_SUB, 0 } },
    { "*", "", 10, false, { AGENT_MUL, 0 } },
    { "/", "", 10, false, { AGENT_DIV_UNSIGNED, 0 } },
    { "%", "", 10, false, { AGENT_REM_UNSIGNED, 0 } },
};

static const struct operator *next_operator(struct compiler *c)
{
    skip_blanks(c);
    for (size_t n = 0; n < sizeof operators / sizeof operators[0]; n++) {
        size_t length = strlen(operators[n].token);
        if (strncmp(c->at, operators[n].token, length) == 0 &&
            (c->at[length] == '\0' || strchr(operators[n].not_before, c->at[length]) == NULL)) {
            return &operators[n];
        }
    }
    return NULL;
}

/* && and || decide without looking at their right side: d[rax] && ... may be unreadable. */
static void short_circuit(struct compiler *c, const struct operator *op)
{
    bool is_and = op->token[0] == '&';

    /* left; [not;] if_goto END(with value); ... the value at END is 0 or 1. */
    put(c, AGENT_LOG_NOT, 1); /* 1: left is false */
    if (!is_and) {
        put(c, AGENT_LOG_NOT, 1);
    }
    put(c, AGENT_DUP, 1);
    put(c, AGENT_IF_GOTO, 1);
    size_t hole = c->used;
    put(c, 0, 2);
    put(c, AGENT_POP, 1);
    level(c, op->precedence + 1);
    put(c, AGENT_LOG_NOT, 1);
    if (!is_and) {
        put(c, AGENT_LOG_NOT, 1);
    }
    if (!c->has_failed) {
        c->code[hole] = (uint8_t)(c->used >> 8);
        c->code[hole + 1] = (uint8_t)c->used;
    }
    if (is_and) {
        put(c, AGENT_LOG_NOT, 1);
    }
}

static void level(struct compiler *c, unsigned precedence)
{
    unary(c);
    for (;;) {
        const struct operator *op = c->has_failed ? NULL : next_operator(c);
        if (op == NULL || op->precedence < precedence) {
            return;
        }
        c->at += strlen(op->token);
        if (op->codes[0] == 0) {
            short_circuit(c, op);
            continue;
        }
        level(c, op->precedence + 1);
        if (op->swaps) {
            put(c, AGENT_SWAP, 1);
        }
        put(c, op->codes[0], 1);
        if (op->codes[1] != 0) {
            put(c, op->codes[1], 1);
        }
    }
}

size_t tick86_expression_compile(const char *text, tick86_symbol_fn *symbol, void *context, uint8_t *code, size_t size,
                                 struct error *err)
{
    struct compiler c = { .at = text, .code = code, .size = size < 0xffff ? size : 0xffff, .symbol = symbol, .context = context,
                          .err = err };

    whole(&c);
    skip_blanks(&c);
    if (!c.has_failed && *c.at != '\0') {
        fail(&c, "the expression ends");
    }
    put(&c, AGENT_END, 1);
    return c.has_failed ? 0 : c.used;
}
