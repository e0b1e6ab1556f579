/* input.c - inputs pass here, live or replayed; see input.h and tick86_travel.h.
 *
 * An input takes effect between two instructions. What it makes due happens at once, before any other input at the same
 * position, so that it does not matter how often the caller ran the machine in between. */
#include "machine/input.h"

#include "devices/i8042.h"
#include "devices/i82077.h"
#include "devices/ide.h"
#include "devices/ns16550.h"
#include "machine/cpu_pins.h"
#include "machine/debug.h"
#include "machine/history.h"
#include "machine/machine.h"
#include "machine/media.h"
#include "machine/serial_input.h"
#include "machine/vmmouse.h"

#include <stdlib.h>
#include <string.h>

#define RATIO_MAX (UINT64_C(1) << 32)

/* ---- lists ---- */

bool input_list_add(struct input_list *list, const struct tick86_input *input)
{
    uint8_t *bytes = NULL;

    if (list->count == list->capacity) {
        size_t capacity = list->capacity != 0 ? list->capacity * 2 : 64;
        struct tick86_input *grown = realloc(list->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        list->entries = grown;
        list->capacity = capacity;
    }
    if (input->size != 0) {
        bytes = malloc(input->size);
        if (bytes == NULL) {
            return false;
        }
        memcpy(bytes, input->bytes, input->size);
    }
    list->entries[list->count] = *input;
    list->entries[list->count].bytes = bytes;
    list->count++;
    return true;
}

void input_list_cut(struct input_list *list, size_t first)
{
    while (list->count > first) {
        free((void *)(uintptr_t)list->entries[--list->count].bytes);
    }
}

void input_list_free(struct input_list *list)
{
    input_list_cut(list, 0);
    free(list->entries);
    memset(list, 0, sizeof *list);
}

/* ---- effects ---- */

static bool apply(struct tick86 *machine, const struct tick86_input *input, size_t *taken, struct error *err)
{
    switch ((enum tick86_input_kind)input->kind) {
    case INPUT_RESET:
        machine_reset(machine);
        break;
    case INPUT_POWER_BUTTON:
        cpu_pins_press_power(machine->chips[PC_PINS]);
        break;
    case INPUT_NMI:
        cpu_pins_pulse_nmi(machine->chips[PC_PINS]);
        break;
    case INPUT_KEY:
        i8042_key(machine->chips[PC_KBC], (enum key_code)input->unit, input->value != 0);
        break;
    case INPUT_MOUSE:
        if (machine->chips[PC_VMMOUSE] != NULL && vmmouse_is_enabled(machine->chips[PC_VMMOUSE])) {
            vmmouse_move(machine->chips[PC_VMMOUSE], input->x, input->y, input->z, input->unit);
        } else {
            i8042_mouse(machine->chips[PC_KBC], input->x, input->y, input->z, input->unit);
        }
        break;
    case INPUT_POINTER:
        if (tick86_pointer_is_wanted(machine)) {
            vmmouse_point(machine->chips[PC_VMMOUSE], (unsigned)input->x, (unsigned)input->y, input->z, input->unit);
        }
        break;
    case INPUT_SERIAL:
        *taken = serial_input_put(machine->chips[PC_COM1_INPUT + input->unit], input->bytes, input->size);
        break;
    case INPUT_SERIAL_BREAK:
        ns16550_receive_break(machine->chips[PC_COM1 + input->unit]);
        break;
    case INPUT_RATIO:
        clock_set_ratio(&machine->clock, input->value);
        break;
    case INPUT_MEDIUM:
        return media_change(machine, input->unit, input->medium, input->value != 0, err);
    case INPUT_FLOPPY:
        return media_change(machine, TICK86_DISKS + input->unit, input->medium, false, err);
    case INPUT_NET:
        *taken = nics_receive(machine, input->unit, input->bytes, input->size) ? input->size : 0;
        break;
    case INPUT_NET_LINK:
        nics_set_link(machine, input->unit, input->value != 0);
        break;
    case INPUT_POKE:
        return debug_poke(machine, input->unit >> 1, (enum tick86_space)(input->unit & 1), input->value, input->bytes, input->size);
    case INPUT_REGISTER:
        return debug_write_register(machine, input->unit, input->bytes, input->size);
    case INPUT_HOLD_OFF:
        debug_hold_off(machine, input->unit);
        break;
    case INPUT_MARK:
    case INPUT_KINDS:
        break;
    }
    return true;
}

static bool is_sound(const struct tick86_input *input, struct error *err)
{
    bool is_unit = (input->kind != INPUT_SERIAL && input->kind != INPUT_SERIAL_BREAK) || input->unit < TICK86_SERIAL_PORTS;
    bool is_value = (input->kind != INPUT_RATIO || (input->value != 0 && input->value <= RATIO_MAX)) &&
                    (input->kind != INPUT_KEY || input->unit <= UINT8_MAX) &&
                    (input->kind != INPUT_MEDIUM || input->unit < TICK86_DISKS) &&
                    (input->kind != INPUT_REGISTER || input->size > TICK86_REGISTER_MAX_BYTES) &&
                    (input->kind != INPUT_FLOPPY || input->unit < TICK86_FLOPPIES) &&
                    ((input->kind != INPUT_NET && input->kind != INPUT_NET_LINK) || input->unit < TICK86_NICS);

    if (input->kind == 0 || input->kind > INPUT_POINTER) {
        return error_set(err, "inputs of kind %u are not known", (unsigned)input->kind);
    }
    return (is_unit && is_value) || error_set(err, "an input of kind %u has wrong values", (unsigned)input->kind);
}

static void announce(struct tick86 *machine, const struct tick86_input *input)
{
    if (machine->gate.observe != NULL) {
        machine->gate.observe(machine->gate.observe_context, input);
    }
    history_input(machine, input);
}

static bool pass(struct tick86 *machine, struct tick86_input *input, size_t *taken, struct error *err)
{
    size_t ignored;
    bool is_good;

    input->icount = tick86_icount(machine);
    input->now_ns = clock_now(&machine->clock);
    taken = taken != NULL ? taken : &ignored;
    if (input->kind == INPUT_NET) { /* a frame that the card refuses has not arrived, and will come again */
        is_good = apply(machine, input, taken, err);
        if (*taken != 0) {
            announce(machine, input);
        }
    } else {
        announce(machine, input);
        is_good = apply(machine, input, taken, err);
    }
    if (!machine->is_running) {
        clock_run_due(&machine->clock);
    }
    return is_good;
}

bool input_is_closed(const struct tick86 *machine)
{
    return machine->gate.is_replaying || history_is_in_past(machine);
}

bool tick86_input(struct tick86 *machine, const struct tick86_input *input, size_t *taken, struct error *err)
{
    struct tick86_input copy = *input;
    struct error ignored = { "", "" };

    if (err == NULL) {
        err = &ignored;
    }
    if (taken != NULL) {
        *taken = input->size;
    }
    if (!is_sound(input, err)) {
        return false;
    }
    if (input_is_closed(machine)) {
        return true; /* the past has had its inputs */
    }
    return pass(machine, &copy, taken, err);
}

/* ---- the queue ---- */

bool tick86_queue_input(struct tick86 *machine, const struct tick86_input *input)
{
    struct input_gate *gate = &machine->gate;
    struct error err = { "", "" };

    if (gate->next == gate->queue.count) {
        input_clear_queue(machine);
    }
    return is_sound(input, &err) && input_list_add(&gate->queue, input);
}

void input_clear_queue(struct tick86 *machine)
{
    input_list_cut(&machine->gate.queue, 0);
    machine->gate.next = 0;
}

size_t tick86_queued_inputs(const struct tick86 *machine)
{
    return machine->gate.queue.count - machine->gate.next;
}

void tick86_set_replaying(struct tick86 *machine, bool is_replaying)
{
    machine->gate.is_replaying = is_replaying;
    if (!is_replaying) {
        input_clear_queue(machine);
    }
}

bool tick86_is_replaying(const struct tick86 *machine)
{
    return machine->gate.is_replaying;
}

void tick86_observe_inputs(struct tick86 *machine, tick86_observe_fn *observe, void *context)
{
    machine->gate.observe = observe;
    machine->gate.observe_context = context;
}

/* The next input to come: from the history while the machine is in the past, then from the queue. */
static const struct tick86_input *next_input(const struct tick86 *machine)
{
    const struct input_gate *gate = &machine->gate;
    const struct tick86_input *past = history_next_input(machine);

    return past != NULL ? past : gate->next < gate->queue.count ? &gate->queue.entries[gate->next] : NULL;
}

bool input_apply_due(struct tick86 *machine)
{
    const struct tick86_input *input;
    bool was_one = false;

    while ((input = next_input(machine)) != NULL && input->icount == tick86_icount(machine) &&
           input->now_ns == clock_now(&machine->clock)) {
        struct error err = { "", "" };
        size_t ignored;
        struct tick86_input copy = *input;
        was_one = true;
        if (history_next_input(machine) != NULL) {
            history_take_input(machine);
            (void)apply(machine, &copy, &ignored, &err);
            clock_run_due(&machine->clock);
        } else {
            machine->gate.next++;
            (void)pass(machine, &copy, NULL, &err); /* what failed then fails now */
        }
    }
    return was_one;
}

bool input_limit(struct tick86 *machine, uint64_t *until_ns, uint64_t *end_icount)
{
    const struct tick86_input *input = next_input(machine);
    uint64_t icount = tick86_icount(machine), now = clock_now(&machine->clock);

    if (input == NULL) {
        return true;
    }
    if (now < input->now_ns) {
        *until_ns = input->now_ns < *until_ns ? input->now_ns : *until_ns;
    }
    if (icount < input->icount) {
        *end_icount = input->icount < *end_icount ? input->icount : *end_icount;
        return true;
    }
    /* Instructions are used up: only halted processors may wait for the time to come. */
    return icount == input->icount && now < input->now_ns && tick86_is_halted(machine);
}

/* ---- the named inputs of tick86.h ---- */

static void simple(struct tick86 *machine, enum tick86_input_kind kind, uint32_t unit, uint64_t value)
{
    struct tick86_input input = { .kind = (uint32_t)kind, .unit = unit, .value = value };

    (void)tick86_input(machine, &input, NULL, NULL);
}

void tick86_reset(struct tick86 *machine)
{
    simple(machine, INPUT_RESET, 0, 0);
}

void tick86_power_button(struct tick86 *machine)
{
    simple(machine, INPUT_POWER_BUTTON, 0, 0);
}

void tick86_nmi(struct tick86 *machine)
{
    simple(machine, INPUT_NMI, 0, 0);
}

void tick86_key(struct tick86 *machine, enum key_code key, bool pressed)
{
    simple(machine, INPUT_KEY, (uint32_t)key, pressed);
}

void tick86_mouse(struct tick86 *machine, int dx, int dy, int dz, unsigned buttons)
{
    struct tick86_input input = { .kind = INPUT_MOUSE, .unit = buttons, .x = dx, .y = dy, .z = dz };

    (void)tick86_input(machine, &input, NULL, NULL);
}

void tick86_pointer(struct tick86 *machine, unsigned x, unsigned y, int dz, unsigned buttons)
{
    struct tick86_input input = { .kind = INPUT_POINTER, .unit = buttons, .x = (int)(x & 0xffff), .y = (int)(y & 0xffff), .z = dz };

    (void)tick86_input(machine, &input, NULL, NULL);
}

bool tick86_pointer_is_wanted(const struct tick86 *machine)
{
    return machine->chips[PC_VMMOUSE] != NULL && vmmouse_is_absolute(machine->chips[PC_VMMOUSE]);
}

size_t tick86_serial_input(struct tick86 *machine, unsigned port, const uint8_t *bytes, size_t size)
{
    struct tick86_input input = { .kind = INPUT_SERIAL, .unit = port, .bytes = bytes, .size = size };
    size_t taken = 0;

    BUG_ON(port >= TICK86_SERIAL_PORTS);
    if (size != 0 && serial_input_room(machine->chips[PC_COM1_INPUT + port]) != 0) {
        (void)tick86_input(machine, &input, &taken, NULL);
    }
    return taken;
}

void tick86_serial_break(struct tick86 *machine, unsigned port)
{
    BUG_ON(port >= TICK86_SERIAL_PORTS);
    simple(machine, INPUT_SERIAL_BREAK, port, 0);
}

void tick86_set_ratio(struct tick86 *machine, uint64_t ns_per_insn_q16)
{
    simple(machine, INPUT_RATIO, 0,
           ns_per_insn_q16 == 0 ? 1 : ns_per_insn_q16 < RATIO_MAX ? ns_per_insn_q16 : RATIO_MAX);
}

bool tick86_change_medium(struct tick86 *machine, unsigned drive, struct block_backend *backend, bool force,
                          struct error *err)
{
    struct tick86_input input = { .kind = INPUT_MEDIUM, .unit = drive, .medium = backend, .value = force };

    return tick86_input(machine, &input, NULL, err);
}

bool tick86_change_floppy(struct tick86 *machine, unsigned drive, struct block_backend *backend, struct error *err)
{
    struct tick86_input input = { .kind = INPUT_FLOPPY, .unit = drive, .medium = backend };

    return tick86_input(machine, &input, NULL, err);
}

bool tick86_net_input(struct tick86 *machine, unsigned nic, const uint8_t *frame, size_t size)
{
    struct tick86_input input = { .kind = INPUT_NET, .unit = nic, .bytes = frame, .size = size };
    size_t taken = 0;

    BUG_ON(nic >= TICK86_NICS);
    (void)tick86_input(machine, &input, &taken, NULL);
    return taken == size;
}

void tick86_net_link(struct tick86 *machine, unsigned nic, bool is_up)
{
    BUG_ON(nic >= TICK86_NICS);
    simple(machine, INPUT_NET_LINK, nic, is_up);
}
