/* debug_memory.c - memory for debuggers: read, written and disassembled without side effects; see tick86_debug.h. */
#include "machine/debug.h"

#include "cpu/disassemble.h"
#include "machine/history.h"
#include "machine/tick86_travel.h"

#include <string.h>

bool tick86_translate(const struct tick86 *machine, unsigned cpu, uint64_t linear, uint64_t *physical)
{
    const struct cpu *of = debug_cpu(machine, cpu);

    return cpu_translate_debug(of, of->efer & EFER_LMA ? linear : linear & UINT32_MAX, physical);
}

/* The bytes at an address up to the end of its page; NULL where there is no memory. */
static uint8_t *host_bytes(const struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address,
                           size_t *size, struct memory **memory, uint64_t *memory_offset)
{
    uint64_t physical = address, offset;
    size_t room = GUEST_PAGE_SIZE - (size_t)(address % GUEST_PAGE_SIZE);

    *size = room < *size ? room : *size;
    if (space == SPACE_LINEAR && !tick86_translate(machine, cpu, address, &physical)) {
        return NULL;
    }
    const struct region *region = space_lookup(machine->space, physical, &offset);
    if (region == NULL || region->kind != REGION_MEMORY) {
        return NULL;
    }
    *memory = region->memory;
    *memory_offset = region->memory_offset + offset;
    return &region->memory->host[*memory_offset];
}

static uint64_t next_address(const struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address,
                             size_t by)
{
    bool is_narrow = space == SPACE_LINEAR && !(debug_cpu(machine, cpu)->efer & EFER_LMA);

    return (address + by) & (is_narrow ? UINT32_MAX : UINT64_MAX);
}

bool tick86_peek(const struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address, void *bytes,
                 size_t size)
{
    uint8_t *out = bytes;

    while (size != 0) {
        struct memory *memory;
        uint64_t memory_offset;
        size_t piece = size;
        const uint8_t *host = host_bytes(machine, cpu, space, address, &piece, &memory, &memory_offset);
        if (host == NULL) {
            return false;
        }
        memcpy(out, host, piece);
        out += piece;
        address = next_address(machine, cpu, space, address, piece);
        size -= piece;
    }
    return true;
}

bool debug_may_write(const struct tick86 *machine)
{
    return !tick86_is_replaying(machine) && !history_is_in_past(machine);
}

bool tick86_poke(struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address, const void *bytes,
                 size_t size)
{
    struct tick86_input input = { .kind = INPUT_POKE, .unit = cpu << 1 | (unsigned)space, .value = address, .bytes = bytes,
                                  .size = size };

    return debug_may_write(machine) && tick86_input(machine, &input, NULL, NULL);
}

bool debug_poke(struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address, const uint8_t *bytes,
                size_t size)
{
    const uint8_t *in = bytes;

    while (size != 0) {
        struct memory *memory;
        uint64_t memory_offset;
        size_t piece = size;
        uint8_t *host = host_bytes(machine, cpu, space, address, &piece, &memory, &memory_offset);
        if (host == NULL) {
            return false;
        }
        memory_written(memory, memory_offset, (unsigned)piece);
        memcpy(host, in, piece);
        in += piece;
        address = next_address(machine, cpu, space, address, piece);
        size -= piece;
    }
    return true;
}

unsigned tick86_disassemble(const struct tick86 *machine, unsigned number, uint64_t linear, unsigned bits, char *text,
                            size_t size)
{
    const struct cpu *cpu = debug_cpu(machine, number);
    unsigned mode = cpu->mode;
    uint8_t bytes[INSTRUCTION_MAX];
    size_t available = sizeof bytes;

    while (available != 0 && !tick86_peek(machine, number, SPACE_LINEAR, linear, bytes, available)) {
        available--;
    }
    if (available == 0) {
        return 0;
    }
    if (bits != 0) {
        mode = (mode & ~(unsigned)(MODE_CODE32 | MODE_CODE64)) | (bits == 64 ? MODE_CODE64 : bits == 32 ? MODE_CODE32 : 0);
    }
    size_t length = disassemble(cpu->decoder, bytes, available, mode, linear, text, size);
    if (length == 0) {
        length = disassemble(cpu->decoder, bytes, 1, mode, linear, text, size);
    }
    return (unsigned)(length != 0 ? length : 1);
}

/* ---- bytes alone ---- */

struct tick86_disassembler *tick86_disassembler_create(void)
{
    struct cpu_model model;
    struct error err = { "", "" };

    if (!cpu_model_parse("max", &model, &err)) {
        return NULL;
    }
    return (struct tick86_disassembler *)(void *)decoder_create(&model);
}

void tick86_disassembler_destroy(struct tick86_disassembler *disassembler)
{
    decoder_destroy((struct decoder *)(void *)disassembler);
}

unsigned tick86_disassemble_bytes(const struct tick86_disassembler *disassembler, const uint8_t *bytes, size_t available,
                                  unsigned bits, uint64_t address, char *text, size_t size)
{
    unsigned mode = MODE_PROTECTED | (bits == 64 ? (unsigned)MODE_CODE64 : bits == 32 ? (unsigned)MODE_CODE32 : 0u);

    return (unsigned)disassemble((const struct decoder *)(const void *)disassembler, bytes, available, mode, address, text, size);
}
