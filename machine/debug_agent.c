/* debug_agent.c - runs agent expressions: the byte code of gdb's manual, "The Agent Expression Mechanism", appendix F.
 *
 * Not implemented: floating point, tracing and trace state variables, which conditions do not have. Of our own are opcodes
 * for registers by our numbers and for physical memory. */
#include "machine/debug.h"
#include "machine/debug_agent.h"

enum { STACK_MAX = 64, STEPS_MAX = 100000 };

struct agent {
    const struct tick86 *machine;
    unsigned cpu;
    const uint8_t *code;
    size_t size, at;
    uint64_t stack[STACK_MAX];
    unsigned depth;
    bool has_failed;
};

static uint64_t pop(struct agent *a)
{
    if (a->depth == 0) {
        a->has_failed = true;
        return 0;
    }
    return a->stack[--a->depth];
}

static void push(struct agent *a, uint64_t value)
{
    if (a->depth == STACK_MAX) {
        a->has_failed = true;
    } else {
        a->stack[a->depth++] = value;
    }
}

/* Operands in the code are big-endian. */
static uint64_t take(struct agent *a, unsigned size)
{
    uint64_t value = 0;

    if (a->size - a->at < size) {
        a->has_failed = true;
        return 0;
    }
    while (size-- > 0) {
        value = value << 8 | a->code[a->at++];
    }
    return value;
}

static uint64_t extend(uint64_t value, unsigned bits, bool is_signed)
{
    if (bits == 0 || bits >= 64) {
        return bits == 0 ? 0 : value;
    }
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    bool is_negative = is_signed && (value >> (bits - 1) & 1) != 0;
    return is_negative ? value | ~mask : value & mask;
}

static void load(struct agent *a, enum tick86_space space, unsigned size)
{
    uint8_t bytes[8];
    uint64_t address = pop(a), value = 0;

    if (!tick86_peek(a->machine, a->cpu, space, address, bytes, size)) {
        a->has_failed = true;
        return;
    }
    for (unsigned k = size; k-- > 0;) {
        value = value << 8 | bytes[k];
    }
    push(a, value);
}

static uint64_t shift(uint64_t value, uint64_t by, bool is_left, bool is_signed)
{
    bool is_negative = is_signed && value >> 63 != 0;

    if (by >= 64) {
        return is_negative ? UINT64_MAX : 0;
    }
    if (is_left) {
        return value << by;
    }
    return is_negative ? ~(~value >> by) : value >> by;
}

/* Signed division in the unsigned type, where the most negative number has no opposite. */
static uint64_t divide(struct agent *a, uint64_t left, uint64_t right, bool is_signed, bool wants_rest)
{
    bool left_negative = is_signed && left >> 63 != 0, right_negative = is_signed && right >> 63 != 0;
    uint64_t n = left_negative ? 0 - left : left, d = right_negative ? 0 - right : right;

    if (d == 0) {
        a->has_failed = true;
        return 0;
    }
    uint64_t result = wants_rest ? n % d : n / d;
    bool is_negative = wants_rest ? left_negative : left_negative != right_negative;
    return is_negative ? 0 - result : result;
}

static bool is_less(uint64_t left, uint64_t right, bool is_signed)
{
    uint64_t sign = is_signed ? UINT64_C(1) << 63 : 0;

    return (left ^ sign) < (right ^ sign);
}

static void binary(struct agent *a, uint8_t opcode)
{
    uint64_t right = pop(a), left = pop(a), result = 0;

    switch (opcode) {
    case AGENT_ADD: result = left + right; break;
    case AGENT_SUB: result = left - right; break;
    case AGENT_MUL: result = left * right; break;
    case AGENT_DIV_SIGNED: result = divide(a, left, right, true, false); break;
    case AGENT_DIV_UNSIGNED: result = divide(a, left, right, false, false); break;
    case AGENT_REM_SIGNED: result = divide(a, left, right, true, true); break;
    case AGENT_REM_UNSIGNED: result = divide(a, left, right, false, true); break;
    case AGENT_LSH: result = shift(left, right, true, false); break;
    case AGENT_RSH_SIGNED: result = shift(left, right, false, true); break;
    case AGENT_RSH_UNSIGNED: result = shift(left, right, false, false); break;
    case AGENT_BIT_AND: result = left & right; break;
    case AGENT_BIT_OR: result = left | right; break;
    case AGENT_BIT_XOR: result = left ^ right; break;
    case AGENT_EQUAL: result = left == right; break;
    case AGENT_LESS_SIGNED: result = is_less(left, right, true); break;
    default: result = is_less(left, right, false); break;
    }
    push(a, result);
}

static void rearrange(struct agent *a, uint8_t opcode)
{
    uint64_t top = pop(a), second;

    switch (opcode) {
    case AGENT_DUP:
        push(a, top);
        push(a, top);
        break;
    case AGENT_SWAP:
        second = pop(a);
        push(a, top);
        push(a, second);
        break;
    case AGENT_ROT: { /* a b c => c a b */
        second = pop(a);
        uint64_t third = pop(a);
        push(a, top);
        push(a, third);
        push(a, second);
        break;
    }
    default: /* pop */
        break;
    }
}

static void read_register(struct agent *a, uint64_t number, bool is_ours)
{
    const struct debug *debug = a->machine->debug;
    struct tick86_register reg;

    if (!is_ours && debug != NULL && debug->register_numbers != NULL) {
        number = number < debug->register_count ? debug->register_numbers[number] : UINT64_MAX;
    }
    if (number > UINT16_MAX || !tick86_register_info((unsigned)number, &reg)) {
        a->has_failed = true;
        return;
    }
    push(a, tick86_register_value(a->machine, a->cpu, (unsigned)number));
}

static void go_to(struct agent *a, uint64_t target)
{
    if (target >= a->size) {
        a->has_failed = true;
    } else {
        a->at = (size_t)target;
    }
}

static void step(struct agent *a, uint8_t opcode)
{
    uint64_t operand;

    switch (opcode) {
    case AGENT_LOG_NOT: push(a, pop(a) == 0); break;
    case AGENT_BIT_NOT: push(a, ~pop(a)); break;
    case AGENT_EXT:
    case AGENT_ZERO_EXT:
        operand = take(a, 1);
        push(a, extend(pop(a), (unsigned)operand, opcode == AGENT_EXT));
        break;
    case AGENT_REF8: load(a, SPACE_LINEAR, 1); break;
    case AGENT_REF16: load(a, SPACE_LINEAR, 2); break;
    case AGENT_REF32: load(a, SPACE_LINEAR, 4); break;
    case AGENT_REF64: load(a, SPACE_LINEAR, 8); break;
    case AGENT_PHYSICAL8: load(a, SPACE_PHYSICAL, 1); break;
    case AGENT_PHYSICAL16: load(a, SPACE_PHYSICAL, 2); break;
    case AGENT_PHYSICAL32: load(a, SPACE_PHYSICAL, 4); break;
    case AGENT_PHYSICAL64: load(a, SPACE_PHYSICAL, 8); break;
    case AGENT_IF_GOTO:
        operand = take(a, 2);
        if (pop(a) != 0) {
            go_to(a, operand);
        }
        break;
    case AGENT_GOTO: go_to(a, take(a, 2)); break;
    case AGENT_CONST8: push(a, take(a, 1)); break;
    case AGENT_CONST16: push(a, take(a, 2)); break;
    case AGENT_CONST32: push(a, take(a, 4)); break;
    case AGENT_CONST64: push(a, take(a, 8)); break;
    case AGENT_REG: read_register(a, take(a, 2), false); break;
    case AGENT_OUR_REG: read_register(a, take(a, 2), true); break;
    case AGENT_PICK:
        operand = take(a, 1);
        if (operand >= a->depth) {
            a->has_failed = true;
        } else {
            push(a, a->stack[a->depth - 1 - operand]);
        }
        break;
    case AGENT_DUP:
    case AGENT_POP:
    case AGENT_SWAP:
    case AGENT_ROT: rearrange(a, opcode); break;
    default:
        if ((opcode >= AGENT_ADD && opcode <= AGENT_RSH_UNSIGNED) ||
            (opcode >= AGENT_BIT_AND && opcode <= AGENT_BIT_XOR) ||
            (opcode >= AGENT_EQUAL && opcode <= AGENT_LESS_UNSIGNED)) {
            binary(a, opcode);
        } else {
            a->has_failed = true;
        }
        break;
    }
}

bool tick86_expression_run(const struct tick86 *machine, unsigned cpu, const uint8_t *code, size_t size, uint64_t *value)
{
    struct agent a = { .machine = machine, .cpu = cpu, .code = code, .size = size };

    for (unsigned steps = 0; steps < STEPS_MAX && !a.has_failed && a.at < size; steps++) {
        uint8_t opcode = code[a.at++];
        if (opcode == AGENT_END) {
            *value = pop(&a);
            return !a.has_failed;
        }
        step(&a, opcode);
    }
    return false;
}
