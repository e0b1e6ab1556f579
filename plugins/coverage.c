/* coverage.c - which code ran: `-plugin tick86-plugin-coverage.so,out=FILE,base=ADDRESS,end=ADDRESS[,elf=ELF,lcov=FILE]`.
 *
 * FILE gets a drcov map (version 2) of the blocks between base and end, which Lighthouse and the like show on the program. With an
 * ELF that has DWARF line numbers, lcov= gets an lcov tracefile for genhtml: addr2line of binutils finds the lines. */
#define _DEFAULT_SOURCE
#include "frontends/tick86_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int tick86_plugin_version = TICK86_PLUGIN_VERSION;

enum { TABLE = 1 << 20, PATH = 512, LINE = 2048 };

struct seen {
    uint64_t address, executions;
    uint16_t bytes;
};

static struct {
    struct seen *table; /* open addressing by address */
    size_t count;
    uint64_t base, end;
    char out[PATH], elf[PATH], lcov[PATH];
} coverage;

static void on_block(void *context, unsigned cpu, uint64_t linear, unsigned insns, unsigned bytes)
{
    size_t at = (size_t)((linear * UINT64_C(0x9e3779b97f4a7c15)) >> 44) % TABLE;

    (void)context;
    (void)cpu;
    (void)insns;
    if (linear < coverage.base || linear >= coverage.end) {
        return;
    }
    while (coverage.table[at].bytes != 0 && coverage.table[at].address != linear) {
        at = (at + 1) % TABLE;
    }
    if (coverage.table[at].bytes == 0) {
        if (coverage.count == TABLE / 2) {
            return; /* no program has so many blocks; those beyond are not counted */
        }
        coverage.count++;
        coverage.table[at].address = linear;
    }
    if (bytes > coverage.table[at].bytes) {
        coverage.table[at].bytes = (uint16_t)bytes;
    }
    coverage.table[at].executions++;
}

static bool argument(const char *arguments, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);

    for (const char *at = arguments; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            snprintf(value, size, "%.*s", (int)strcspn(at + length + 1, ","), at + length + 1);
            return true;
        }
    }
    return false;
}

bool tick86_plugin_start(struct tick86 *machine, const char *arguments, struct error *err)
{
    char number[32];
    const struct tick86_observer observer = {.context = &coverage, .block = on_block};

    coverage.base = argument(arguments, "base", number, sizeof number) ? strtoull(number, NULL, 0) : 0;
    coverage.end = argument(arguments, "end", number, sizeof number) ? strtoull(number, NULL, 0) : UINT64_MAX;
    argument(arguments, "elf", coverage.elf, sizeof coverage.elf);
    argument(arguments, "lcov", coverage.lcov, sizeof coverage.lcov);
    if (!argument(arguments, "out", coverage.out, sizeof coverage.out)) {
        return error_set(err, "the coverage plugin needs out=FILE");
    }
    coverage.table = calloc(TABLE, sizeof *coverage.table);
    return (coverage.table != NULL && tick86_observe(machine, &observer)) || error_set(err, "coverage cannot start");
}

static void write_drcov(void)
{
    FILE *out = fopen(coverage.out, "wb");

    if (out == NULL) {
        perror(coverage.out);
        return;
    }
    fprintf(out,
            "DRCOV VERSION: 2\nDRCOV FLAVOR: tick86\nModule Table: version 2, count 1\n"
            "Columns: id, base, end, entry, checksum, timestamp, path\n0, 0x%llx, 0x%llx, 0x0, 0x0, 0x0, %s\nBB Table: %zu bbs\n",
            (unsigned long long)coverage.base, (unsigned long long)coverage.end, *coverage.elf != '\0' ? coverage.elf : "guest",
            coverage.count);
    for (size_t n = 0; n < TABLE; n++) {
        const struct seen *seen = &coverage.table[n];
        if (seen->bytes != 0) {
            uint32_t start = (uint32_t)(seen->address - coverage.base);
            for (unsigned k = 0; k < 4; k++) {
                putc((int)(start >> (8 * k) & 0xff), out);
            }
            putc(seen->bytes & 0xff, out);
            putc(seen->bytes >> 8, out);
            putc(0, out); /* module 0 */
            putc(0, out);
        }
    }
    fclose(out);
}

struct line {
    char file[PATH];
    unsigned number;
    uint64_t executions;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    int order = strcmp(left->file, right->file);

    return order != 0 ? order : left->number < right->number ? -1 : left->number > right->number;
}

/* The lines of the instructions' addresses: one a byte would be too many; each block's first, and every second byte after it. */
static void write_lcov(struct tick86 *machine)
{
    char command[2 * PATH + 64], list[] = "/tmp/tick86-coverage-XXXXXX", text[LINE];
    int fd = mkstemp(list);
    FILE *addresses = fd >= 0 ? fdopen(fd, "w") : NULL, *pipe, *out;
    uint64_t *executions = NULL;
    size_t count = 0, capacity = 0, lines_used = 0;

    for (size_t n = 0; addresses != NULL && n < TABLE; n++) {
        const struct seen *seen = &coverage.table[n];
        char instruction[96];
        for (uint64_t at = seen->address; seen->bytes != 0 && at < seen->address + seen->bytes;) {
            unsigned length = tick86_disassemble(machine, 0, at, 0, instruction, sizeof instruction);
            if (count == capacity) {
                capacity = capacity * 2 + 4096;
                uint64_t *grown = realloc(executions, capacity * sizeof *executions);
                if (grown == NULL) {
                    break;
                }
                executions = grown;
            }
            executions[count++] = seen->executions;
            fprintf(addresses, "0x%llx\n", (unsigned long long)at);
            at += length != 0 ? length : 1;
        }
    }
    if (addresses != NULL) {
        fclose(addresses);
    }
    struct line *lines = calloc(count + 1, sizeof *lines);
    snprintf(command, sizeof command, "addr2line -e '%s' <%s", coverage.elf, list);
    pipe = popen(command, "r");
    for (size_t n = 0; pipe != NULL && lines != NULL && n < count && fgets(text, sizeof text, pipe) != NULL; n++) {
        char *colon = strrchr(text, ':');
        unsigned number = colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
        if (number != 0 && text[0] != '?') {
            snprintf(lines[lines_used].file, sizeof lines->file, "%.*s", (int)(colon - text), text);
            lines[lines_used].number = number;
            lines[lines_used++].executions = executions[n];
        }
    }
    if (pipe != NULL) {
        pclose(pipe);
    }
    remove(list);
    out = fopen(coverage.lcov, "w");
    if (out != NULL && lines != NULL) {
        qsort(lines, lines_used, sizeof *lines, compare_lines);
        for (size_t n = 0; n < lines_used; n++) {
            if (n == 0 || strcmp(lines[n].file, lines[n - 1].file) != 0) {
                fprintf(out, "%sTN:\nSF:%s\n", n != 0 ? "end_of_record\n" : "", lines[n].file);
            }
            uint64_t most = lines[n].executions;
            while (n + 1 < lines_used && compare_lines(&lines[n], &lines[n + 1]) == 0) {
                n++;
                most = lines[n].executions > most ? lines[n].executions : most;
            }
            fprintf(out, "DA:%u,%llu\n", lines[n].number, (unsigned long long)most);
        }
        fprintf(out, "%s", lines_used != 0 ? "end_of_record\n" : "");
    }
    if (out != NULL) {
        fclose(out);
    }
    free(lines);
    free(executions);
}

void tick86_plugin_end(struct tick86 *machine)
{
    tick86_unobserve(machine, &coverage);
    write_drcov();
    if (*coverage.lcov != '\0' && *coverage.elf != '\0') {
        write_lcov(machine);
    }
    fprintf(stderr, "coverage: %zu blocks\n", coverage.count);
    free(coverage.table);
}
