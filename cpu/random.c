/* random.c - RDRAND and RDSEED from a seeded sequence.
 *
 * SDM vol. 1, 7.3.17 and the instruction pages. A run must be a function of its inputs, so the numbers come from a counter that is state of
 * the processor, mixed as in Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), SplitMix64.
 * They are unpredictable to nobody who knows the seed: not for secrets. A number is always there: CF is 1. */
#include "cpu/bind.h"
#include "cpu/cpu.h"
#include "cpu/flags.h"
#include "cpu/handler.h"

void cpu_seed_random(struct cpu *cpu, uint64_t seed)
{
    cpu->random_state = seed;
}

static uint64_t next_random(struct cpu *cpu)
{
    uint64_t z = cpu->random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#define RANDOM(bits)                                                                                                   \
    static HANDLER(h_rdrand##bits)                                                                                     \
    {                                                                                                                  \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)next_random(cpu));                                                \
        flags_scatter(cpu, FLAG_CF);                                                                                   \
        NEXT(1);                                                                                                       \
    }
RANDOM(16)
RANDOM(32)
RANDOM(64)

extern const struct binding bind_rdrand;
const struct binding bind_rdrand = { { [LIVE] = { [FORM_REG] = { NULL, h_rdrand16, h_rdrand32, h_rdrand64 } } } };
