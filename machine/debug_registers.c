/* debug_registers.c - every register by name; see tick86_debug.h. */
#include "machine/debug.h"

#include "cpu/system_private.h"
#include "machine/tick86_travel.h"

#include <string.h>

/* How a register is kept. */
enum how {
    AS_FIELD,    /* a field of struct cpu */
    AS_PC,       /* linear address of the next instruction */
    AS_STACK,    /* linear address of the top of the stack */
    AS_EFLAGS,
    AS_SELECTOR, /* of segment `index` */
    AS_CR0,
    AS_CR4,
    AS_CR8,
    AS_ST,       /* ST(index) */
    AS_FSTAT,
    AS_FTAG,
    AS_XMM
};

struct row {
    const char *name;
    uint8_t group, bits, how, index;
    uint16_t offset, size; /* AS_FIELD */
};

#define FIELD_REG(name, group, bits, member) { name, group, bits, AS_FIELD, 0, offsetof(struct cpu, member), sizeof(((struct cpu *)0)->member) }
#define GENERAL(name, bits, n) FIELD_REG(name, REGISTER_GENERAL, bits, gpr[n])
#define SYSTEM(name, bits, member) FIELD_REG(name, REGISTER_SYSTEM, bits, member)
#define MSR(name, member) FIELD_REG(name, REGISTER_MSR, 64, member)
#define X87(name, member) FIELD_REG(name, REGISTER_X87, 32, member)
#define SEGMENT(name, n) { name, REGISTER_GENERAL, 32, AS_SELECTOR, n, 0, 0 }
#define SEGMENT_PARTS(name, n)                                                                                         \
    FIELD_REG(name "_base", REGISTER_SEGMENT, 64, seg[n].base), FIELD_REG(name "_limit", REGISTER_SEGMENT, 32, seg[n].limit), \
        FIELD_REG(name "_attr", REGISTER_SEGMENT, 32, seg[n].attributes)
#define XMM(n) { "xmm" #n, REGISTER_SSE, 128, AS_XMM, n, 0, 0 }
#define ST(n) { "st" #n, REGISTER_X87, 80, AS_ST, n, 0, 0 }

static const struct row rows[] = {
    GENERAL("rax", 64, REG_AX), GENERAL("rbx", 64, REG_BX), GENERAL("rcx", 64, REG_CX), GENERAL("rdx", 64, REG_DX),
    GENERAL("rsi", 64, REG_SI), GENERAL("rdi", 64, REG_DI), GENERAL("rbp", 64, REG_BP), GENERAL("rsp", 64, REG_SP),
    GENERAL("r8", 64, 8), GENERAL("r9", 64, 9), GENERAL("r10", 64, 10), GENERAL("r11", 64, 11),
    GENERAL("r12", 64, 12), GENERAL("r13", 64, 13), GENERAL("r14", 64, 14), GENERAL("r15", 64, 15),
    FIELD_REG("rip", REGISTER_GENERAL, 64, rip),
    GENERAL("eax", 32, REG_AX), GENERAL("ebx", 32, REG_BX), GENERAL("ecx", 32, REG_CX), GENERAL("edx", 32, REG_DX),
    GENERAL("esi", 32, REG_SI), GENERAL("edi", 32, REG_DI), GENERAL("ebp", 32, REG_BP), GENERAL("esp", 32, REG_SP),
    FIELD_REG("eip", REGISTER_GENERAL, 32, rip),
    GENERAL("ax", 16, REG_AX), GENERAL("bx", 16, REG_BX), GENERAL("cx", 16, REG_CX), GENERAL("dx", 16, REG_DX),
    GENERAL("si", 16, REG_SI), GENERAL("di", 16, REG_DI), GENERAL("bp", 16, REG_BP), GENERAL("sp", 16, REG_SP),
    FIELD_REG("ip", REGISTER_GENERAL, 16, rip),
    GENERAL("al", 8, REG_AX), GENERAL("bl", 8, REG_BX), GENERAL("cl", 8, REG_CX), GENERAL("dl", 8, REG_DX),
    { "pc", REGISTER_GENERAL, 64, AS_PC, 0, 0, 0 }, { "stack", REGISTER_GENERAL, 64, AS_STACK, 0, 0, 0 },
    { "eflags", REGISTER_GENERAL, 32, AS_EFLAGS, 0, 0, 0 },
    SEGMENT("cs", SEG_CS), SEGMENT("ss", SEG_SS), SEGMENT("ds", SEG_DS), SEGMENT("es", SEG_ES), SEGMENT("fs", SEG_FS),
    SEGMENT("gs", SEG_GS),
    SEGMENT_PARTS("cs", SEG_CS), SEGMENT_PARTS("ss", SEG_SS), SEGMENT_PARTS("ds", SEG_DS), SEGMENT_PARTS("es", SEG_ES),
    SEGMENT_PARTS("fs", SEG_FS), SEGMENT_PARTS("gs", SEG_GS),
    { "ldtr", REGISTER_SEGMENT, 16, AS_SELECTOR, SEG_LDTR, 0, 0 }, SEGMENT_PARTS("ldtr", SEG_LDTR),
    { "tr", REGISTER_SEGMENT, 16, AS_SELECTOR, SEG_TR, 0, 0 }, SEGMENT_PARTS("tr", SEG_TR),
    SYSTEM("gdtr_base", 64, gdtr.base), SYSTEM("gdtr_limit", 16, gdtr.limit),
    SYSTEM("idtr_base", 64, idtr.base), SYSTEM("idtr_limit", 16, idtr.limit),
    { "cr0", REGISTER_SYSTEM, 64, AS_CR0, 0, 0, 0 }, SYSTEM("cr2", 64, cr2), SYSTEM("cr3", 64, cr3),
    { "cr4", REGISTER_SYSTEM, 64, AS_CR4, 0, 0, 0 }, { "cr8", REGISTER_SYSTEM, 64, AS_CR8, 0, 0, 0 },
    SYSTEM("efer", 64, efer), FIELD_REG("cpl", REGISTER_SYSTEM, 8, cpl),
    SYSTEM("dr0", 64, dr[0]), SYSTEM("dr1", 64, dr[1]), SYSTEM("dr2", 64, dr[2]), SYSTEM("dr3", 64, dr[3]),
    SYSTEM("dr6", 64, dr[6]), SYSTEM("dr7", 64, dr[7]), SYSTEM("xcr0", 64, xcr0),
    MSR("sysenter_cs", sysenter_cs), MSR("sysenter_esp", sysenter_esp), MSR("sysenter_eip", sysenter_eip),
    MSR("k_gs_base", kernel_gs_base), MSR("star", star), MSR("lstar", lstar), MSR("cstar", cstar), MSR("fmask", fmask),
    MSR("apic_base", apic_base), MSR("pat", pat), MSR("mtrr_def_type", mtrr_def_type), MSR("misc_enable", misc_enable),
    ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),
    X87("fctrl", fpu.control), { "fstat", REGISTER_X87, 32, AS_FSTAT, 0, 0, 0 },
    { "ftag", REGISTER_X87, 32, AS_FTAG, 0, 0, 0 }, X87("fiseg", fpu.instruction_selector),
    X87("fioff", fpu.instruction_pointer), X87("foseg", fpu.data_selector), X87("fooff", fpu.data_pointer),
    X87("fop", fpu.opcode),
    XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7), XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13),
    XMM(14), XMM(15), FIELD_REG("mxcsr", REGISTER_SSE, 32, mxcsr),
};
enum { ROWS = sizeof rows / sizeof rows[0] };

bool tick86_register_info(unsigned n, struct tick86_register *reg)
{
    if (n >= ROWS) {
        return false;
    }
    *reg = (struct tick86_register){ rows[n].name, (enum tick86_register_group)rows[n].group, rows[n].bits };
    return true;
}

int tick86_register_find(const char *name)
{
    for (unsigned n = 0; n < ROWS; n++) {
        if (strcmp(rows[n].name, name) == 0) {
            return (int)n;
        }
    }
    return -1;
}

/* ---- fields of the host's byte order ---- */

static uint64_t field_load(const struct cpu *cpu, const struct row *row)
{
    const struct field field = { .offset = row->offset, .size = row->size, .elem_size = row->size,
                                 .kind = FIELD_KIND_UINT };

    return field_get(&field, cpu, 0);
}

static void field_store(struct cpu *cpu, const struct row *row, uint64_t value)
{
    const struct field field = { .offset = row->offset, .size = row->size, .elem_size = row->size,
                                 .kind = FIELD_KIND_UINT };

    field_set(&field, cpu, 0, value);
}

static uint64_t width_mask(unsigned bits)
{
    return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* ---- x87 ---- */

/* The full tag word: 0 valid, 1 zero, 2 special, 3 empty (SDM vol. 1, 8.1.7). */
static uint16_t tag_word(const struct fpu *fpu)
{
    uint16_t tags = 0;

    for (unsigned n = 0; n < 8; n++) {
        unsigned exponent = fpu->sign_exp[n] & 0x7fff, tag = 0;
        bool has_integer_bit = fpu->mantissa[n] >> 63 != 0;
        if (fpu->empty >> n & 1) {
            tag = 3;
        } else if (exponent == 0 && fpu->mantissa[n] == 0) {
            tag = 1;
        } else if (exponent == 0x7fff || exponent == 0 || !has_integer_bit) {
            tag = 2;
        }
        tags = (uint16_t)(tags | tag << (2 * n));
    }
    return tags;
}

static void set_tag_word(struct fpu *fpu, uint64_t tags)
{
    fpu->empty = 0;
    for (unsigned n = 0; n < 8; n++) {
        fpu->empty = (uint8_t)(fpu->empty | ((tags >> (2 * n) & 3) == 3) << n);
    }
}

/* ---- reading ---- */

static uint64_t load_row(const struct cpu *cpu, const struct row *row)
{
    switch ((enum how)row->how) {
    case AS_FIELD:
        return field_load(cpu, row) & width_mask(row->bits);
    case AS_PC:
        return debug_linear(cpu, cpu->rip);
    case AS_STACK: {
        const struct segment *ss = &cpu->seg[SEG_SS];
        uint64_t sp = ss->attributes & ATTR_DB ? cpu->gpr[REG_SP] : cpu->gpr[REG_SP] & 0xffff;
        return cpu->mode & MODE_CODE64 ? cpu->gpr[REG_SP] : (ss->base + sp) & UINT32_MAX;
    }
    case AS_EFLAGS:
        return cpu_get_eflags(cpu);
    case AS_SELECTOR:
        return cpu->seg[row->index].selector;
    case AS_CR0:
        return cpu->cr0;
    case AS_CR4:
        return cpu->cr4;
    case AS_CR8:
        return control_read_cr8(cpu);
    case AS_FSTAT:
        return (uint64_t)(cpu->fpu.status & ~0x3800u) | (uint64_t)cpu->fpu.top << 11;
    case AS_FTAG:
        return tag_word(&cpu->fpu);
    default:
        return 0;
    }
}

static void store_le(uint8_t *bytes, uint64_t value, unsigned size)
{
    for (unsigned k = 0; k < size; k++) {
        bytes[k] = (uint8_t)(value >> (8 * k));
    }
}

static uint64_t load_le(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    for (unsigned k = 0; k < size && k < 8; k++) {
        value |= (uint64_t)bytes[k] << (8 * k);
    }
    return value;
}

unsigned tick86_register_read(const struct tick86 *machine, unsigned number, unsigned n,
                              uint8_t bytes[TICK86_REGISTER_MAX_BYTES])
{
    const struct cpu *cpu = debug_cpu(machine, number);
    const struct row *row = &rows[n < ROWS ? n : 0];

    memset(bytes, 0, TICK86_REGISTER_MAX_BYTES);
    if (row->how == AS_XMM) {
        store_le(bytes, cpu->xmm[row->index].q[0], 8);
        store_le(bytes + 8, cpu->xmm[row->index].q[1], 8);
    } else if (row->how == AS_ST) {
        unsigned physical = (cpu->fpu.top + row->index) & 7u;
        store_le(bytes, cpu->fpu.mantissa[physical], 8);
        store_le(bytes + 8, cpu->fpu.sign_exp[physical], 2);
    } else {
        store_le(bytes, load_row(cpu, row), row->bits / 8);
    }
    return row->bits / 8;
}

uint64_t tick86_register_value(const struct tick86 *machine, unsigned cpu, unsigned n)
{
    uint8_t bytes[TICK86_REGISTER_MAX_BYTES];

    tick86_register_read(machine, cpu, n, bytes);
    return load_le(bytes, 8);
}

/* ---- writing ---- */

/* What a segment register gets when a debugger writes its selector: as in real and virtual-8086 mode, or what the descriptor
 * tables say, without their checks. */
static void write_selector(struct tick86 *machine, unsigned number, struct cpu *cpu, unsigned index, uint16_t selector)
{
    struct segment *s = &cpu->seg[index];
    const struct table_register gdt = cpu->gdtr;
    const struct segment *ldt = &cpu->seg[SEG_LDTR];
    uint64_t base = selector & 4 ? ldt->base : gdt.base, limit = selector & 4 ? ldt->limit : gdt.limit;
    uint8_t bytes[8];

    s->selector = selector;
    if (!cpu_is_protected(cpu)) {
        if (index < SEG_LDTR) {
            s->base = (uint64_t)selector << 4;
        }
        return;
    }
    if ((selector & ~3u) == 0) {
        *s = (struct segment){ .selector = selector, .attributes = ATTR_NULL };
    } else if ((selector & ~7u) + 7 <= limit &&
               tick86_peek(machine, number, SPACE_LINEAR, base + (selector & ~7u), bytes, sizeof bytes)) {
        descriptor_unpack(load_le(bytes, 8), selector, s);
    }
    if (index == SEG_CS) {
        cpu->cpl = selector & 3;
    }
}

/* True when nothing hangs on the register but itself. */
static bool is_plain(const struct row *row)
{
    return row->group == REGISTER_X87 || row->group == REGISTER_SSE ||
           (row->group == REGISTER_GENERAL && (row->how == AS_FIELD || row->how == AS_PC));
}

static bool write_register(struct tick86 *machine, unsigned number, unsigned n, const uint8_t *bytes, unsigned size)
{
    struct cpu *cpu = debug_cpu(machine, number);
    const struct row *row = &rows[n < ROWS ? n : 0];
    uint64_t value = load_le(bytes, size), mask = width_mask(row->bits);

    if (n >= ROWS || size < row->bits / 8u) {
        return false;
    }
    switch ((enum how)row->how) {
    case AS_FIELD:
        /* The 16- and 8-bit parts of a register leave the rest of it; the 32-bit ones clear it. */
        if (row->bits < 32 && row->size == 8) {
            value = (field_load(cpu, row) & ~mask) | (value & mask);
        }
        field_store(cpu, row, row->bits == 32 ? value & mask : value);
        break;
    case AS_PC:
        cpu->rip = cpu->mode & MODE_CODE64 ? value : (value - cpu->seg[SEG_CS].base) & UINT32_MAX;
        break;
    case AS_EFLAGS:
        cpu_set_eflags(cpu, (uint32_t)value);
        break;
    case AS_SELECTOR:
        write_selector(machine, number, cpu, row->index, (uint16_t)value);
        break;
    case AS_CR0:
        cpu->cr0 = (uint32_t)value | CR0_ET;
        break;
    case AS_CR4:
        cpu->cr4 = (uint32_t)value;
        break;
    case AS_CR8:
    case AS_STACK:
        return false;
    case AS_ST:
        cpu->fpu.mantissa[(cpu->fpu.top + row->index) & 7u] = value;
        cpu->fpu.sign_exp[(cpu->fpu.top + row->index) & 7u] = (uint16_t)load_le(bytes + 8, 2);
        break;
    case AS_FSTAT:
        cpu->fpu.top = value >> 11 & 7;
        cpu->fpu.status = value & 0xc7ff;
        break;
    case AS_FTAG:
        set_tag_word(&cpu->fpu, value);
        break;
    case AS_XMM:
        cpu->xmm[row->index].q[0] = value;
        cpu->xmm[row->index].q[1] = load_le(bytes + 8, 8);
        break;
    }
    if (!is_plain(row)) {
        cpu_loaded(cpu);
    }
    return true;
}

bool tick86_register_write(struct tick86 *machine, unsigned number, unsigned n, const uint8_t *bytes, unsigned size)
{
    uint8_t packed[TICK86_REGISTER_MAX_BYTES + 32] = { 0 };
    struct tick86_input input = { .kind = INPUT_REGISTER, .unit = number, .bytes = packed };

    if (n >= ROWS || size < rows[n].bits / 8u || !debug_may_write(machine)) {
        return false;
    }
    size_t length = strlen(rows[n].name);
    memcpy(packed, bytes, rows[n].bits / 8u);
    memcpy(packed + TICK86_REGISTER_MAX_BYTES, rows[n].name, length);
    input.size = TICK86_REGISTER_MAX_BYTES + length;
    return tick86_input(machine, &input, NULL, NULL);
}

bool debug_write_register(struct tick86 *machine, unsigned cpu, const uint8_t *bytes, size_t size)
{
    char name[32] = "";
    size_t length = size - TICK86_REGISTER_MAX_BYTES;

    memcpy(name, bytes + TICK86_REGISTER_MAX_BYTES, length < sizeof name ? length : sizeof name - 1);
    int n = tick86_register_find(name);
    return n >= 0 && write_register(machine, cpu, (unsigned)n, bytes, TICK86_REGISTER_MAX_BYTES);
}

/* ---- shorthands ---- */

uint64_t debug_linear(const struct cpu *cpu, uint64_t rip)
{
    return (rip + cpu->seg[SEG_CS].base) & (cpu->mode & MODE_CODE64 ? UINT64_MAX : UINT32_MAX);
}

uint64_t tick86_pc(const struct tick86 *machine, unsigned number)
{
    const struct cpu *cpu = debug_cpu(machine, number);

    return debug_linear(cpu, cpu->rip);
}

unsigned tick86_code_bits(const struct tick86 *machine, unsigned number)
{
    const struct cpu *cpu = debug_cpu(machine, number);

    return cpu->mode & MODE_CODE64 ? 64 : cpu->mode & MODE_CODE32 ? 32 : 16;
}

bool tick86_cpu_is_halted(const struct tick86 *machine, unsigned number)
{
    return debug_cpu(machine, number)->halted_state != CPU_RUNNING;
}

bool tick86_has_long_mode(const struct tick86 *machine)
{
    struct cpu copy = *machine->cpus[0];

    copy.gpr[REG_AX] = 0x80000001u;
    copy.gpr[REG_CX] = 0;
    control_cpuid(&copy);
    return (copy.gpr[REG_DX] >> 29 & 1) != 0; /* LM: SDM vol. 2A, CPUID */
}

void tick86_mask_interrupts_once(struct tick86 *machine, unsigned number)
{
    struct tick86_input input = { .kind = INPUT_HOLD_OFF, .unit = number };

    (void)tick86_input(machine, &input, NULL, NULL);
}

void debug_hold_off(struct tick86 *machine, unsigned number)
{
    struct cpu *cpu = debug_cpu(machine, number);

    cpu->shadow_icount = cpu_icount(cpu);
    cpu->shadow_is_mov_ss = false;
}

const char *tick86_mode_name(const struct tick86 *machine, unsigned number)
{
    const struct cpu *cpu = debug_cpu(machine, number);
    bool is_wide = (cpu->seg[SEG_CS].attributes & ATTR_DB) != 0;

    if (!(cpu->cr0 & CR0_PE)) {
        return "real";
    }
    if (cpu_is_vm86(cpu)) {
        return "vm86";
    }
    if (cpu->efer & EFER_LMA) {
        return cpu->seg[SEG_CS].attributes & ATTR_L ? "long" : is_wide ? "compatibility 32" : "compatibility 16";
    }
    return is_wide ? "protected 32" : "protected 16";
}
