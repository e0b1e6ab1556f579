/* bench.c - tick86 against Bochs and QEMU TCG, interleaved, on the same guests: user CPU time per item, and ratios.
 *
 * A round boots the benchmark CD and the installer CD once in each program, one program after the other, so that what
 * else the machine does falls on all alike. An item's time is the CPU time that the emulator's process spent between
 * the lines on the serial port that begin and end it; the guest's own clock is not used. Figures are medians of the
 * rounds. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "tests/bench/bench.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const peer_names[PEERS] = {"tick86", "bochs", "qemu"};

static const char *const item_names[] = {"boot",      "installer",   "int.sieve", "int.crc32",    "int.qsort",
                                         "int.hash",  "int.sha256",  "int.div64", "mem.memcpy",   "mem.repmovs",
                                         "mem.chase", "br.vm",       "br.fib",    "fp.nbody",     "fp.mandel",
                                         "fp.trig",   "sys.getppid", "sys.pipe",  "sys.forkexec", "sys.mmaptouch"};
enum { ITEM_BOOT, ITEM_INSTALLER, ITEM_FIRST, ITEMS = sizeof item_names / sizeof item_names[0] };
static const char installer_menu[] = "Select a language";

/* What was measured, in seconds; 0: not. */
struct results {
    double user[ITEMS][PEERS][ROUNDS_MAX];
    char sum[ITEMS][16]; /* the item's checksum, which must not depend on the program */
    bool is_wrong[ITEMS];
    uint64_t insns[ITEMS];
    double start_ms[PEERS], idle_shell[PEERS], idle_hlt[PEERS];
    double resident_mib[PEERS], ram_mib[PEERS];
};

static bool wanted(const struct options *options, unsigned item)
{
    char list[512], *rest = list;

    if (options->items == NULL) {
        return true;
    }
    snprintf(list, sizeof list, "%s", options->items);
    for (const char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (name[0] != '\0' && strstr(item_names[item], name) != NULL) {
            return true;
        }
    }
    return false;
}

static bool any_benchmark(const struct options *options)
{
    for (unsigned item = ITEM_FIRST; item < ITEMS; item++) {
        if (wanted(options, item)) {
            return true;
        }
    }
    return false;
}

static void note_sum(struct results *results, unsigned item, const char *line, enum peer peer)
{
    const char *sum = strstr(line, "sum=");

    if (sum == NULL || strspn(sum + 4, "0123456789abcdef") != 8) {
        return; /* a kernel message cut into the line */
    }
    if (results->sum[item][0] == '\0') {
        snprintf(results->sum[item], sizeof results->sum[item], "%.8s", sum + 4);
    } else if (strncmp(results->sum[item], sum + 4, 8) != 0) {
        fprintf(stderr, "bench: %s computes %.8s for %s, others %s\n", peer_names[peer], sum + 4, item_names[item],
                results->sum[item]);
        results->is_wrong[item] = true;
    }
}

static struct guest guest_named(const struct options *options, const char *name, unsigned ram_mib)
{
    struct guest guest = {.ram_mib = ram_mib, .tick86_time = options->time};

    snprintf(guest.iso, sizeof guest.iso, "%s/%s-%s.iso", options->directory, options->arch, name);
    return guest;
}

static struct guest bench_guest(const struct options *options)
{
    char name[64];

    snprintf(name, sizeof name, "bench-%s", options->scale);
    return guest_named(options, name, 256);
}

/* ---- rounds ---- */

/* Boots the benchmark CD: the boot, then one item after the other. */
static void run_bench(struct results *results, const struct options *options, enum peer peer, unsigned round)
{
    struct guest guest = bench_guest(options);
    struct process process;
    struct cpu_time before = {0, 0}, now;

    if (process_start(&process, peer, &guest, options) && process_wait_text(&process, "GUEST-READY", false) &&
        process_cpu_time(&process, &now)) {
        results->user[ITEM_BOOT][peer][round] = (double)now.user_ns / 1e9;
        uint64_t resident, ram;
        if (process_memory(&process, (uint64_t)guest.ram_mib << 20, &resident, &ram)) {
            results->resident_mib[peer] = (double)resident / (1 << 20);
            results->ram_mib[peer] = (double)ram / (1 << 20);
        }
        if (any_benchmark(options) && process_wait_text(&process, "BENCH-START", false)) {
            process_cpu_time(&process, &before);
        }
        for (unsigned item = ITEM_FIRST; any_benchmark(options) && item < ITEMS; item++) {
            char text[48];
            snprintf(text, sizeof text, "BENCH %.12s",
                     item_names[item]); /* the rest may be cut by the kernel's last words */
            if (!process_wait_text(&process, text, false) || !process_cpu_time(&process, &now)) {
                fprintf(stderr, "bench: %s stopped in %s\n", peer_names[peer], item_names[item]);
                break;
            }
            results->user[item][peer][round] = (double)(now.user_ns - before.user_ns) / 1e9;
            note_sum(results, item, process.line, peer);
            before = now;
        }
    } else {
        fprintf(stderr, "bench: %s did not boot: %s\n", peer_names[peer], process.line);
    }
    process_end(&process);
}

static void run_installer(struct results *results, const struct options *options, enum peer peer, unsigned round)
{
    struct guest guest = guest_named(options, "installer", 512);
    struct process process;
    struct cpu_time now;

    if (process_start(&process, peer, &guest, options) && process_wait_text(&process, installer_menu, true) &&
        process_cpu_time(&process, &now)) {
        results->user[ITEM_INSTALLER][peer][round] = (double)now.user_ns / 1e9;
    } else {
        fprintf(stderr, "bench: %s did not reach the installer's menu: %s\n", peer_names[peer], process.line);
    }
    process_end(&process);
}

static void run_rounds(struct results *results, const struct options *options)
{
    bool boots = wanted(options, ITEM_BOOT) || any_benchmark(options);

    for (unsigned round = 0; round < options->rounds; round++) {
        for (unsigned turn = 0; turn < PEERS; turn++) {
            enum peer peer = (enum peer)((round + turn) % PEERS);
            if (!options->uses_peer[peer]) {
                continue;
            }
            fprintf(stderr, "round %u of %u: %s\n", round + 1, options->rounds, peer_names[peer]);
            if (boots) {
                run_bench(results, options, peer, round);
            }
            if (wanted(options, ITEM_INSTALLER)) {
                run_installer(results, options, peer, round);
            }
        }
    }
}

/* ---- beyond items ---- */

/* A boot sector that halts for good with interrupts on: STI; HLT; JMP to the HLT. The PC's timer wakes it 18 times a
 * second. */
static bool write_halting_disk(const char *path)
{
    static const uint8_t code[] = {0xfb, 0xf4, 0xeb, 0xfd};
    uint8_t sector[512] = {0};
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        return false;
    }
    memcpy(sector, code, sizeof code);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    bool is_ok = fwrite(sector, sizeof sector, 1, file) == 1;
    for (unsigned n = 1; n < 2048; n++) { /* 1 MiB: what every program takes for a disk */
        is_ok = is_ok && fwrite((const uint8_t[512]){0}, 512, 1, file) == 1;
    }
    return fclose(file) == 0 && is_ok;
}

/* Share of a core that the program takes, in percent, user and system, over `seconds`. */
static double load_of(struct process *process, unsigned seconds)
{
    struct cpu_time before, after;
    int64_t start = wall_ns();

    if (!process_cpu_time(process, &before)) {
        return -1;
    }
    process_let_run(process, (int64_t)seconds * 1000000000);
    if (!process_cpu_time(process, &after)) {
        return -1;
    }
    return 100.0 * (double)(after.total_ns - before.total_ns) / (double)(wall_ns() - start);
}

static void measure_idle(struct results *results, const struct options *options, enum peer peer)
{
    struct guest shell = guest_named(options, "sh", 256), halting = {.ram_mib = 256};
    struct process process;

    shell.tick86_time = halting.tick86_time = "wall";
    if (process_start(&process, peer, &shell, options) && process_wait_text(&process, "GUEST-READY", false) &&
        process_wait_text(&process, "# ", true)) {
        process_let_run(&process, 3000000000);
        results->idle_shell[peer] = load_of(&process, 10);
    }
    process_end(&process);
    snprintf(halting.iso, sizeof halting.iso, "%s/hlt.img", options->directory);
    if (write_halting_disk(halting.iso) && process_start(&process, peer, &halting, options)) {
        process_let_run(&process, 5000000000);
        results->idle_hlt[peer] = load_of(&process, 10);
    }
    process_end(&process);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Median of what is not 0; 0 when nothing is. */
static double median(const double *values, unsigned count)
{
    double sorted[ROUNDS_MAX];
    unsigned kept = 0;

    for (unsigned n = 0; n < count; n++) {
        if (values[n] > 0) {
            sorted[kept++] = values[n];
        }
    }
    if (kept == 0) {
        return 0;
    }
    qsort(sorted, kept, sizeof sorted[0], compare_doubles);
    return kept % 2 ? sorted[kept / 2] : (sorted[kept / 2 - 1] + sorted[kept / 2]) / 2;
}

/* From fork to the end of a tick86 that executes one instruction of its firmware with 256 MiB: an upper bound of its
 * start. */
static double measure_start(const struct options *options)
{
    double times[21];
    enum { TIMES = sizeof times / sizeof times[0] };

    for (unsigned n = 0; n < TIMES; n++) {
        int64_t before = wall_ns();
        pid_t pid = fork();
        if (pid == 0) {
            if (freopen("/dev/null", "w", stderr) == NULL) {
                _exit(126);
            }
            execlp(options->tick86, options->tick86, "-m", "256M", "-display", "none", "-stop-at", "insns=1",
                   (char *)NULL);
            _exit(127);
        }
        int status = -1;
        waitpid(pid, &status, 0);
        times[n] = status == 0 ? (double)(wall_ns() - before) / 1e6 : 0;
    }
    return median(times, TIMES);
}

static void measure_counts(struct results *results, const struct options *options)
{
    struct count_mark marks[ITEMS + 1], menu = {installer_menu, 0};
    struct guest guest = bench_guest(options), installer = guest_named(options, "installer", 512);
    char texts[ITEMS][48];

    fprintf(stderr, "counting instructions\n");
    marks[0] = (struct count_mark){"GUEST-READY", 0};
    marks[1] = (struct count_mark){"BENCH-START", 0};
    for (unsigned item = ITEM_FIRST; item < ITEMS; item++) {
        snprintf(texts[item], sizeof texts[item], "BENCH %.12s", item_names[item]);
        marks[item] = (struct count_mark){texts[item], 0};
    }
    if (count_instructions(&guest, marks, any_benchmark(options) ? ITEMS : 1)) {
        results->insns[ITEM_BOOT] = marks[0].icount;
        for (unsigned item = ITEM_FIRST; item < ITEMS; item++) {
            results->insns[item] =
                marks[item].icount > marks[item - 1].icount ? marks[item].icount - marks[item - 1].icount : 0;
        }
    }
    if (wanted(options, ITEM_INSTALLER) && count_instructions(&installer, &menu, 1)) {
        results->insns[ITEM_INSTALLER] = menu.icount;
    }
}

/* ---- report ---- */

struct row {
    double user[PEERS];
    double ratio[PEERS]; /* the peer's time divided by tick86's; 0: not known */
};

static struct row row_of(const struct results *results, const struct options *options, unsigned item)
{
    struct row row = {{0}, {0}};

    for (unsigned peer = 0; peer < PEERS; peer++) {
        row.user[peer] = median(results->user[item][peer], options->rounds);
    }
    for (unsigned peer = 0; peer < PEERS; peer++) {
        row.ratio[peer] = row.user[PEER_TICK86] > 0 ? row.user[peer] / row.user[PEER_TICK86] : 0;
    }
    return row;
}

/* Geometric mean and minimum of the eighteen items' ratios; 0 when one is missing. */
static double mean_ratio(const struct results *results, const struct options *options, enum peer peer, double *least)
{
    double sum = 0;
    unsigned count = 0;

    *least = INFINITY;
    for (unsigned item = ITEM_FIRST; item < ITEMS; item++) {
        double ratio = row_of(results, options, item).ratio[peer];
        if (ratio > 0) {
            sum += log(ratio);
            count++;
            *least = fmin(*least, ratio);
        }
    }
    if (count == 0) {
        *least = 0;
        return 0;
    }
    return exp(sum / count);
}

static void print_number(double value, int width, int decimals)
{
    if (value > 0) {
        printf(" %*.*f", width, decimals, value);
    } else {
        printf(" %*s", width, "-");
    }
}

static void print_table(const struct results *results, const struct options *options)
{
    printf("%s guest, user CPU seconds, medians of %u rounds (tick86 -time %s); ratio: the peer's time / tick86's\n\n",
           options->arch, options->rounds, options->time);
    printf("%-14s %8s %8s %8s %9s %9s %12s %8s %8s\n", "item", "tick86", "bochs", "qemu", "bochs/", "qemu/",
           "guest insns", "MIPS", "ns/insn");
    for (unsigned item = 0; item < ITEMS; item++) {
        if (!wanted(options, item) && item != ITEM_BOOT) {
            continue;
        }
        struct row row = row_of(results, options, item);
        printf("%-14s", item_names[item]);
        for (unsigned peer = 0; peer < PEERS; peer++) {
            print_number(row.user[peer], 8, 3);
        }
        print_number(row.ratio[PEER_BOCHS], 9, 2);
        print_number(row.ratio[PEER_QEMU], 9, 2);
        print_number((double)results->insns[item], 12, 0);
        bool is_known = results->insns[item] != 0 && row.user[PEER_TICK86] > 0;
        print_number(is_known ? (double)results->insns[item] / row.user[PEER_TICK86] / 1e6 : 0, 8, 0);
        print_number(is_known ? row.user[PEER_TICK86] * 1e9 / (double)results->insns[item] : 0, 8, 2);
        printf("%s\n", results->is_wrong[item] ? "  WRONG SUM" : "");
    }
    for (unsigned peer = PEER_BOCHS; peer < PEERS; peer++) {
        double least, mean = mean_ratio(results, options, (enum peer)peer, &least);
        if (mean > 0) {
            printf("%s: geometric mean of the benchmark items' ratios %.2f, least %.2f\n", peer_names[peer], mean,
                   least);
        }
    }
    if (results->start_ms[PEER_TICK86] > 0) {
        printf("tick86 starts, executes one instruction with 256 MiB and ends in %.1f ms\n",
               results->start_ms[PEER_TICK86]);
    }
    for (unsigned peer = 0; peer < PEERS; peer++) {
        if (results->resident_mib[peer] > 0) {
            printf("%s at GUEST-READY: %.1f MiB resident, %.1f of them guest RAM, %.1f beyond it", peer_names[peer],
                   results->resident_mib[peer], results->ram_mib[peer],
                   results->resident_mib[peer] - results->ram_mib[peer]);
            if (results->idle_shell[peer] > 0) {
                printf("; idle at a shell prompt %.2f %% of a core, in a HLT loop %.2f %%", results->idle_shell[peer],
                       results->idle_hlt[peer]);
            }
            printf("\n");
        }
    }
}

static bool write_json(const struct results *results, const struct options *options)
{
    FILE *file = fopen(options->json, "w");

    if (file == NULL) {
        perror(options->json);
        return false;
    }
    fprintf(file, "{\"arch\":\"%s\",\"rounds\":%u,\"scale\":%s,\"time\":\"%s\",\"items\":{", options->arch,
            options->rounds, options->scale, options->time);
    for (unsigned item = 0; item < ITEMS; item++) {
        struct row row = row_of(results, options, item);
        fprintf(file, "%s\n  \"%s\":{\"insns\":%" PRIu64, item > 0 ? "," : "", item_names[item], results->insns[item]);
        for (unsigned peer = 0; peer < PEERS; peer++) {
            fprintf(file, ",\"%s\":{\"median\":%.6f,\"ratio\":%.4f,\"rounds\":[", peer_names[peer], row.user[peer],
                    row.ratio[peer]);
            for (unsigned round = 0; round < options->rounds; round++) {
                fprintf(file, "%s%.6f", round > 0 ? "," : "", results->user[item][peer][round]);
            }
            fprintf(file, "]}");
        }
        fprintf(file, "}");
    }
    fprintf(file, "},\n\"means\":{");
    for (unsigned peer = PEER_BOCHS; peer < PEERS; peer++) {
        double least, mean = mean_ratio(results, options, (enum peer)peer, &least);
        fprintf(file, "%s\"%s\":{\"geometric\":%.4f,\"least\":%.4f}", peer > PEER_BOCHS ? "," : "", peer_names[peer],
                mean, least);
    }
    fprintf(file, "},\n\"start_ms\":%.3f,\"programs\":{", results->start_ms[PEER_TICK86]);
    for (unsigned peer = 0; peer < PEERS; peer++) {
        fprintf(file,
                "%s\"%s\":{\"resident_mib\":%.2f,\"guest_ram_mib\":%.2f,\"idle_shell_percent\":%.3f,\"idle_hlt_"
                "percent\":%.3f}",
                peer > 0 ? "," : "", peer_names[peer], results->resident_mib[peer], results->ram_mib[peer],
                results->idle_shell[peer], results->idle_hlt[peer]);
    }
    fprintf(file, "}}\n");
    if (fclose(file) != 0) {
        perror(options->json);
        return false;
    }
    return true;
}

/* ---- options ---- */

static const char help[] =
    "usage: bench [OPTION]...\n"
    "Runs tick86, Bochs and QEMU TCG interleaved on the same guests and prints the user CPU time of each and the "
    "ratios.\n"
    "The guests are built on the first run (tests/bench/guests.sh), which installs the packages it needs.\n\n"
    "  --rounds N       medians of N rounds (default 3)\n"
    "  --items LIST     items whose names contain one of these: boot, installer, int, mem, br, fp, sys, int.crc32 ...\n"
    "                   (default: all; the boot is part of every run of items)\n"
    "  --peers LIST     of tick86,bochs,qemu (default: all three)\n"
    "  --scale X        work of the benchmark items, 1 is about a minute of QEMU (default 0.25)\n"
    "  --arch A         guest: i386 or amd64 (default i386)\n"
    "  --time MODE      tick86's -time (default wall, as tick86's own default)\n"
    "  --json FILE      the figures of every round as JSON\n"
    "  --tick86 FILE    the program to measure (default: the one built beside this)\n"
    "  --guests DIR     where the guests are (default: bench-guests beside this)\n"
    "  --timeout N      seconds of wall time that one boot may take (default 3600)\n"
    "  --only-items     no start-up time, idle load and instruction counts\n"
    "  --help           this list\n";

static int usage_error(const char *what, const char *value)
{
    fprintf(stderr, "bench: %s '%s'; see bench --help\n", what, value);
    return 1;
}

static bool parse_peers(struct options *options, const char *value)
{
    char list[64], *rest = list;

    memset(options->uses_peer, 0, sizeof options->uses_peer);
    snprintf(list, sizeof list, "%s", value);
    for (const char *name; (name = strsep(&rest, ",")) != NULL;) {
        unsigned peer = 0;
        while (peer < PEERS && strcmp(peer_names[peer], name) != 0) {
            peer++;
        }
        if (peer == PEERS) {
            return false;
        }
        options->uses_peer[peer] = true;
    }
    return true;
}

/* 0: go on; else exit status + 1. */
static int parse(struct options *options, int argc, char **argv)
{
    unsigned long number;
    char *end;

    for (int n = 1; n < argc; n++) {
        const char *name = argv[n], *value = n + 1 < argc ? argv[n + 1] : NULL;
        if (strcmp(name, "--help") == 0) {
            fputs(help, stdout);
            return 1;
        }
        if (strcmp(name, "--only-items") == 0) {
            options->skips_extras = true;
            continue;
        }
        if (value == NULL) {
            return usage_error("no such option, or no value for it:", name) + 1;
        }
        n++;
        number = strtoul(value, &end, 10);
        bool is_number = *end == '\0' && number > 0;
        if (strcmp(name, "--rounds") == 0 && is_number && number <= ROUNDS_MAX) {
            options->rounds = (unsigned)number;
        } else if (strcmp(name, "--timeout") == 0 && is_number && number < 1000000) {
            options->timeout_s = (unsigned)number;
        } else if (strcmp(name, "--peers") == 0 && parse_peers(options, value)) {
            continue;
        } else if (strcmp(name, "--scale") == 0 && strtod(value, &end) > 0 && *end == '\0') {
            options->scale = value;
        } else if (strcmp(name, "--arch") == 0 && (strcmp(value, "i386") == 0 || strcmp(value, "amd64") == 0)) {
            options->arch = value;
        } else if (strcmp(name, "--items") == 0) {
            options->items = value;
        } else if (strcmp(name, "--time") == 0) {
            options->time = value;
        } else if (strcmp(name, "--json") == 0) {
            options->json = value;
        } else if (strcmp(name, "--tick86") == 0) {
            options->tick86 = value;
        } else if (strcmp(name, "--guests") == 0) {
            options->directory = value;
        } else {
            return usage_error(name, value) + 1;
        }
    }
    return 0;
}

/* Whether `name` can be found in PATH. */
static bool has_program(const char *name)
{
    char command[128];

    snprintf(command, sizeof command, "command -v %s >/dev/null", name);
    return system(command) == 0;
}

static bool prepare(struct options *options)
{
    char command[4096];
    const char *qemu = strcmp(options->arch, "amd64") == 0 ? "qemu-system-x86_64" : "qemu-system-i386";

    snprintf(command, sizeof command, "bash '%s/tests/bench/guests.sh' '%s' '%s' '%s' %s%s", TICK86_SOURCE,
             options->arch, options->directory, options->scale, options->uses_peer[PEER_QEMU] ? "qemu " : "",
             options->uses_peer[PEER_BOCHS] ? "bochs" : "");
    if (system(command) != 0) {
        fprintf(stderr, "bench: the guests cannot be built; %s says why\n", "the text above");
        return false;
    }
    if ((options->uses_peer[PEER_QEMU] && !has_program(qemu)) ||
        (options->uses_peer[PEER_BOCHS] && !has_program("bochs"))) {
        fprintf(stderr, "bench: a peer is not installed; packages qemu-system-x86 and bochs, or use --peers\n");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct results results;
    struct options options = {.rounds = 3,
                              .uses_peer = {true, true, true},
                              .scale = "0.25",
                              .arch = "i386",
                              .time = "wall",
                              .tick86 = TICK86_PROGRAM,
                              .directory = TICK86_GUESTS,
                              .timeout_s = 3600};
    int status = parse(&options, argc, argv);

    if (status != 0) {
        return status - 1;
    }
    signal(SIGPIPE, SIG_IGN);
    if (!prepare(&options)) {
        return 1;
    }
    run_rounds(&results, &options);
    if (!options.skips_extras) {
        measure_counts(&results, &options);
        results.start_ms[PEER_TICK86] = measure_start(&options);
        for (unsigned peer = 0; peer < PEERS; peer++) {
            if (options.uses_peer[peer] && peer != PEER_BOCHS) { /* whose clock is not the host's here */
                measure_idle(&results, &options, (enum peer)peer);
            }
        }
    }
    print_table(&results, &options);
    for (unsigned item = 0; item < ITEMS; item++) {
        status |= results.is_wrong[item];
    }
    return options.json != NULL && !write_json(&results, &options) ? 1 : status;
}
