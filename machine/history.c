/* history.c - checkpoints in memory, from any of which the run is repeated up to the moment wanted.
 *
 *   c[0] --delta-- c[1] --delta-- ... c[base] --delta-- ... c[count-1]      c[count-1]: the present, or the last before it
 *
 * Memory, disks and the flat copy of the chips' state (`state`) are those of c[base], apart from what has happened since,
 * whose old contents are in `partial`. A delta holds what differs between its two checkpoints: before the base the older
 * contents, behind it the newer ones. Going from one checkpoint to the next exchanges contents with the delta, in either
 * direction, so nothing is executed. Between checkpoints the run is repeated, with the same inputs at the same positions.
 *
 * Checkpoints lie close near the present and near the moment somebody went to, and the further apart the further away:
 * when the budget is used up, the one goes whose neighbours are closest together in proportion to its distance. */
#include "machine/history.h"

#include "machine/components.h"
#include "machine/delta.h"
#include "machine/machine.h"
#include "machine/tick86_debug.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET_DEFAULT (UINT64_C(256) << 20)
#define SPACING_DEFAULT (UINT64_C(1) << 21)
enum { CHECKPOINTS_MAX = 4096, FINEST = 1 << 19 };

struct checkpoint {
    uint64_t icount, now_ns;
    size_t inputs; /* applied before it */
    struct block_backend *media[MEDIA_COUNT];
    struct delta delta; /* up to the next one */
};

struct history {
    uint64_t budget, spacing, bytes;
    struct checkpoint *checkpoints;
    size_t count, base;
    uint8_t *state;   /* flat, of the base */
    uint8_t *scratch; /* likewise, for capture */
    size_t state_size;
    struct delta partial;
    struct input_list inputs;
    size_t next_input;
    uint64_t target; /* where a journey goes: checkpoints get denser towards it; 0: no journey */
    bool has_failed; /* out of memory: it ends at the next step */
};

/* ---- places of contents ---- */

static uint64_t sectors_at(const struct block_backend *medium, uint64_t index)
{
    uint64_t first = index * (GUEST_PAGE_SIZE / SECTOR_SIZE), left = first < medium->sectors ? medium->sectors - first : 0;

    return left < GUEST_PAGE_SIZE / SECTOR_SIZE ? left : GUEST_PAGE_SIZE / SECTOR_SIZE;
}

/* Reads what is now where the unit belongs. */
static bool read_place(struct tick86 *machine, const struct delta_unit *unit, uint8_t *bytes)
{
    struct history *history = machine->history;

    if (unit->space < SPACE_STATE) {
        memcpy(bytes, dirty_memory(machine, unit->space)->host + unit->index * GUEST_PAGE_SIZE, GUEST_PAGE_SIZE);
    } else if (unit->space == SPACE_STATE) {
        memcpy(bytes, history->state + unit->index * DELTA_STATE_CHUNK, DELTA_STATE_CHUNK);
    } else {
        uint64_t sectors = sectors_at(unit->medium, unit->index);
        memset(bytes, 0, GUEST_PAGE_SIZE);
        return sectors != 0 && unit->medium->read(unit->medium->context, unit->index * (GUEST_PAGE_SIZE / SECTOR_SIZE),
                                                  (uint32_t)sectors, bytes);
    }
    return true;
}

static bool write_place(struct tick86 *machine, const struct delta_unit *unit, const uint8_t *bytes)
{
    struct history *history = machine->history;

    if (unit->space < SPACE_STATE) {
        memcpy(dirty_memory(machine, unit->space)->host + unit->index * GUEST_PAGE_SIZE, bytes, GUEST_PAGE_SIZE);
        dirty_mark(machine, unit->space, unit->index);
    } else if (unit->space == SPACE_STATE) {
        memcpy(history->state + unit->index * DELTA_STATE_CHUNK, bytes, DELTA_STATE_CHUNK);
    } else {
        uint64_t sectors = sectors_at(unit->medium, unit->index);
        return sectors != 0 && unit->medium->write(unit->medium->context, unit->index * (GUEST_PAGE_SIZE / SECTOR_SIZE),
                                                   (uint32_t)sectors, bytes);
    }
    return true;
}

/* ---- the flat state ---- */

static size_t flat_size(struct tick86 *machine)
{
    struct component component;
    size_t size = 0;

    for (unsigned n = 0; component_at(machine, n, &component); n++) {
        size += (component.size + DELTA_STATE_CHUNK - 1) / DELTA_STATE_CHUNK * DELTA_STATE_CHUNK;
    }
    return size;
}

static void capture(struct tick86 *machine, uint8_t *flat)
{
    struct component component;

    for (unsigned n = 0; component_at(machine, n, &component); n++) {
        memcpy(flat, component.state, component.size);
        flat += (component.size + DELTA_STATE_CHUNK - 1) / DELTA_STATE_CHUNK * DELTA_STATE_CHUNK;
    }
}

/* Makes the chips and processors what `state` says. */
static void restore(struct tick86 *machine)
{
    struct history *history = machine->history;
    const struct checkpoint *at = &history->checkpoints[history->base];
    const uint8_t *flat = history->state;
    struct component component;

    for (unsigned n = 0; n < MEDIA_COUNT; n++) {
        media_restore(machine, n, at->media[n]);
    }
    for (unsigned n = 0; component_at(machine, n, &component); n++) {
        state_copy(component.fields, component.state, flat);
        flat += (component.size + DELTA_STATE_CHUNK - 1) / DELTA_STATE_CHUNK * DELTA_STATE_CHUNK;
    }
    components_loaded(machine);
    machine_revoke_writes(machine);
    history->next_input = at->inputs;
}

/* ---- deltas ---- */

static void account(struct history *history, const struct delta *delta, bool is_added)
{
    history->bytes = is_added ? history->bytes + delta->bytes : history->bytes - delta->bytes;
}

static void drop(struct history *history, struct delta *delta)
{
    account(history, delta, false);
    delta_free(delta);
}

/* Exchanges the contents of the delta with what is there. False: out of memory or a disk that fails. */
static bool exchange(struct tick86 *machine, struct delta *delta)
{
    struct history *history = machine->history;
    uint8_t now[GUEST_PAGE_SIZE];
    bool is_good = true;

    account(history, delta, false);
    for (size_t n = 0; n < delta->count && is_good; n++) {
        struct delta_unit *unit = &delta->units[n];
        uint8_t then[GUEST_PAGE_SIZE];
        delta_get(unit, then);
        is_good = read_place(machine, unit, now) && write_place(machine, unit, then) && delta_set(delta, unit, now);
    }
    account(history, delta, true);
    return is_good;
}

/* Back to the base: undoes what happened since. */
static bool undo_partial(struct tick86 *machine)
{
    struct history *history = machine->history;
    bool is_good = true;

    for (size_t n = 0; n < history->partial.count; n++) {
        uint8_t then[GUEST_PAGE_SIZE];
        delta_get(&history->partial.units[n], then);
        is_good = write_place(machine, &history->partial.units[n], then) && is_good;
    }
    drop(history, &history->partial);
    return is_good;
}

static bool keep(struct tick86 *machine, const struct delta_unit *place)
{
    struct history *history = machine->history;
    uint8_t bytes[GUEST_PAGE_SIZE];

    if (delta_find(&history->partial, place) != NULL) {
        return true;
    }
    account(history, &history->partial, false);
    bool is_good = read_place(machine, place, bytes) && delta_add(&history->partial, place, bytes);
    account(history, &history->partial, true);
    return is_good;
}

void history_before_write(struct tick86 *machine, unsigned memory, uint64_t page)
{
    struct history *history = machine->history;
    struct delta_unit place = { .space = memory, .index = page };

    if (history != NULL && !history->has_failed && !keep(machine, &place)) {
        history->has_failed = true;
    }
}

void history_before_disk_write(struct tick86 *machine, struct block_backend *medium, uint64_t sector, uint32_t count)
{
    struct history *history = machine->history;
    const uint32_t per_unit = GUEST_PAGE_SIZE / SECTOR_SIZE;

    if (history == NULL || history->has_failed || count == 0) {
        return;
    }
    for (uint64_t index = sector / per_unit; index <= (sector + count - 1) / per_unit; index++) {
        struct delta_unit place = { .space = SPACE_DISK, .index = index, .medium = medium };
        if (sectors_at(medium, index) != 0 && !keep(machine, &place)) {
            history->has_failed = true;
        }
    }
}

/* ---- checkpoints ---- */

/* What is in `partial` is complete: stores are told again from now on. */
static void rearm(struct tick86 *machine, const struct delta *delta)
{
    for (size_t n = 0; n < delta->count; n++) {
        if (delta->units[n].space < SPACE_STATE) {
            dirty_rearm(machine, delta->units[n].space, delta->units[n].index);
        }
    }
    dirty_rearmed(machine);
}

/* Puts into `partial` the chunks of `state` that differ from `scratch`, and makes that the state. */
static bool advance_state(struct history *history)
{
    bool is_good = true;

    account(history, &history->partial, false);
    for (size_t at = 0; at < history->state_size && is_good; at += DELTA_STATE_CHUNK) {
        if (memcmp(history->state + at, history->scratch + at, DELTA_STATE_CHUNK) != 0) {
            struct delta_unit place = { .space = SPACE_STATE, .index = at / DELTA_STATE_CHUNK };
            is_good = delta_add(&history->partial, &place, history->state + at);
            memcpy(history->state + at, history->scratch + at, DELTA_STATE_CHUNK);
        }
    }
    account(history, &history->partial, true);
    return is_good;
}

/* The state chunks that went and came back on the way to the next checkpoint: a delta that starts in the middle has to bring
 * them back as well. */
static bool complete_newer(struct history *history, struct delta *newer, const struct delta *older)
{
    bool is_good = true;

    account(history, newer, false);
    for (size_t n = 0; n < older->count && is_good; n++) {
        const struct delta_unit *unit = &older->units[n];
        if (unit->space == SPACE_STATE && delta_find(newer, unit) == NULL) {
            uint8_t bytes[GUEST_PAGE_SIZE];
            delta_get(unit, bytes);
            is_good = delta_add(newer, unit, bytes);
        }
    }
    account(history, newer, true);
    return is_good;
}

/* Makes this moment a checkpoint and the base. */
static bool add_checkpoint(struct tick86 *machine)
{
    struct history *history = machine->history;
    struct checkpoint *all = history->checkpoints;
    struct checkpoint *base = &all[history->base];
    bool is_past = history->base + 1 < history->count;

    capture(machine, history->scratch);
    if (history->count == CHECKPOINTS_MAX || !advance_state(history) ||
        (is_past && !complete_newer(history, &base->delta, &history->partial))) {
        return false;
    }
    memmove(&base[2], &base[1], (history->count - history->base - 1) * sizeof *base);
    base[1] = (struct checkpoint){ .icount = tick86_icount(machine),
                                   .now_ns = clock_now(&machine->clock),
                                   .inputs = history->next_input,
                                   .delta = base->delta };
    for (unsigned n = 0; n < MEDIA_COUNT; n++) {
        base[1].media[n] = media_inner(machine, n);
    }
    rearm(machine, &history->partial);
    base->delta = history->partial;
    delta_init(&history->partial);
    history->count++;
    history->base++;
    return true;
}

/* The run has come to the checkpoint behind the base: what it left behind takes the place of what lay ahead. */
static bool cross(struct tick86 *machine)
{
    struct history *history = machine->history;
    struct checkpoint *base = &history->checkpoints[history->base];

    capture(machine, history->scratch);
    if (!advance_state(history)) {
        return false;
    }
    drop(history, &base->delta);
    rearm(machine, &history->partial);
    base->delta = history->partial;
    delta_init(&history->partial);
    history->base++;
    return true;
}

/* Takes checkpoint `n` out, which is neither the first nor the last nor the base. */
static bool remove_checkpoint(struct history *history, size_t n)
{
    struct checkpoint *all = history->checkpoints;
    struct delta *before = &all[n - 1].delta, *behind = &all[n].delta;

    account(history, before, false);
    account(history, behind, false);
    /* Older contents win on this side of the base, newer ones on the other. */
    bool is_good = n < history->base ? delta_merge(before, behind) : delta_merge(behind, before);
    if (n > history->base) {
        struct delta merged = *behind;
        *behind = *before;
        *before = merged;
    }
    delta_free(behind);
    account(history, before, true);
    memmove(&all[n], &all[n + 1], (history->count - n - 1) * sizeof *all);
    history->count--;
    if (n < history->base) {
        history->base--;
    }
    return is_good;
}

static void remove_first(struct history *history)
{
    drop(history, &history->checkpoints[0].delta);
    memmove(&history->checkpoints[0], &history->checkpoints[1], (history->count - 1) * sizeof history->checkpoints[0]);
    history->count--;
    history->base--;
}

/* The checkpoint that is missed least; 0: none can go. */
static size_t least_useful(const struct history *history, uint64_t now)
{
    const struct checkpoint *all = history->checkpoints;
    size_t best = 0;
    uint64_t best_gap = 0, best_distance = 1;

    for (size_t n = 1; n + 1 < history->count; n++) {
        uint64_t gap = all[n + 1].icount - all[n - 1].icount;
        uint64_t distance = (all[n].icount < now ? now - all[n].icount : all[n].icount - now) + history->spacing;
        if (n == history->base) {
            continue;
        }
        /* gap / distance < best_gap / best_distance, in 64 bits: counts of a run stay far below 2^56 */
        if (best == 0 || mul_div_u64(gap, 1 << 20, distance) < mul_div_u64(best_gap, 1 << 20, best_distance)) {
            best = n;
            best_gap = gap;
            best_distance = distance;
        }
    }
    return best;
}

static void thin_out(struct tick86 *machine)
{
    struct history *history = machine->history;
    uint64_t state_bytes = 2 * history->state_size;

    while (history->bytes + state_bytes > history->budget || history->count > CHECKPOINTS_MAX - 8) {
        size_t n = least_useful(history, tick86_icount(machine));
        /* A few dozen checkpoints that do not fit are a history that reaches too far back. */
        if (n != 0 && history->count > 24) {
            if (!remove_checkpoint(history, n)) {
                history->has_failed = true;
                return;
            }
        } else if (history->base > 0 && history->count > 2) {
            remove_first(history);
        } else {
            return; /* what is left is the least that a way back needs */
        }
    }
}

static bool is_at(const struct tick86 *machine, const struct checkpoint *checkpoint)
{
    return tick86_icount(machine) == checkpoint->icount && clock_now(&machine->clock) == checkpoint->now_ns;
}

/* The count at which the next checkpoint is due. */
static uint64_t next_due(const struct history *history, uint64_t icount)
{
    uint64_t since = history->checkpoints[history->base].icount;

    if (history->target > icount) {
        uint64_t half = (history->target - since) / 2;
        return half >= FINEST ? since + half : UINT64_MAX;
    }
    return since + history->spacing;
}

void history_step(struct tick86 *machine, uint64_t *end_icount)
{
    struct history *history = machine->history;

    if (history == NULL) {
        return;
    }
    if (history->has_failed) {
        log_write(&machine->log, log_channel(&machine->log, "history"), LOG_ERROR, "out of memory: the history ends");
        tick86_history_stop(machine);
        return;
    }
    uint64_t icount = tick86_icount(machine), due = next_due(history, icount);
    if (history_is_in_past(machine)) {
        const struct checkpoint *ahead = &history->checkpoints[history->base + 1];
        if (is_at(machine, ahead) && history->next_input == ahead->inputs) {
            history->has_failed = !cross(machine);
            due = next_due(history, icount);
        } else if (icount >= due && icount < ahead->icount) {
            history->has_failed = !add_checkpoint(machine);
            thin_out(machine);
            due = next_due(history, icount);
        }
    } else if (icount >= due) {
        history->has_failed = !add_checkpoint(machine);
        thin_out(machine);
        due = next_due(history, icount);
    }
    if (history_is_in_past(machine)) {
        uint64_t ahead = history->checkpoints[history->base + 1].icount;
        due = ahead > icount && ahead < due ? ahead : due;
    }
    if (due > icount && due < *end_icount) {
        *end_icount = due;
    }
}

/* Guest time at which a halted machine must pause for a checkpoint ahead. */
uint64_t history_pause_ns(const struct tick86 *machine)
{
    const struct history *history = machine->history;

    if (!history_is_in_past(machine)) {
        return CLOCK_NEVER;
    }
    const struct checkpoint *ahead = &history->checkpoints[history->base + 1];
    return clock_now(&machine->clock) < ahead->now_ns ? ahead->now_ns : CLOCK_NEVER;
}

/* ---- inputs ---- */

void history_input(struct tick86 *machine, const struct tick86_input *input)
{
    struct history *history = machine->history;

    if (history != NULL && !history->has_failed) {
        history->has_failed = !input_list_add(&history->inputs, input);
        history->next_input = history->inputs.count;
    }
}

bool history_is_in_past(const struct tick86 *machine)
{
    return machine->history != NULL && machine->history->base + 1 < machine->history->count;
}

const struct tick86_input *history_next_input(const struct tick86 *machine)
{
    const struct history *history = machine->history;

    return history != NULL && history->next_input < history->inputs.count ? &history->inputs.entries[history->next_input]
                                                                          : NULL;
}

void history_take_input(struct tick86 *machine)
{
    machine->history->next_input++;
}

/* ---- life ---- */

bool tick86_history_start(struct tick86 *machine, const struct tick86_history_config *config, struct error *err)
{
    struct history *history = calloc(1, sizeof *history);

    tick86_history_stop(machine);
    if (history != NULL) {
        history->budget = config != NULL && config->budget_bytes != 0 ? config->budget_bytes : BUDGET_DEFAULT;
        history->spacing = config != NULL && config->spacing != 0 ? config->spacing : SPACING_DEFAULT;
        history->state_size = flat_size(machine);
        history->state = calloc(1, history->state_size);
        history->scratch = calloc(1, history->state_size);
        history->checkpoints = calloc(CHECKPOINTS_MAX, sizeof *history->checkpoints);
    }
    machine->history = history;
    if (history == NULL || history->state == NULL || history->scratch == NULL || history->checkpoints == NULL) {
        tick86_history_stop(machine);
        return error_set(err, "out of memory for checkpoints");
    }
    capture(machine, history->state);
    history->count = 1;
    history->checkpoints[0].icount = tick86_icount(machine);
    history->checkpoints[0].now_ns = clock_now(&machine->clock);
    for (unsigned n = 0; n < MEDIA_COUNT; n++) {
        history->checkpoints[0].media[n] = media_inner(machine, n);
    }
    struct memory *memory;
    for (unsigned n = 0; (memory = dirty_memory(machine, n)) != NULL; n++) {
        for (uint64_t page = 0; page < memory->size >> GUEST_PAGE_SHIFT; page++) {
            dirty_rearm(machine, n, page);
        }
    }
    dirty_rearmed(machine);
    return true;
}

void tick86_history_stop(struct tick86 *machine)
{
    struct history *history = machine->history;

    if (history == NULL) {
        return;
    }
    for (size_t n = 0; n < history->count; n++) {
        delta_free(&history->checkpoints[n].delta);
    }
    delta_free(&history->partial);
    input_list_free(&history->inputs);
    free(history->checkpoints);
    free(history->state);
    free(history->scratch);
    free(history);
    machine->history = NULL;
}

void tick86_history_info(const struct tick86 *machine, struct tick86_history_info *info)
{
    const struct history *history = machine->history;

    *info = (struct tick86_history_info){ .is_kept = history != NULL };
    if (history != NULL) {
        uint64_t last = history->checkpoints[history->count - 1].icount, now = tick86_icount(machine);
        info->is_in_past = history_is_in_past(machine);
        info->first_icount = history->checkpoints[0].icount;
        info->last_icount = info->is_in_past ? last : now;
        info->checkpoints = (unsigned)history->count;
        info->bytes = history->bytes + 2 * history->state_size;
    }
}

/* ---- travelling ---- */

/* Makes checkpoint `n` this moment. */
static bool jump(struct tick86 *machine, size_t n, struct error *err)
{
    struct history *history = machine->history;
    bool is_good = undo_partial(machine);

    while (is_good && history->base > n) {
        is_good = exchange(machine, &history->checkpoints[history->base - 1].delta);
        history->base--;
    }
    while (is_good && history->base < n) {
        is_good = exchange(machine, &history->checkpoints[history->base].delta);
        history->base++;
    }
    restore(machine);
    if (!is_good) {
        history->has_failed = true;
        return error_set(err, "cannot go back: out of memory, or a disk cannot be read or written");
    }
    return true;
}

/* The present becomes a checkpoint, so that one can come back to it. */
static bool leave_present(struct tick86 *machine, struct error *err)
{
    struct history *history = machine->history;

    if (history_is_in_past(machine) || is_at(machine, &history->checkpoints[history->base])) {
        return true;
    }
    return add_checkpoint(machine) || error_set(err, "cannot go back: out of memory");
}

/* Runs to the first moment with that count, without going past the present. */
static void run_to(struct tick86 *machine, uint64_t icount)
{
    struct history *history = machine->history;

    history->target = icount;
    while (tick86_icount(machine) < icount && history_is_in_past(machine)) {
        uint64_t before = tick86_icount(machine), before_ns = clock_now(&machine->clock);
        enum tick86_stop stop = tick86_run(machine, history_pause_ns(machine), icount - before);
        if (stop == STOP_DEBUG) {
            tick86_debug_resume(machine); /* breakpoints are for those who look on the way */
            continue;
        }
        if (machine->history == NULL || stop == STOP_MISSED ||
            (stop != STOP_RESET && before == tick86_icount(machine) && before_ns == clock_now(&machine->clock) &&
             stop != STOP_BUDGET && stop != STOP_REQUESTED)) {
            break;
        }
    }
    if (machine->history != NULL) {
        history->target = 0;
    }
}

static bool check(const struct tick86 *machine, struct error *err)
{
    if (machine->history == NULL || machine->history->has_failed) {
        error_set(err, "there is no history to go back in");
        return error_hint(err, "start with -checkpoints mem=256M, or a replay");
    }
    return true;
}

/* A replay goes on to where it has not been yet. */
static bool run_ahead(struct tick86 *machine, uint64_t icount, struct error *err)
{
    while (tick86_icount(machine) < icount) {
        uint64_t before = tick86_icount(machine), before_ns = clock_now(&machine->clock);
        enum tick86_stop stop = tick86_run(machine, UINT64_MAX, icount - before);
        if (stop == STOP_DEBUG) {
            tick86_debug_resume(machine);
        } else if (stop == STOP_MISSED || tick86_queued_inputs(machine) == 0 ||
                   (stop != STOP_RESET && before == tick86_icount(machine) && before_ns == clock_now(&machine->clock))) {
            return tick86_icount(machine) == icount ||
                   error_set(err, "the replay ends at instruction %llu", (unsigned long long)tick86_icount(machine));
        }
    }
    return true;
}

bool tick86_travel_goto(struct tick86 *machine, uint64_t icount, struct error *err)
{
    struct history *history = machine->history;
    struct tick86_history_info info;
    size_t n;

    if (!check(machine, err)) {
        return false;
    }
    tick86_history_info(machine, &info);
    if (icount > info.last_icount && machine->gate.is_replaying) {
        return tick86_travel_goto(machine, info.last_icount, err) && run_ahead(machine, icount, err);
    }
    if (icount < info.first_icount || icount > info.last_icount) {
        error_set(err, "the history does not have instruction %llu", (unsigned long long)icount);
        return error_hint(err, "it goes from %llu to %llu", (unsigned long long)info.first_icount,
                          (unsigned long long)info.last_icount);
    }
    if (!leave_present(machine, err)) {
        return false;
    }
    /* The last checkpoint from which that moment lies ahead: several may have its count while the processor halts. */
    for (n = history->count - 1; n > 0 && history->checkpoints[n].icount >= icount; n--) {
    }
    if (history->checkpoints[n].icount <= tick86_icount(machine) && tick86_icount(machine) < icount &&
        history->base >= n) {
        run_to(machine, icount); /* it is ahead, and nearer from here */
    } else {
        if (!jump(machine, n, err)) {
            return false;
        }
        run_to(machine, icount);
    }
    if (!check(machine, err)) {
        return false;
    }
    if (history_is_in_past(machine) && is_at(machine, &history->checkpoints[history->base + 1]) &&
        history->next_input == history->checkpoints[history->base + 1].inputs) {
        history->has_failed = !cross(machine); /* back at the present */
    }
    thin_out(machine);
    return tick86_icount(machine) == icount ||
           error_set(err, "the run cannot be repeated: it stops at instruction %llu",
                     (unsigned long long)tick86_icount(machine));
}

bool tick86_travel_reverse_step(struct tick86 *machine, uint64_t insns, struct error *err)
{
    uint64_t icount = tick86_icount(machine);
    struct tick86_history_info info;

    if (!check(machine, err)) {
        return false;
    }
    tick86_history_info(machine, &info);
    if (icount < info.first_icount + insns) {
        error_set(err, "that is before the beginning of the history");
        return error_hint(err, "it begins at instruction %llu", (unsigned long long)info.first_icount);
    }
    return tick86_travel_goto(machine, icount - insns, err);
}

/* The last hit between checkpoint `n` and `end`; UINT64_MAX: none. The machine ends up somewhere in between. */
static bool last_hit_in(struct tick86 *machine, size_t n, uint64_t end, bool includes_end, tick86_next_hit_fn *next_hit,
                        void *context, uint64_t *hit, struct error *err)
{
    *hit = UINT64_MAX;
    if (!jump(machine, n, err)) {
        return false;
    }
    while (tick86_icount(machine) < end && history_is_in_past(machine)) {
        uint64_t before = tick86_icount(machine);
        bool was_hit = next_hit(context, machine, end);
        if (was_hit && (tick86_icount(machine) < end || includes_end)) {
            *hit = tick86_icount(machine);
        }
        if (!check(machine, err)) {
            return false;
        }
        if (!was_hit && tick86_icount(machine) == before) {
            break; /* it does not move any more */
        }
    }
    return true;
}

static bool search_back(struct tick86 *machine, bool includes_end, tick86_next_hit_fn *next_hit, void *context, bool *hit,
                        struct error *err)
{
    struct history *history = machine->history;
    uint64_t end = tick86_icount(machine), found;
    size_t n;

    *hit = false;
    if (!check(machine, err) || !leave_present(machine, err)) {
        return false;
    }
    uint64_t spacing = history->spacing;
    for (n = history->count - 1; n > 0 && history->checkpoints[n].icount >= end; n--) {
    }
    for (;;) {
        uint64_t start = history->checkpoints[n].icount, start_ns = history->checkpoints[n].now_ns;
        history->spacing = UINT64_MAX / 4; /* the way to look back along is not worth checkpoints */
        bool is_good = last_hit_in(machine, n, end, includes_end, next_hit, context, &found, err);
        history = machine->history;
        if (history != NULL) {
            history->spacing = spacing;
        }
        if (!is_good) {
            return false;
        }
        if (found != UINT64_MAX) {
            *hit = true;
            return tick86_travel_goto(machine, found, err);
        }
        for (n = 0; history->checkpoints[n].icount != start || history->checkpoints[n].now_ns != start_ns; n++) {
        }
        if (n == 0) {
            return jump(machine, 0, err);
        }
        end = start;
        includes_end = true; /* what an instruction did is seen behind it */
        n--;
    }
}

bool tick86_travel_reverse_to(struct tick86 *machine, tick86_next_hit_fn *next_hit, void *context, bool *hit,
                              struct error *err)
{
    return search_back(machine, false, next_hit, context, hit, err);
}

bool tick86_travel_last_hit(struct tick86 *machine, tick86_next_hit_fn *next_hit, void *context, bool *hit,
                            struct error *err)
{
    return search_back(machine, true, next_hit, context, hit, err);
}

struct stepper {
    tick86_hit_fn *is_hit;
    void *context;
};

static bool step_to_hit(void *context, struct tick86 *machine, uint64_t until_icount)
{
    const struct stepper *stepper = context;

    while (tick86_icount(machine) < until_icount) {
        uint64_t before = tick86_icount(machine), before_ns = clock_now(&machine->clock);
        (void)tick86_run(machine, history_pause_ns(machine), 1);
        if (tick86_icount(machine) == before && clock_now(&machine->clock) == before_ns) {
            return false;
        }
        if (tick86_icount(machine) != before && stepper->is_hit(stepper->context, machine)) {
            return true;
        }
    }
    return false;
}

bool tick86_travel_reverse_continue(struct tick86 *machine, tick86_hit_fn *is_hit, void *context, bool *hit,
                                    struct error *err)
{
    struct stepper stepper = { is_hit, context };

    return tick86_travel_reverse_to(machine, step_to_hit, &stepper, hit, err);
}

void tick86_travel_go_live(struct tick86 *machine)
{
    struct history *history = machine->history;

    tick86_set_replaying(machine, false);
    if (history == NULL || !history_is_in_past(machine)) {
        return;
    }
    while (history->count > history->base + 1) {
        drop(history, &history->checkpoints[--history->count - 1].delta);
        delta_init(&history->checkpoints[history->count - 1].delta);
    }
    input_list_cut(&history->inputs, history->next_input);
}
