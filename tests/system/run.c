/* run.c - runs test firmware of tests/system: run ROM.
 *
 * The ROM prints on the debug console, "FAIL ..." for what is wrong, and ends through isa-debug-exit. It runs twice, with the
 * block cache in one go and without it in slices of odd lengths; both must be equal at every slice's end. */
#include "machine/machine.h"
#include "machine/tick86.h"
#include "tests/support/isa_cases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_BYTES = 16 << 20, VRAM_BYTES = 16 << 20, OUTPUT_MAX = 1 << 16, BIOS_BYTES = 1 << 16 };
#define INSNS_MAX UINT64_C(10000000)

struct pc {
    struct tick86 *machine;
    uint8_t *ram, *vram;
    struct byte_sink sink;
    char output[OUTPUT_MAX];
    size_t length;
};

static void put_byte(void *context, uint8_t byte)
{
    struct pc *pc = context;

    if (pc->length < OUTPUT_MAX - 1) {
        pc->output[pc->length++] = (char)byte;
    }
}

static bool pc_open(struct pc *pc, const uint8_t *bios, bool use_block_cache)
{
    struct error err = { "", "" };

    memset(pc, 0, sizeof *pc);
    pc->ram = calloc(1, RAM_BYTES);
    pc->vram = calloc(1, VRAM_BYTES);
    pc->sink = (struct byte_sink){ pc, put_byte };
    struct tick86_config config = { .ram = pc->ram,
                                    .ram_bytes = RAM_BYTES,
                                    .vram = pc->vram,
                                    .vram_bytes = VRAM_BYTES,
                                    .bios = { "test ROM", bios, BIOS_BYTES },
                                    .debugcon = &pc->sink,
                                    .debug_exit = true,
                                    .use_block_cache = use_block_cache };
    pc->machine = pc->ram != NULL && pc->vram != NULL ? tick86_create(&config, &err) : NULL;
    if (pc->machine == NULL) {
        fprintf(stderr, "run: %s\n", err.message);
    }
    return pc->machine != NULL;
}

static void pc_close(struct pc *pc)
{
    tick86_destroy(pc->machine);
    free(pc->ram);
    free(pc->vram);
}

static void put_text(void *context, const char *text)
{
    fputs(text, context);
}

static bool finish(struct pc *pc, enum tick86_stop stop)
{
    struct error err = { "", "" };
    bool is_good = stop == STOP_DEBUG_EXIT && tick86_debug_exit_value(pc->machine) == 20;

    fputs(pc->output, stdout);
    if (!is_good) {
        printf("stopped by %d after %" PRIu64 " instructions\n", (int)stop, tick86_icount(pc->machine));
        tick86_info(pc->machine, "registers", put_text, stdout, &err);
    }
    return is_good && strstr(pc->output, "FAIL") == NULL && strstr(pc->output, "DONE") != NULL;
}

/* Takes both to the next meeting point; false when they differ there. */
static bool meet(struct pc *fast, struct pc *slow, uint64_t step, enum tick86_stop *stop)
{
    uint64_t before = tick86_icount(fast->machine);
    enum tick86_stop slow_stop = STOP_BUDGET;

    *stop = tick86_run(fast->machine, UINT64_MAX, step);
    uint64_t to = tick86_icount(fast->machine);
    for (uint64_t n = 1; slow_stop == STOP_BUDGET && tick86_icount(slow->machine) < to; n = n % 13 + 1) {
        uint64_t left = to - tick86_icount(slow->machine);
        slow_stop = tick86_run(slow->machine, UINT64_MAX, n < left ? n : left);
    }
    if (*stop != STOP_BUDGET && slow_stop == STOP_BUDGET) {
        slow_stop = tick86_run(slow->machine, UINT64_MAX, 1);
    }
    if (*stop != slow_stop || tick86_icount(slow->machine) != to ||
        tick86_hash(fast->machine, false) != tick86_hash(slow->machine, false)) {
        printf("FAIL between instructions %" PRIu64 " and %" PRIu64 " the block cache makes a difference\n", before, to);
        return false;
    }
    return true;
}

/* Counts the row of the instruction that comes next. */
static void count_next(const struct tick86 *machine)
{
    const struct cpu *cpu = machine->cpu;
    uint64_t linear = cpu->rip + cpu->seg[SEG_CS].base;
    bool is_long = (cpu->efer & EFER_LMA) != 0;
    bool is_protected = (cpu->cr0 & CR0_PE) && !(cpu->eflags & FLAG_VM);
    unsigned mode = (is_protected ? (unsigned)MODE_PROTECTED : 0u) | (cpu->seg[SEG_CS].attributes & ATTR_DB ? (unsigned)MODE_CODE32 : 0u) |
                    (is_long && (cpu->seg[SEG_CS].attributes & ATTR_L) ? (unsigned)MODE_CODE64 : 0u);
    uint8_t bytes[INSTRUCTION_MAX];
    unsigned size = 0;

    while (size < sizeof bytes && tick86_read_linear(machine, is_long ? linear + size : (uint32_t)(linear + size), bytes + size, 1)) {
        size++;
    }
    isa_cases_in(bytes, size, mode, 1, 1);
}

/* How often each row is executed: the program once more, an instruction at a time. */
static bool count_rows(const uint8_t *bios)
{
    static struct pc pc;

    if (getenv("TICK86_ISA_CASES") == NULL) {
        return true;
    }
    if (!pc_open(&pc, bios, false)) {
        return false;
    }
    do {
        count_next(pc.machine);
    } while (tick86_run(pc.machine, UINT64_MAX, 1) == STOP_BUDGET && tick86_icount(pc.machine) < INSNS_MAX);
    pc_close(&pc);
    return true;
}

int main(int argc, char **argv)
{
    static struct pc fast, slow;
    static uint8_t bios[BIOS_BYTES];
    enum tick86_stop stop = STOP_BUDGET;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

    if (file == NULL || fread(bios, 1, sizeof bios, file) != sizeof bios) {
        fprintf(stderr, "usage: run ROM, a file of 64 KiB\n");
        return 1;
    }
    fclose(file);
    if (!pc_open(&fast, bios, true) || !pc_open(&slow, bios, false)) {
        return 1;
    }
    bool is_same = true;
    for (uint64_t step = 1; is_same && stop == STOP_BUDGET && tick86_icount(fast.machine) < INSNS_MAX;
         step = (step * 7 + 3) % 1009 + 1) {
        is_same = meet(&fast, &slow, step, &stop);
    }
    if (is_same && memcmp(fast.ram, slow.ram, RAM_BYTES) != 0) {
        printf("FAIL the block cache makes a difference in RAM\n");
        is_same = false;
    }
    bool is_good = finish(&fast, stop) && is_same;
    pc_close(&fast);
    pc_close(&slow);
    return is_good && count_rows(bios) ? 0 : 1;
}
