/* fuzz.h - what the fuzzers share: a seeded generator and a whole machine whose every part they may reach.
 *
 * Everything a fuzzer does is a function of its seed, on every host, so a failure is reproduced by the seed alone. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "machine/machine.h"

#include <stdbool.h>
#include <stdint.h>

struct fuzz_random {
    uint64_t state;
};
uint32_t fuzz_random32(struct fuzz_random *random);
/* 0 to limit - 1. */
uint32_t fuzz_below(struct fuzz_random *random, uint32_t limit);
/* True once in `n`. */
bool fuzz_one_in(struct fuzz_random *random, uint32_t n);
/* Values that select modes are small or have few bits; all kinds come. */
uint32_t fuzz_value(struct fuzz_random *random);
/* Independent generators for the rounds of one run. */
struct fuzz_random fuzz_seed(uint64_t seed, uint64_t round);

enum {
    FUZZ_RAM_BYTES = 4 << 20,
    FUZZ_VRAM_BYTES = 16 << 20,
    FUZZ_BIOS_BYTES = 64 << 10,
    FUZZ_DISKS = 3, /* two disks and a CD */
    FUZZ_SECTORS = 4096
};

struct fuzz_machine {
    struct tick86 *machine;
    uint8_t *ram, *vram;
    uint8_t *disks[FUZZ_DISKS];
    struct block_backend backends[FUZZ_DISKS];
    struct byte_sink sink;
    uint64_t bytes_out; /* what the guest printed, counted */
    uint64_t log_lines;
    uint64_t debug_insns; /* not used by the machine */
};

/* Builds a machine with `bios` (FUZZ_BIOS_BYTES) and everything the board has. Ends the program when that fails. */
void fuzz_machine_open(struct fuzz_machine *fuzz, const uint8_t *bios, bool use_block_cache);
void fuzz_machine_close(struct fuzz_machine *fuzz);
/* Makes `to` what `from` is: memory, media, clock, processor and every chip, by the field tables that snapshots use. */
void fuzz_machine_copy(struct fuzz_machine *to, struct fuzz_machine *from);
/* Prints the first field in which the two differ. False: there is none. */
bool fuzz_machine_differ(struct fuzz_machine *a, struct fuzz_machine *b);

/* --seconds N, --rounds N, --seed S, --round R (that one only), --verbose. */
struct fuzz_options {
    uint64_t seconds, rounds, seed, first_round;
    bool is_verbose;
};
bool fuzz_options_read(struct fuzz_options *options, int argc, char **argv);
/* Processor seconds used so far. */
double fuzz_seconds(void);

#endif
