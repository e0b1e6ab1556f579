/* tick86_travel.h - time travel: the machine's whole state, its inputs, and going back.
 *
 * A run is a function of the state it starts from and of its inputs, each at a position: instructions retired and guest
 * nanoseconds (in HLT time passes without instructions). Whoever keeps both can go to any moment in between. This header
 * has the pieces: save and load, the one place where inputs pass, hashes by component, pages that changed, and a history in
 * memory that goes backwards. Files are the frontends' business (docs/time-travel.md). */
#ifndef MACHINE_TICK86_TRAVEL_H
#define MACHINE_TICK86_TRAVEL_H

#include "machine/tick86.h"
#include "mem/state.h"

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* ---- state ---- */

/* Appends the state of processors, clock and chips by field name, without the contents of memories. False: out of memory. */
bool tick86_save(const struct tick86 *machine, struct state_stream *stream);
/* Makes the machine what tick86_save wrote; it must be built like that one. Memory contents are the caller's: write them
 * through tick86_memory before or after, and call tick86_memory_changed. False with `err` set, naming the component and the
 * field; the machine is then in no useful state. */
bool tick86_load(struct tick86 *machine, struct state_stream *stream, struct error *err);

/* Memories that a guest can write. */
struct tick86_memory {
    const char *name; /* "ram", "vram" */
    uint8_t *bytes;
    uint64_t size; /* multiple of 4096 */
};
bool tick86_memory(const struct tick86 *machine, unsigned n, struct tick86_memory *memory);
/* Bytes of a memory were replaced from outside: forgets what was derived from them. */
void tick86_memory_changed(struct tick86 *machine);

/* Who wants to know which pages changed, each for itself. */
enum tick86_dirty { DIRTY_HASHES, DIRTY_SNAPSHOT, DIRTY_CHECKPOINT, DIRTY_CONSUMERS };
/* Calls `visit` for each page (of memory `n`, by number) written since the consumer's last call; the first time for
 * all that may hold anything but zeros.
 * `visit` NULL: only forgets. False: out of memory. */
typedef void tick86_page_fn(void *context, unsigned memory, uint64_t page);
bool tick86_dirty_pages(struct tick86 *machine, enum tick86_dirty consumer, tick86_page_fn *visit, void *context);

/* Components in a fixed order: "cpu0", ..., "clock", "machine", then chips by name. False past the last. `state` is good until the
 * next call or the machine's next step; `fields` describes it. */
struct tick86_component {
    const char *name;
    const struct field *fields;
    const void *state;
};
bool tick86_component(struct tick86 *machine, unsigned n, struct tick86_component *component);

/* ---- inputs ---- */

/* Numbers are those of recordings. */
enum tick86_input_kind {
    INPUT_RESET = 1,
    INPUT_POWER_BUTTON = 2,
    INPUT_NMI = 3,
    INPUT_KEY = 4,          /* unit: enum key_code, value: pressed */
    INPUT_MOUSE = 5,        /* x, y, z; unit: buttons */
    INPUT_SERIAL = 6,       /* unit: port; bytes */
    INPUT_SERIAL_BREAK = 7, /* unit: port */
    INPUT_RATIO = 8,        /* value: ns_per_insn_q16 */
    INPUT_MEDIUM = 9,       /* unit: drive; medium; value: forced */
    INPUT_FLOPPY = 10,      /* unit: drive; medium */
    INPUT_NET = 11,         /* unit: card; bytes: a frame that the card took */
    INPUT_NET_LINK = 12,    /* unit: card; value: up */
    INPUT_MARK = 13,        /* no effect: a moment that the observer wants to meet again */
    INPUT_POKE = 14,        /* a debugger writes memory: unit: processor << 1 | enum tick86_space, value: address; bytes */
    INPUT_REGISTER = 15,    /* and a register: unit: processor; bytes: 16 of contents, then its name without terminator */
    INPUT_HOLD_OFF = 16,    /* interrupts, for the next instruction of processor `unit` */
    INPUT_POINTER = 17,     /* x, y: a place; z; unit: buttons */
    INPUT_KINDS = 32
};

struct tick86_input {
    uint64_t icount, now_ns; /* position at which it takes effect, just before the next instruction */
    uint32_t kind;
    uint32_t unit;
    int32_t x, y, z;
    uint64_t value;
    struct block_backend *medium; /* must outlive the machine once a history or a queue knows it */
    const uint8_t *bytes;
    size_t size;
};

/* Told each input just before it takes effect, wherever it comes from (one observer; NULL: nobody). */
typedef void tick86_observe_fn(void *context, const struct tick86_input *input);
void tick86_observe_inputs(struct tick86 *machine, tick86_observe_fn *observe, void *context);

/* The one function all inputs pass. `position` members are filled in. False with `err` set where the guest's hardware refuses
 * (a locked tray); `*taken` (may be NULL) is how many of `bytes` fitted. A machine that replays ignores what comes from outside. */
bool tick86_input(struct tick86 *machine, const struct tick86_input *input, size_t *taken, struct error *err);

/* Inputs to come: tick86_run applies each at its position, which must not be before that of the one queued before it. Copies
 * `bytes`. False: out of memory. */
bool tick86_queue_input(struct tick86 *machine, const struct tick86_input *input);
/* While true, only queued inputs take effect: the caller's are dropped, and tick86_run returns STOP_MISSED when the guest is
 * not where the next queued input belongs. */
void tick86_set_replaying(struct tick86 *machine, bool is_replaying);
bool tick86_is_replaying(const struct tick86 *machine);
/* How many inputs wait in the queue. */
size_t tick86_queued_inputs(const struct tick86 *machine);

/* ---- history: going back ---- */

struct tick86_history_config {
    uint64_t budget_bytes; /* of pages and states kept; 0: 256 MiB */
    uint64_t spacing;      /* instructions between checkpoints near the present; 0: chosen */
};
/* Keeps checkpoints from here on. Costs some per cent of speed and up to the budget in memory. False with `err`. */
bool tick86_history_start(struct tick86 *machine, const struct tick86_history_config *config, struct error *err);
void tick86_history_stop(struct tick86 *machine);

struct tick86_history_info {
    bool is_kept;
    bool is_in_past;               /* the present is ahead: inputs come from the history, those from outside are dropped */
    uint64_t first_icount, last_icount; /* how far back and forth one can go */
    unsigned checkpoints;
    uint64_t bytes;
};
void tick86_history_info(const struct tick86 *machine, struct tick86_history_info *info);

/* Goes to the first moment at which `icount` instructions have retired. False with `err` set when that is outside of the history. */
bool tick86_travel_goto(struct tick86 *machine, uint64_t icount, struct error *err);
/* Back by `insns` instructions. */
bool tick86_travel_reverse_step(struct tick86 *machine, uint64_t insns, struct error *err);
/* Back to the last moment before this one at which `is_hit` is true after an instruction. It is called between instructions, at
 * ascending counts within pieces that go back in time, and must only look. *hit false: there is none, and the machine is at the
 * beginning of its history. */
typedef bool tick86_hit_fn(void *context, struct tick86 *machine);
bool tick86_travel_reverse_continue(struct tick86 *machine, tick86_hit_fn *is_hit, void *context, bool *hit,
                                    struct error *err);
/* The same with a function that runs the machine forward itself, with breakpoints of its own: up to `until_icount` at most, true
 * when it stopped at a hit. A hit where it starts counts, unless it was the last one told. */
typedef bool tick86_next_hit_fn(void *context, struct tick86 *machine, uint64_t until_icount);
bool tick86_travel_reverse_to(struct tick86 *machine, tick86_next_hit_fn *next_hit, void *context, bool *hit,
                              struct error *err);
/* The same, but a hit right here counts as well: what the last instruction did. */
bool tick86_travel_last_hit(struct tick86 *machine, tick86_next_hit_fn *next_hit, void *context, bool *hit,
                            struct error *err);
/* Makes this moment the present: what lay ahead is forgotten, and inputs from outside take effect again. */
void tick86_travel_go_live(struct tick86 *machine);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
