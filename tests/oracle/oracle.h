/* oracle.h - one case of the comparison with a real processor: a state, a few bytes of code and memory, and what came out.
 *
 * A case is run by native_run (the host's own CPU in user mode) and by emulated_run (the interpreter, at CPL 3 with
 * paging), on the same linear addresses, and the two outcomes are compared. It also has a text form, one line, which is
 * a row of tests/oracle/regressions.txt. */
#ifndef TESTS_ORACLE_ORACLE_H
#define TESTS_ORACLE_ORACLE_H

#include "cpu/decode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- memory: two windows of pages, one below 64 KiB for 16-bit addresses and branches, one high up ---- */

enum { WINDOW_PAGES = 16, WINDOWS = 2, PAGE = 4096 };
#define WINDOW_LOW UINT32_C(0)
#define WINDOW_HIGH UINT32_C(0x40010000)
/* One letter a page: w data, r read-only data, x code (readable, not writable), - not present. */
extern const char *const window_pages[WINDOWS];
extern const uint32_t window_base[WINDOWS];

/* Kind of the page that holds a linear address. */
char page_kind(uint64_t linear);

/* ---- selectors that both sides have: those of a 64-bit Linux kernel, and the LDT that native.c installs ---- */

enum {
    SELECTOR_CODE32 = 0x23,
    SELECTOR_DATA = 0x2b,
    SELECTOR_CODE64 = 0x33,
    LDT_CODE16 = 0x07,   /* flat 16-bit code */
    LDT_DATA16 = 0x0f,   /* base 0, limit FFFFh, 16-bit stack */
    LDT_SMALL = 0x17,    /* high window, limit 2FFFh: violations, 32-bit */
    LDT_DOWN = 0x1f,     /* expand-down, high window, limit 1FFFh, 32-bit */
    LDT_READONLY = 0x27, /* flat, read-only */
    LDT_EXECUTE = 0x2f,  /* flat code that cannot be read */
    LDT_ABSENT = 0x37,
    LDT_DOWN16 = 0x3f,   /* expand-down, low window, limit 1FFFh, 16-bit */
    LDT_CODE_SMALL = 0x47, /* 16-bit code, low window, limit FFFFh */
    LDT_COUNT = 9
};

struct ldt_entry {
    uint32_t base, limit; /* limit in bytes, or pages when `in_pages` */
    bool is_32bit, in_pages, is_code, is_expand_down, is_fixed /* read-only or execute-only */, is_absent;
};
extern const struct ldt_entry ldt_entries[LDT_COUNT];

/* ---- a case ---- */

struct state {
    uint64_t gpr[16];
    uint64_t rip;
    uint32_t rflags;
    uint16_t selector[6]; /* by enum segment_index, ES to GS */
    uint8_t fx[512];      /* FXSAVE64 image: x87, MMX and SSE */
};

/* How a run ended. */
enum { ENDED_HERE = 0xff /* at an exit, or at another HLT */, ENDED_NEVER = 0xfe, ENDED_CRASH = 0xfd };

enum { POKES_MAX = 8, POKE_BYTES = 64, STORES_MAX = 24, CODE_MAX = 96, SEQUENCE_MAX = 7 };
struct poke {
    uint32_t linear;
    uint8_t size;
    uint8_t bytes[POKE_BYTES];
};

struct outcome {
    struct state state;
    uint8_t vector; /* exception, or ENDED_* */
    uint32_t error;
    uint64_t cr2;
    bool is_tolerated;    /* a rule took it all, memory too */
    unsigned store_count; /* what changed in memory; filled in by outcome_stores */
    struct poke stores[STORES_MAX];
};

struct test_case {
    const struct opcode *row; /* of the (first) instruction; NULL: known by its text only */
    struct decoded decoded;
    unsigned mode;            /* of the interpreter: MODE_PROTECTED with MODE_CODE32, MODE_CODE64 or neither */
    struct state initial;
    uint8_t code[CODE_MAX];
    uint8_t code_size;
    uint32_t exits[2];        /* linear addresses where the run ends: behind the code, and a branch target */
    struct poke pokes[POKES_MAX];
    unsigned poke_count;
    uint32_t operand;         /* linear address of the memory operand */
    bool uses_fpu;            /* fx matters */
    bool single;              /* interpreter: one instruction at a time, without the block cache */
    /* The host may lack the mode: then it runs other bytes that do the same, which end where `code` ends. */
    unsigned native_mode;
    uint8_t native_code[CODE_MAX];
    uint8_t native_size;
    bool lands_in_code32; /* exits[1] is reached by a far transfer to the flat 32-bit segment */
    bool restores_fs; /* the code may load FS or GS */
    uint8_t undefined;        /* status flags not to compare, STATUS_* */
    /* Several instructions: where each begins in both codes, and the flags not to compare when one of them faults. */
    unsigned count;
    uint8_t starts[SEQUENCE_MAX], native_starts[SEQUENCE_MAX];
    uint8_t undefined_inside;
};

struct rng {
    uint64_t state;
};
static inline uint64_t rng_next(struct rng *r)
{
    /* splitmix64, Steele, Lea and Flood 2014. */
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static inline unsigned rng_below(struct rng *r, unsigned n) { return (unsigned)((rng_next(r) >> 32) * n >> 32); }
static inline bool rng_one_in(struct rng *r, unsigned n) { return rng_below(r, n) == 0; }

/* What memory holds before the pokes: a page of `linear`. */
const uint8_t *memory_pattern(uint32_t linear);
/* Puts the bytes of a poke that lie in present pages through `page`. */
void memory_poke(const struct poke *poke, uint8_t *(*page)(uint32_t linear));
/* Lists the differences between memory and what the case began with. */
void outcome_stores(const struct test_case *test, struct outcome *out, uint8_t *(*page)(uint32_t linear));

/* What code a host can run. */
struct host_modes {
    bool has_ldt;  /* LDT segments, 16-bit code among them */
    bool has_code32;
};

/* ---- generate.c ---- */

/* Fills a case of the row; false when none could be made. */
struct generator {
    struct decoder *decoder;
    struct host_modes host;
    bool code64; /* make 64-bit code */
};
bool generate(const struct generator *g, const struct opcode *row, uint64_t seed, struct test_case *out);
/* Whether 64-bit code could stand for the case. */
bool has_64bit_counterpart(const struct test_case *t);
/* Several instructions in a row, to see flags and registers go from one to the next. */
bool generate_sequence(const struct generator *g, uint64_t seed, struct test_case *out);
/* Why a row is not compared with the host, or NULL. */
const char *row_exemption(const struct opcode *row);

/* ---- native.c ---- */

/* NULL, or why this host cannot serve. */
const char *native_open(void);
struct host_modes native_modes(void);
void native_run(const struct test_case *test, struct outcome *out);
/* Whether a tick of the host's timer came in the last run: Linux' sigreturn does not give NT back. */
bool native_was_disturbed(void);
/* The w page at `linear` after the last run; pages go back to the pattern with native_restore. */
uint8_t *native_page(uint32_t linear);

/* ---- emulated.c ---- */

bool emulated_open(void);
void emulated_run(const struct test_case *test, struct outcome *out);
uint8_t *emulated_page(uint32_t linear);

/* ---- compare.c ---- */

/* True when registers, flags and x87 state are equal; else the differences as text. */
bool compare(const struct test_case *test, const struct outcome *native, const struct outcome *emulated, char *why,
             size_t size);
/* ---- tolerate.c ---- */

/* Takes differences that processors are known or allowed to have out of `emulated`; a bit mask of the rules that applied. */
uint32_t tolerate(const struct test_case *test, const struct outcome *native, struct outcome *emulated);
extern const char *const tolerance_rules[]; /* ends with NULL */

/* Bytes of memory that may differ (the processor leaves them to the implementation). */
bool store_is_masked(const struct test_case *test, uint32_t linear);
/* Status flags and so on that are undefined after this case, beyond the table's column. */
uint8_t undefined_flags(const struct test_case *test);

/* ---- text.c: rows of regressions.txt ---- */

void text_print(FILE *out, const struct test_case *test, const struct outcome *expected);
/* Parses one line; false with a message when it is malformed. */
bool text_parse(const char *line, struct test_case *test, struct outcome *expected, char *why, size_t size);

#endif
