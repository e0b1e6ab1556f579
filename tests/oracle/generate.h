/* generate.h - what generate.c, values.c, assembly.c and sequence.c share. */
#ifndef TESTS_ORACLE_GENERATE_H
#define TESTS_ORACLE_GENERATE_H

#include "tests/oracle/oracle.h"

/* The bytes of an instruction while it is being put together. */
struct assembly {
    uint8_t prefixes[8];
    unsigned prefix_count;
    uint8_t body[24]; /* opcode and on */
    unsigned opcode_size;
    unsigned body_size;
};

/* Properties of rows. */
bool has_operand(const struct opcode *row, unsigned kind);
bool is_one_of(const char *mnemonic, const char *const *list);
bool loads_segment(const struct opcode *row);
bool takes_selector(const struct opcode *row);
bool is_far(const struct opcode *row);
bool is_fpu_row(const struct opcode *row);

/* Bytes. */
void choose_prefixes(struct assembly *a, const struct opcode *row, struct rng *r);
void choose_body(struct assembly *a, const struct opcode *row, struct rng *r);
unsigned join(const struct assembly *a, uint8_t *out);
bool convert(struct test_case *t, struct assembly *a);

/* Addresses and contents. */
bool uses_addresses(const struct decoded *d);
uint64_t effective_address(const struct test_case *t);
uint32_t segment_base(const struct test_case *t, unsigned segment);
void aim_operand(struct test_case *t, struct assembly *a, uint32_t linear);
uint32_t data_address(struct rng *r, bool is_low);
uint32_t stack_address(struct rng *r, bool is_low);
void add_poke(struct test_case *t, uint32_t linear, const uint8_t *bytes, unsigned size);
void any_bytes(struct rng *r, uint8_t *at, unsigned size);

uint64_t any_value(struct rng *r);
void any_extended(struct rng *r, uint8_t *at);
void want_prefix(struct assembly *a, uint8_t byte, bool wanted);

/* State and modes. */
void choose_state(struct test_case *t, const struct generator *g, struct rng *r);
unsigned native_mode(const struct generator *g, unsigned mode);
void flatten_segments(struct test_case *t);
bool to_flat(const struct test_case *t);

#endif
