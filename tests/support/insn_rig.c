/* insn_rig.c - see insn_rig.h. */
#include "support/insn_rig.h"

#include "tests/support/isa_cases.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int no_interrupt(void *context)
{
    (void)context;
    return -1;
}

void rig_poke(struct insn_rig *rig, unsigned address, const void *bytes, size_t size)
{
    space_write_bytes(rig->space, address, bytes, size);
}

void rig_poke_dword(struct insn_rig *rig, unsigned address, uint32_t value)
{
    const uint8_t bytes[] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24) };

    rig_poke(rig, address, bytes, sizeof bytes);
}

void rig_flat(struct insn_rig *rig, bool is_generic)
{
    struct cpu *cpu = rig->cpu;

    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        bool is_code = seg == SEG_CS;
        cpu->seg[seg].base = 0;
        cpu->seg[seg].limit = is_generic && !is_code ? 0xfffff : 0xffffffffu;
        cpu->seg[seg].selector = is_code ? 8 : 16;
        cpu->seg[seg].attributes =
            ATTR_P | ATTR_S | ATTR_DB | ATTR_ACCESSED | (is_code ? ATTR_CODE | ATTR_READABLE : ATTR_WRITABLE);
    }
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->cpl = 0;
    cpu_loaded(cpu);
}

void rig_open(struct insn_rig *rig, bool use_block_cache)
{
    static const uint8_t gdt[24] = { [8] = 0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0 };
    struct error err = { 0 };

    memset(rig, 0, sizeof *rig);
    log_init(&rig->log, NULL, NULL, LOG_ERROR);
    clock_init(&rig->clock, 65536, NULL, NULL, NULL);
    rig->space = space_create(&rig->log);
    rig->ports = ports_create(&rig->log);
    rig->ram = calloc(1, RIG_RAM_SIZE);
    ck_assert(memory_init(&rig->memory, "ram", rig->ram, RIG_RAM_SIZE, 0x100000000u, false, &err));
    rig->region =
        (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = RIG_RAM_SIZE, .memory = &rig->memory };
    space_add(rig->space, &rig->region, 0, 0, true);
    struct cpu_board board = { .acknowledge = no_interrupt, .space = rig->space, .ports = rig->ports,
                               .clock = &rig->clock, .log = &rig->log };
    rig->cpu = cpu_create(&board, use_block_cache, &err);
    ck_assert_ptr_nonnull(rig->cpu);
    rig_poke(rig, RIG_GDT, gdt, sizeof gdt);
    for (unsigned vector = 0; vector < 32; vector++) {
        unsigned handler = RIG_HANDLERS + vector;
        uint8_t gate[8] = { (uint8_t)handler, (uint8_t)(handler >> 8), 8, 0, 0, 0x8e, 0, 0 }, hlt = 0xf4;
        rig_poke(rig, RIG_IDT + 8 * vector, gate, 8);
        rig_poke(rig, handler, &hlt, 1);
    }
    rig->cpu->gdtr.base = RIG_GDT;
    rig->cpu->gdtr.limit = 23;
    rig->cpu->idtr.base = RIG_IDT;
    rig->cpu->idtr.limit = 255;
    rig_flat(rig, false);
}

void rig_close(struct insn_rig *rig)
{
    cpu_destroy(rig->cpu);
    ports_destroy(rig->ports);
    space_destroy(rig->space);
    memory_destroy(&rig->memory);
    free(rig->ram);
}

int rig_run(struct insn_rig *rig, const uint8_t *code, size_t size, unsigned count)
{
    struct cpu *cpu = rig->cpu;

    isa_cases_in(code, size, MODE_PROTECTED | MODE_CODE32, count, 1);
    rig_poke(rig, RIG_CODE, code, size);
    cpu->rip = RIG_CODE;
    cpu->halted_state = CPU_RUNNING;
    cpu->gpr[REG_SP] = RIG_STACK_TOP;
    cpu->gpr[REG_DI] = RIG_IN;
    cpu->gpr[REG_SI] = RIG_MEMORY;
    cpu->gpr[REG_DX] = RIG_OUT;
    cpu_run(cpu, count);
    unsigned rip = (unsigned)cpu->rip - (cpu->halted_state == CPU_HALTED ? 1 : 0);
    return rip >= RIG_HANDLERS && rip <= RIG_HANDLERS + 32 ? (int)(rip - RIG_HANDLERS) : -1;
}
