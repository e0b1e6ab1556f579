/* bench.h - what the parts of build/bench share: guests, the programs that run them, and what was measured. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { PEERS = 3, ROUNDS_MAX = 99, ITEMS_MAX = 24, LINE_BYTES = 512 };
enum peer { PEER_TICK86, PEER_BOCHS, PEER_QEMU };

struct options {
    unsigned rounds;
    const char *items; /* comma-separated substrings, or NULL: all */
    bool uses_peer[PEERS];
    const char *json; /* NULL: none */
    const char *scale;
    const char *arch; /* i386 or amd64 */
    const char *time; /* tick86's -time */
    const char *tick86;
    const char *directory; /* of the guests */
    unsigned timeout_s;
    bool skips_extras; /* start-up, memory, idling, exact counts */
};

/* What is booted. */
struct guest {
    char iso[1024];
    unsigned ram_mib;
    const char *tick86_time;
};

/* CPU time of a process and all its threads, in nanoseconds. The kernel tells the sum exactly and the part spent in the
 * system in hundredths of a second; `user` is the difference. */
struct cpu_time {
    int64_t total_ns, user_ns;
};

/* A running emulator. Its serial port is a pipe, so that a line is seen when its last byte is written. */
struct process {
    enum peer peer;
    pid_t pid;
    clockid_t clock;
    int serial;   /* read end */
    int terminal; /* Bochs' debugger talks to one; else -1 */
    int screen;   /* the pseudo-terminal that Bochs draws the guest's screen on, when it has named it; else -1 */
    char said[2048]; /* what Bochs said first */
    size_t said_size;
    int input;    /* the serial port's input, or -1 */
    char work[64]; /* scratch directory */
    char line[LINE_BYTES];
    size_t line_size;
    char pending[4096];
    size_t pending_at, pending_size;
    int64_t deadline_ns;
};

int64_t wall_ns(void);
/* False when the process is gone. */
bool process_cpu_time(const struct process *process, struct cpu_time *time);
/* Starts the emulator on the guest. False (with a message on stderr) when it cannot be started. */
bool process_start(struct process *process, enum peer peer, const struct guest *guest, const struct options *options);
/* Reads lines of serial output, escape sequences and all, until one contains `text`; the line is in process->line. An
 * unfinished line counts when `partial`. False when the guest ended or time ran out. */
bool process_wait_text(struct process *process, const char *text, bool partial);
/* Lets it run for `ns` and drops what it says. */
void process_let_run(struct process *process, int64_t ns);
/* Kills it if it still runs. */
void process_end(struct process *process);
/* Resident bytes: all, and those of the mapping that is the guest's RAM. */
bool process_memory(const struct process *process, uint64_t ram_bytes, uint64_t *resident, uint64_t *guest_ram);

/* ---- exact counts, from a run inside this process ---- */

/* Instructions retired when a line with the text came out of COM1. */
struct count_mark {
    const char *text;
    uint64_t icount; /* 0: it never came */
};
/* Runs the guest in virtual time until the last mark was seen. False with a message when it cannot. */
bool count_instructions(const struct guest *guest, struct count_mark *marks, unsigned count);

#endif
