/* i440fx.c - host bridge of the Intel 440FX PCIset: Intel 82441FX PMC and 82442FX DBX (May 1996, 290549-001), and the
 * reset control register of the PIIX3 (82371SB, 290550-002, 2.5.5.3 "RC") which answers among its ports.
 *
 * Port registers, to be mapped at CF8h: 0-3 CONFADD (doubleword accesses only), 1 the reset control register CF9h (byte
 * accesses), 4-7 CONFDATA. Input "smiact": the CPU is in system management mode. Output "reset": a level that falls with
 * the reset it causes.
 *
 * PAM registers decide for each part of C0000h-FFFFFh whether reads and writes go to RAM or to PCI, that is, to the BIOS
 * ROM. SMRAM (A0000h-BFFFFh) is seen while it is open or the CPU is in SMM.
 *
 * Not implemented: DRAM timing, size and error registers (kept, without effect), the memory hole of FDHC (68h), PCI buses
 * other than 0, the turbo and soft reset distinctions. */
#include "devices/i440fx.h"

#include <string.h>

enum {
    REG_CONFADD = 0,
    REG_RESET_CONTROL = 1,
    REG_CONFDATA = 4,
    REG_END = 8,

    RESET_RCPU = 0x04, /* going high resets */
    RESET_WRITABLE = 0x06,

    CONFIG_PMCCFG = 0x50,
    CONFIG_DRAMT = 0x58,
    CONFIG_PAM0 = 0x59,
    CONFIG_PAM6 = 0x5f,
    CONFIG_DRB0 = 0x60,
    CONFIG_FDHC = 0x68,
    CONFIG_MTT = 0x70,
    CONFIG_CLT = 0x71,
    CONFIG_SMRAM = 0x72,
    CONFIG_ERRCMD = 0x90,

    PAM_READ = 1, /* reads go to RAM */
    PAM_WRITE = 2,
    PAM_SEGMENTS = 13,

    SMRAM_D_OPEN = 0x40,
    SMRAM_D_CLS = 0x20,
    SMRAM_D_LCK = 0x10,
    SMRAM_G_SMRAME = 0x08,
    SMRAM_RESET = 0x02, /* C_BASE_SEG is hardwired to A0000h */
};

#define CONFADD_ENABLE UINT32_C(0x80000000)
#define CONFADD_WRITABLE UINT32_C(0x80fffffc)
#define LOW_MEMORY_MAX UINT64_C(0xe0000000)
#define FOUR_GIB UINT64_C(0x100000000)
#define MIB UINT64_C(0x100000)

enum { BIOS_LOW_MAX = 0x20000, SMRAM_BASE = 0xa0000, SMRAM_SIZE = 0x20000 };

struct i440fx;

/* One part of C0000h-FFFFFh: RAM, or a window that reads PCI and writes RAM, or neither. */
struct pam_segment {
    struct i440fx *bridge;
    uint32_t base;
    struct region ram;
    struct region write_only;
};

struct i440fx {
    struct device dev;
    struct pci_function pci;
    struct irq reset;
    struct pci_bus bus;
    struct memory *ram;
    struct memory *bios;
    struct region ram_dos, ram_low, ram_high, bios_high, bios_low, smram;
    struct pam_segment pam[PAM_SEGMENTS];
    uint32_t config_address;
    uint8_t reset_control;
    bool is_smiact;
    uint8_t pad_[2];
};

#define S struct i440fx
static const struct field i440fx_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    { "wires", "reset output, bus, memories and regions", offsetof(S, reset), offsetof(S, config_address) - offsetof(S, reset),
      0, FIELD_KIND_WIRED, NULL },
    FIELD(S, config_address, "CONFADD, port CF8h"),
    FIELD(S, reset_control, "port CF9h"),
    FIELD(S, is_smiact, "the CPU is in system management mode"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* ---- memory map ---- */

uint64_t i440fx_low_memory(uint64_t ram_bytes)
{
    return ram_bytes < LOW_MEMORY_MAX ? ram_bytes : LOW_MEMORY_MAX;
}

/* The two PAM bits of a segment. Segment 0 is F0000h (64 KiB, PAM0 high nibble); 1 to 12 are 16 KiB each from C0000h. */
static unsigned pam_bits(const struct i440fx *bridge, unsigned segment)
{
    unsigned nibble = segment == 0 ? 1 : segment + 1;

    return bridge->pci.config[CONFIG_PAM0 + nibble / 2] >> 4 * (nibble % 2) & (PAM_READ | PAM_WRITE);
}

static void update_pam(struct i440fx *bridge)
{
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        struct pam_segment *segment = &bridge->pam[i];
        unsigned bits = pam_bits(bridge, i);
        space_retarget(bridge->dev.space, &segment->ram, bridge->ram, segment->base, (bits & PAM_WRITE) == 0);
        space_move(bridge->dev.space, &segment->ram, segment->base, (bits & PAM_READ) != 0);
        space_move(bridge->dev.space, &segment->write_only, segment->base, bits == PAM_WRITE);
    }
}

static bool smram_is_seen(const struct i440fx *bridge)
{
    uint8_t smram = bridge->pci.config[CONFIG_SMRAM];

    /* D_CLS closes it to data, not to code; the bus does not tell them apart here, and a handler needs its code. */
    return (smram & SMRAM_G_SMRAME) != 0 && ((smram & SMRAM_D_OPEN) != 0 || bridge->is_smiact);
}

static void update_map(struct i440fx *bridge)
{
    if (bridge->ram == NULL) {
        return;
    }
    space_begin(bridge->dev.space);
    update_pam(bridge);
    space_move(bridge->dev.space, &bridge->smram, SMRAM_BASE, smram_is_seen(bridge));
    space_commit(bridge->dev.space);
}

/* Reads where a segment is write-only come from PCI: the BIOS, or nobody. */
static uint32_t pam_read(void *owner, uint64_t offset, unsigned size)
{
    const struct pam_segment *segment = owner;
    const struct memory *bios = segment->bridge->bios;
    const struct region *low = &segment->bridge->bios_low;
    uint64_t address = segment->base + offset;
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        uint32_t byte = 0xff;
        if (bios != NULL && address + i >= low->base) {
            byte = bios->host[low->memory_offset + (address + i - low->base)];
        }
        value |= byte << 8 * i;
    }
    return value;
}

/* `offset` is a multiple of `size`, so the bytes lie in one page. */
static void pam_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    const struct pam_segment *segment = owner;
    struct memory *ram = segment->bridge->ram;
    uint64_t address = segment->base + offset;

    if (ram->page_flags[address >> GUEST_PAGE_SHIFT] != PAGE_DIRTY) {
        memory_written(ram, address, size);
    }
    for (unsigned i = 0; i < size; i++) {
        ram->host[address + i] = (uint8_t)(value >> 8 * i);
    }
}

static const struct region_ops pam_ops = { pam_read, pam_write, 4 };

static struct region memory_region(const char *name, struct memory *memory, uint64_t offset, uint64_t size)
{
    return (struct region){
        .name = name, .kind = REGION_MEMORY, .size = size, .memory = memory, .memory_offset = offset
    };
}

static void add_ram(struct i440fx *bridge)
{
    struct space *space = bridge->dev.space;
    uint64_t low = i440fx_low_memory(bridge->ram->size);

    bridge->ram_dos = memory_region("ram below 640K", bridge->ram, 0, SMRAM_BASE);
    space_add(space, &bridge->ram_dos, 0, I440FX_PRIORITY_RAM, true);
    if (low > MIB) {
        bridge->ram_low = memory_region("ram below 4G", bridge->ram, MIB, low - MIB);
        space_add(space, &bridge->ram_low, MIB, I440FX_PRIORITY_RAM, true);
    }
    if (bridge->ram->size > low) {
        bridge->ram_high = memory_region("ram above 4G", bridge->ram, low, bridge->ram->size - low);
        space_add(space, &bridge->ram_high, FOUR_GIB, I440FX_PRIORITY_RAM, true);
    }
    bridge->smram = memory_region("smram", bridge->ram, SMRAM_BASE, SMRAM_SIZE);
    space_add(space, &bridge->smram, SMRAM_BASE, I440FX_PRIORITY_SMRAM, false);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        struct pam_segment *segment = &bridge->pam[i];
        uint32_t size = i == 0 ? 0x10000 : 0x4000;
        segment->bridge = bridge;
        segment->base = i == 0 ? 0xf0000 : 0xc0000 + (i - 1) * size;
        segment->ram = memory_region("shadow ram", bridge->ram, segment->base, size);
        segment->write_only = (struct region){
            .name = "write-only shadow ram", .kind = REGION_IO, .size = size, .ops = &pam_ops, .owner = segment
        };
        space_add(space, &segment->ram, segment->base, I440FX_PRIORITY_RAM, false);
        space_add(space, &segment->write_only, segment->base, I440FX_PRIORITY_RAM, false);
    }
}

static void add_bios(struct i440fx *bridge)
{
    struct space *space = bridge->dev.space;
    uint64_t size = bridge->bios->size;
    uint64_t low = size < BIOS_LOW_MAX ? size : BIOS_LOW_MAX;

    bridge->bios_high = memory_region("bios", bridge->bios, 0, size);
    bridge->bios_high.is_readonly = true;
    space_add(space, &bridge->bios_high, FOUR_GIB - size, I440FX_PRIORITY_BIOS, true);
    bridge->bios_low = memory_region("bios below 1M", bridge->bios, size - low, low);
    bridge->bios_low.is_readonly = true;
    space_add(space, &bridge->bios_low, MIB - low, I440FX_PRIORITY_BIOS, true);
}

bool i440fx_smram(const struct device *dev, phys_addr address, struct memory **memory, uint64_t *offset)
{
    const struct i440fx *bridge = (const struct i440fx *)(const void *)dev;

    *memory = bridge->ram;
    *offset = address;
    return (bridge->pci.config[CONFIG_SMRAM] & SMRAM_G_SMRAME) != 0 && address >= SMRAM_BASE &&
           address < SMRAM_BASE + SMRAM_SIZE;
}

bool i440fx_map_memory(struct device *dev, struct memory *ram, struct memory *bios, struct error *err)
{
    struct i440fx *bridge = (struct i440fx *)(void *)dev;

    if (ram == NULL || ram->size < MIB) {
        return error_set(err, "the i440FX board needs at least 1 MiB of memory");
    }
    if (bios != NULL && bios->size > 16 * MIB) {
        return error_set(err, "the BIOS image is larger than 16 MiB");
    }
    BUG_ON(bridge->ram != NULL);
    bridge->ram = ram;
    bridge->bios = bios;
    space_begin(dev->space);
    add_ram(bridge);
    if (bios != NULL) {
        add_bios(bridge);
    }
    update_map(bridge);
    space_commit(dev->space);
    return true;
}

/* ---- configuration registers ---- */

/* Once locked, SMRAM is closed and only D_CLS can be written, until reset. */
static void update_smram_lock(struct i440fx *bridge)
{
    struct pci_function *pci = &bridge->pci;

    if ((pci->config[CONFIG_SMRAM] & SMRAM_D_LCK) != 0) {
        pci->config[CONFIG_SMRAM] &= (uint8_t)~SMRAM_D_OPEN;
        pci->writable[CONFIG_SMRAM] = SMRAM_D_CLS;
    } else {
        pci->writable[CONFIG_SMRAM] = SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME;
    }
}

static void i440fx_config_written(struct device *dev, unsigned offset, unsigned size)
{
    struct i440fx *bridge = (struct i440fx *)(void *)dev;

    (void)size;
    if (offset + 4 > CONFIG_PAM0 && offset <= CONFIG_SMRAM) {
        update_smram_lock(bridge);
        update_map(bridge);
    }
}

/* ---- ports ---- */

static struct pci_function *selected_function(const struct i440fx *bridge)
{
    uint32_t address = bridge->config_address;

    if ((address & CONFADD_ENABLE) == 0 || (address >> 16 & 0xff) != 0) {
        return NULL;
    }
    return bridge->bus.functions[address >> 8 & 0xff];
}

static uint32_t ones(unsigned size)
{
    return UINT32_MAX >> (32 - 8 * size);
}

static uint32_t i440fx_port_read(void *owner, unsigned reg, unsigned size)
{
    struct i440fx *bridge = owner;
    struct pci_function *pci = selected_function(bridge);

    if (reg == REG_CONFADD && size == 4) {
        return bridge->config_address;
    }
    if (reg == REG_RESET_CONTROL && size == 1) {
        return bridge->reset_control;
    }
    if (reg < REG_CONFDATA || reg >= REG_END || pci == NULL) {
        return ones(size);
    }
    unsigned room = REG_END - reg;
    unsigned inside = size <= room ? size : room; /* what runs past the data port belongs to nobody */
    uint32_t value = pci_config_read(pci, (bridge->config_address & 0xfc) + (reg - REG_CONFDATA), inside);
    return value | (ones(size) & ~ones(inside));
}

static void i440fx_port_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct i440fx *bridge = owner;
    struct pci_function *pci = selected_function(bridge);

    if (reg == REG_CONFADD && size == 4) {
        bridge->config_address = value & CONFADD_WRITABLE;
    } else if (reg == REG_RESET_CONTROL && size == 1) {
        bridge->reset_control = value & RESET_WRITABLE;
        irq_set(&bridge->reset, (bridge->reset_control & RESET_RCPU) != 0);
    } else if (reg >= REG_CONFDATA && reg < REG_END && pci != NULL) {
        unsigned room = REG_END - reg;
        pci_config_write(pci, (bridge->config_address & 0xfc) + (reg - REG_CONFDATA), size <= room ? size : room, value);
    }
}

/* ---- class ---- */

struct pci_bus *i440fx_pci_bus(struct device *dev)
{
    return &((struct i440fx *)(void *)dev)->bus;
}

static bool i440fx_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct i440fx *bridge = (struct i440fx *)(void *)dev;
    const struct property *ram = property_find(properties, "ram");
    const struct property *bios = property_find(properties, "bios");
    struct pci_function *pci = &bridge->pci;

    pci_init(pci, dev, 0x8086, 0x1237, 0x060000, 2);
    pci->config_written = i440fx_config_written;
    store_le16(&pci->writable[4], 0x0100); /* memory space and bus master are hardwired on */
    memset(&pci->writable[CONFIG_PMCCFG], 0xff, CONFIG_DRAMT - CONFIG_PMCCFG + 1);
    memset(&pci->writable[CONFIG_PAM0], 0x77, CONFIG_PAM6 - CONFIG_PAM0 + 1);
    pci->writable[CONFIG_PAM0] = 0x70;
    memset(&pci->writable[CONFIG_DRB0], 0xff, 8);
    pci->writable[CONFIG_FDHC] = 0xff;
    pci->writable[CONFIG_MTT] = 0xff;
    pci->writable[CONFIG_CLT] = 0xff;
    pci->writable[CONFIG_ERRCMD] = 0xff;
    if (!pci_bus_attach(&bridge->bus, pci, 0, err)) {
        return false;
    }
    return ram == NULL || ram->pointer == NULL ||
           i440fx_map_memory(dev, ram->pointer, bios != NULL ? bios->pointer : NULL, err);
}

static void i440fx_reset(struct device *dev)
{
    struct i440fx *bridge = (struct i440fx *)(void *)dev;
    uint8_t *config = bridge->pci.config;

    pci_reset(&bridge->pci);
    store_le16(&config[4], 0x0006);
    store_le16(&config[6], 0x0280); /* fast back-to-back, medium DEVSEL# */
    memset(&config[CONFIG_PMCCFG], 0, CONFIG_FDHC + 1 - CONFIG_PMCCFG);
    memset(&config[CONFIG_DRB0], 1, 8);
    config[0x51] = 0x01;
    config[0x58] = 0x10;
    config[CONFIG_MTT] = 0;
    config[CONFIG_CLT] = 0x10;
    config[CONFIG_SMRAM] = SMRAM_RESET;
    config[CONFIG_ERRCMD] = 0;
    bridge->config_address = 0;
    bridge->reset_control = 0;
    update_smram_lock(bridge);
    update_map(bridge);
    irq_set(&bridge->reset, false);
}

static void i440fx_loaded(struct device *dev)
{
    struct i440fx *bridge = (struct i440fx *)(void *)dev;

    update_smram_lock(bridge);
    update_map(bridge);
}

static void i440fx_set_input(struct device *dev, unsigned pin, bool level)
{
    struct i440fx *bridge = (struct i440fx *)(void *)dev;

    if (pin == 0 && bridge->is_smiact != level) {
        bridge->is_smiact = level;
        update_map(bridge);
    }
}

static const struct pin_group i440fx_inputs[] = { { "smiact", 0, 0 }, { NULL, 0, 0 } };
static const struct output i440fx_outputs[] = {
    { "reset", offsetof(struct i440fx, reset), 0 },
    { NULL, 0, 0 },
};
static const struct port_ops i440fx_port_ops = { i440fx_port_read, i440fx_port_write, 4 };

const struct device_class i440fx_class = {
    .name = "i440fx",
    .doc = "host bridge and memory controller",
    .size = sizeof(struct i440fx),
    .fields = i440fx_fields,
    .inputs = i440fx_inputs,
    .outputs = i440fx_outputs,
    .port_ops = &i440fx_port_ops,
    .init = i440fx_init,
    .reset = i440fx_reset,
    .loaded = i440fx_loaded,
    .set_input = i440fx_set_input,
};
