/* profile.c - the interpreter's profile, for people and as JSON. The format is described in docs/profile.md. */
#include "frontends/profile.h"
#include "frontends/disassembler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HOTTEST = 20, HANDLERS_SHOWN = 40, SEQUENCE_MAX = 3, SEQUENCES_WRITTEN = 20000 };

struct hot {
    size_t number;
    uint64_t weight;
};

/* Handlers that ran one after the other, and how often. */
struct sequence {
    uint16_t handlers[SEQUENCE_MAX];
    uint64_t executions;
};

struct report {
    const struct tick86 *machine;
    struct hot *blocks; /* by instructions executed, most first */
    size_t block_count;
    struct hot *handlers; /* by executions, most first */
    size_t handler_count;
    uint64_t insns, entries;
};

static int compare_hot(const void *a, const void *b)
{
    const struct hot *x = a, *y = b;

    if (x->weight != y->weight) {
        return x->weight < y->weight ? 1 : -1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static void report_free(struct report *report)
{
    free(report->blocks);
    free(report->handlers);
}

static bool report_make(struct report *report, const struct tick86 *machine)
{
    struct tick86_profile_block block;
    struct tick86_profile_handler handler;

    *report = (struct report){ .machine = machine };
    while (tick86_profile_block(machine, report->block_count, &block)) {
        report->block_count++;
    }
    while (tick86_profile_handler(machine, report->handler_count, &handler)) {
        report->handler_count++;
    }
    report->blocks = calloc(report->block_count + 1, sizeof *report->blocks);
    report->handlers = calloc(report->handler_count + 1, sizeof *report->handlers);
    if (report->blocks == NULL || report->handlers == NULL) {
        report_free(report);
        return false;
    }
    for (size_t n = 0; n < report->handler_count; n++) {
        report->handlers[n].number = n;
    }
    for (size_t n = 0; tick86_profile_block(machine, n, &block); n++) {
        report->blocks[n] = (struct hot){ n, block.executions * block.insns };
        report->insns += block.executions * block.insns;
        report->entries += block.executions;
        for (unsigned k = 0; k < block.insns; k++) {
            report->handlers[block.handlers[k]].weight += block.executions;
        }
    }
    qsort(report->blocks, report->block_count, sizeof *report->blocks, compare_hot);
    qsort(report->handlers, report->handler_count, sizeof *report->handlers, compare_hot);
    return true;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole != 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_bytes(const uint8_t *bytes, size_t size, FILE *out)
{
    for (size_t k = 0; k < size; k++) {
        fprintf(out, "%02x%s", bytes[k], k + 1 < size ? " " : "\n");
    }
}

static void print_insn(void *context, uint64_t address, const uint8_t *bytes, unsigned size, const char *text)
{
    (void)bytes;
    (void)size;
    fprintf(context, "        %08" PRIx64 "  %s\n", address, text);
}

/* The block's instructions, a line each; bytes where there is no disassembler or it knows them not. */
static void print_code(const struct tick86_profile_block *block, FILE *out)
{
    const struct disassembler *disassembler = disassembler_get();
    size_t done = 0;

    if (disassembler != NULL) {
        done = disassembler->run(block->code_bits, block->linear, block->bytes, block->size, print_insn, out);
    }
    if (done < block->size) {
        fprintf(out, "        %08" PRIx64 "  ", block->linear + done);
        print_bytes(block->bytes + done, block->size - done, out);
    }
}

#define STATS(X)                                                                                                       \
    X(blocks_decoded, "blocks decoded (block-cache misses)")                                                           \
    X(insns_decoded, "instructions decoded")                                                                           \
    X(blocks_retired, "blocks invalidated by stores to code")                                                          \
    X(dispatches, "returns to the dispatcher")                                                                         \
    X(link_misses, "links and jumps resolved by lookup")                                                               \
    X(tlb_fills, "TLB misses")                                                                                         \
    X(tlb_flushes, "TLB flushes")                                                                                      \
    X(slow_accesses, "memory accesses on the slow path")                                                               \
    X(io_accesses, "port and MMIO accesses")                                                                           \
    X(interrupts, "interrupts")

void profile_print(struct tick86 *machine, FILE *out)
{
    struct report report;
    struct tick86_stats stats;
    uint64_t icount = tick86_icount(machine);

    if (!report_make(&report, machine)) {
        fprintf(out, "tick86: no memory for the profile\n");
        return;
    }
    tick86_get_stats(machine, &stats);
    fprintf(out, "profile: %" PRIu64 " instructions, %.1f %% of them in %zu profiled blocks entered %" PRIu64
                 " times (%.2f instructions each)\n",
            icount, percent(report.insns, icount), report.block_count - 1, report.entries,
            report.entries != 0 ? (double)report.insns / (double)report.entries : 0.0);
#define ROW(field, what)                                                                                               \
    fprintf(out, "  %14" PRIu64 "  %9.3f per 1000 instructions  %s\n", stats.field,                                   \
            icount != 0 ? 1000.0 * (double)stats.field / (double)icount : 0.0, what);
    STATS(ROW)
#undef ROW
    fprintf(out, "hottest guest code:\n");
    for (size_t n = 0; n < HOTTEST && n < report.block_count && report.blocks[n].weight != 0; n++) {
        struct tick86_profile_block block;
        tick86_profile_block(machine, report.blocks[n].number, &block);
        fprintf(out, "  %2zu. %5.2f %%  %08" PRIx64 "  %u-bit %s, %u instructions, %" PRIu64 " times\n", n + 1,
                percent(report.blocks[n].weight, report.insns), block.linear, block.code_bits,
                block.is_user ? "user" : "system", block.insns, block.executions);
        print_code(&block, out);
    }
    fprintf(out, "handlers (%zu in use):\n", report.handler_count);
    for (size_t n = 0; n < HANDLERS_SHOWN && n < report.handler_count && report.handlers[n].weight != 0; n++) {
        struct tick86_profile_handler handler;
        tick86_profile_handler(machine, report.handlers[n].number, &handler);
        fprintf(out, "  %5.2f %%  %14" PRIu64 "  %s\n", percent(report.handlers[n].weight, report.insns),
                report.handlers[n].weight, handler.name);
    }
    report_free(&report);
}

/* ---- JSON ---- */

static int compare_handlers(const void *a, const void *b)
{
    return memcmp(((const struct sequence *)a)->handlers, ((const struct sequence *)b)->handlers,
                  sizeof((const struct sequence *)a)->handlers);
}

static int compare_sequences(const void *a, const void *b)
{
    const struct sequence *x = a, *y = b;

    if (x->executions != y->executions) {
        return x->executions < y->executions ? 1 : -1;
    }
    return compare_handlers(a, b);
}

/* All sequences of `length` handlers inside blocks, most executed first. */
static struct sequence *collect_sequences(const struct report *report, unsigned length, size_t *count)
{
    struct tick86_profile_block block;
    size_t total = 0, kept = 0;

    for (size_t n = 0; tick86_profile_block(report->machine, n, &block); n++) {
        total += block.executions != 0 && block.insns >= length ? block.insns - length + 1 : 0;
    }
    struct sequence *sequences = calloc(total + 1, sizeof *sequences);
    if (sequences == NULL) {
        return NULL;
    }
    total = 0;
    for (size_t n = 0; tick86_profile_block(report->machine, n, &block); n++) {
        for (unsigned k = 0; block.executions != 0 && k + length <= block.insns; k++) {
            memcpy(sequences[total].handlers, block.handlers + k, length * sizeof *block.handlers);
            sequences[total++].executions = block.executions;
        }
    }
    qsort(sequences, total, sizeof *sequences, compare_handlers);
    for (size_t n = 0; n < total; n++) {
        if (kept > 0 && compare_handlers(&sequences[kept - 1], &sequences[n]) == 0) {
            sequences[kept - 1].executions += sequences[n].executions;
        } else {
            sequences[kept++] = sequences[n];
        }
    }
    qsort(sequences, kept, sizeof *sequences, compare_sequences);
    *count = kept < SEQUENCES_WRITTEN ? kept : SEQUENCES_WRITTEN;
    return sequences;
}

static bool write_sequences(const struct report *report, unsigned length, FILE *out)
{
    size_t count;
    struct sequence *sequences = collect_sequences(report, length, &count);

    if (sequences == NULL) {
        return false;
    }
    for (size_t n = 0; n < count; n++) {
        fprintf(out, "%s\n  [", n > 0 ? "," : "");
        for (unsigned k = 0; k < length; k++) {
            fprintf(out, "%u,", sequences[n].handlers[k]);
        }
        fprintf(out, "%" PRIu64 "]", sequences[n].executions);
    }
    free(sequences);
    return true;
}

static void write_blocks(const struct report *report, FILE *out)
{
    const char *comma = "";

    for (size_t n = 0; n < report->block_count && report->blocks[n].weight != 0; n++) {
        struct tick86_profile_block block;
        tick86_profile_block(report->machine, report->blocks[n].number, &block);
        fprintf(out, "%s\n  [%" PRIu64 ",%" PRIu64 ",%u,%d,[", comma, block.executions, block.linear, block.code_bits,
                block.is_user);
        for (unsigned k = 0; k < block.insns; k++) {
            fprintf(out, "%s%u", k > 0 ? "," : "", block.handlers[k]);
        }
        fprintf(out, "],[");
        for (unsigned k = 0; k < block.insns; k++) {
            fprintf(out, "%s%u", k > 0 ? "," : "", block.links[k]);
        }
        fprintf(out, "]]");
        comma = ",";
    }
}

bool profile_write(struct tick86 *machine, FILE *out)
{
    struct report report;
    struct tick86_stats stats;

    if (!report_make(&report, machine)) {
        return false;
    }
    tick86_get_stats(machine, &stats);
    fprintf(out, "{\"icount\":%" PRIu64 ",\"profiled\":%" PRIu64 ",\"entries\":%" PRIu64, tick86_icount(machine),
            report.insns, report.entries);
#define ROW(field, what) fprintf(out, ",\"" #field "\":%" PRIu64, stats.field);
    STATS(ROW)
#undef ROW
    uint64_t *weights = calloc(report.handler_count + 1, sizeof *weights);
    for (size_t n = 0; weights != NULL && n < report.handler_count; n++) {
        weights[report.handlers[n].number] = report.handlers[n].weight;
    }
    fprintf(out, ",\n\"handlers\":[");
    for (size_t n = 0; weights != NULL && n < report.handler_count; n++) {
        struct tick86_profile_handler handler;
        tick86_profile_handler(machine, n, &handler);
        fprintf(out, "%s\n  {\"name\":\"%s\",\"offset\":%" PRId64 ",\"executions\":%" PRIu64 "}", n > 0 ? "," : "",
                handler.name, handler.offset, weights[n]);
    }
    fprintf(out, "],\n\"pairs\":[");
    bool is_ok = weights != NULL && write_sequences(&report, 2, out);
    fprintf(out, "],\n\"triples\":[");
    is_ok = is_ok && write_sequences(&report, 3, out);
    fprintf(out, "],\n\"blocks\":[");
    write_blocks(&report, out);
    fprintf(out, "]}\n");
    free(weights);
    report_free(&report);
    return is_ok && fflush(out) == 0;
}
