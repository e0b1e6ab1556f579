/* piix4_pm.c - power management and SMBus function of the Intel 82371AB PIIX4 (April 1997, 290562-001, chapter 7), as it
 * sits in the PIIX3 of QEMU's pc board (function 3), with that board's general-purpose events at AFE0h.
 *
 * Port registers: 0-3Fh the power management block (at PMBASE, mapped by the chip), 40h-4Fh the SMBus host (at SMBBA, mapped
 * by the chip), 50h-51h APMC and APMS (B2h, B3h), 60h-63h GPE0 status and enable (AFE0h). Inputs "powerbtn" (a rise is a
 * press) and "rtc" (a rise is an alarm). Outputs "sci" (level, IRQ 9), "smi" (a pulse) and
 * "poweroff" (a level that reset clears).
 *
 * ACPI mode: a write of F1h to APMC sets SCI_EN and F0h clears it, which on hardware an SMI handler does. With APMC_EN (5Bh bit
 * 1) a write to APMC raises SMI# as well. SLP_TYP 0 is S5, 2 is S4; both switch the board off.
 *
 * Not implemented: other sources of SMI, S3 and the other sleep states (logged), device monitors, processor clock control, bus master
 * status, SMBus devices (every transaction ends with "no device"), the slave SMBus functions. */
#include "devices/piix4_pm.h"

#include "devices/pci.h"

#include <string.h>

enum {
    REG_PM1_STS = 0x00,
    REG_PM1_EN = 0x02,
    REG_PM1_CNT = 0x04,
    REG_PM_TMR = 0x08,
    REG_PM_END = 0x0c,
    REG_SMB = 0x40,
    REG_SMB_END = 0x50,
    REG_APMC = PIIX4_PM_REG_APM,
    REG_APMS = PIIX4_PM_REG_APM + 1,
    REG_GPE0 = PIIX4_PM_REG_GPE0,
    REG_GPE0_END = PIIX4_PM_REG_GPE0 + 4,

    PM1_TMR = 0x0001,
    PM1_GBL = 0x0020,
    PM1_PWRBTN = 0x0100,
    PM1_RTC = 0x0400,
    PM1_EVENTS = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_RTC,
    PM1_STS_WRITE_1_CLEARS = 0x8531,

    CNT_SCI_EN = 0x0001,
    CNT_GBL_RLS = 0x0004,
    CNT_SLP_TYP_SHIFT = 10,
    CNT_SLP_TYP = 7,
    CNT_SLP_EN = 0x2000,
    CNT_WRITABLE = 0x1c03, /* GBL_RLS and SLP_EN act and read 0 */

    SLP_TYP_S5 = 0,
    SLP_TYP_S4 = 2,

    APM_ACPI_ENABLE = 0xf1,
    APM_ACPI_DISABLE = 0xf0,

    CONFIG_PMBASE = 0x40,
    CONFIG_DEVACTB_HIGH = 0x5b,
    DEVACTB_APMC_EN = 0x02,
    CONFIG_PMREGMISC = 0x80,
    CONFIG_SMBBA = 0x90,
    CONFIG_SMBHSTCFG = 0xd2,
    PM_PORTS = 64,
    SMB_PORTS = 16,

    TIMER_HZ = 3579545,
    TIMER_MASK = 0xffffff,
    TIMER_HALF = 0x800000, /* TMR_STS is set whenever bit 23 changes */
};

/* SMBus host registers, counted from REG_SMB. */
enum {
    SMB_HSTSTS = 0,
    SMB_SLVSTS = 1,
    SMB_HSTCNT = 2,
    SMB_REGISTERS = 8, /* kept: up to the first data bytes */

    HSTSTS_DEV_ERR = 0x04,
    HSTSTS_WRITE_1_CLEARS = 0x1e,
    HSTCNT_START = 0x40,
    HSTCNT_READ_ZERO = 0x42, /* START and KILL */
};

/* A block of ports that the guest places. */
struct port_block {
    uint16_t base;
    bool is_mapped;
};

struct piix4_pm {
    struct device dev;
    struct pci_function pci;
    struct irq sci;
    struct irq poweroff;
    struct irq smi;
    struct event overflow;
    struct port_block pm_block;
    struct port_block smb_block;
    uint16_t pm1_sts;
    uint16_t pm1_en;
    uint16_t pm1_cnt;
    uint8_t gpe0[4];
    uint8_t apmc;
    uint8_t apms;
    bool is_off;
    bool is_powerbtn;
    bool is_rtc;
    uint8_t smb[SMB_REGISTERS];
    uint8_t pad_[1];
};

#define S struct piix4_pm
static const struct field piix4_pm_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, sci, "IRQ 9"),
    WIRED(S, poweroff, NULL),
    WIRED(S, smi, NULL),
    FIELD_EVENT(S, overflow, "bit 23 of the PM timer changes"),
    DERIVED(S, pm_block, "where the power management block is mapped"),
    DERIVED(S, smb_block, "where the SMBus block is mapped"),
    FIELD(S, pm1_sts, "PM1 status"),
    FIELD(S, pm1_en, "PM1 enable"),
    FIELD(S, pm1_cnt, "PM1 control"),
    FIELD(S, gpe0, "general-purpose event 0: two bytes of status, two of enable"),
    FIELD(S, apmc, "port B2h"),
    FIELD(S, apms, "port B3h"),
    FIELD(S, is_off, "the guest has switched the board off"),
    FIELD(S, is_powerbtn, "power button input"),
    FIELD(S, is_rtc, "alarm input"),
    FIELD(S, smb, "SMBus host registers"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static void piix4_pm_update(struct piix4_pm *pm)
{
    bool is_pm1 = (pm->pm1_sts & pm->pm1_en & PM1_EVENTS) != 0;
    bool is_gpe = ((pm->gpe0[0] & pm->gpe0[2]) | (pm->gpe0[1] & pm->gpe0[3])) != 0;

    irq_set(&pm->sci, (pm->pm1_cnt & CNT_SCI_EN) != 0 && (is_pm1 || is_gpe));
    irq_set(&pm->poweroff, pm->is_off);
}

/* ---- PM timer ---- */

static uint64_t timer_ticks(const struct piix4_pm *pm)
{
    return mul_div_u64(clock_now(pm->dev.clock), TIMER_HZ, NS_PER_SECOND);
}

static void arm_overflow(struct piix4_pm *pm)
{
    uint64_t target = (timer_ticks(pm) / TIMER_HALF + 1) * TIMER_HALF;

    event_at(&pm->overflow, mul_div_u64(target, NS_PER_SECOND, TIMER_HZ) + 1);
}

static void timer_overflows(void *owner)
{
    struct piix4_pm *pm = owner;

    pm->pm1_sts |= PM1_TMR;
    arm_overflow(pm);
    piix4_pm_update(pm);
}

/* ---- registers, a byte at a time ---- */

static uint8_t read_byte(const struct piix4_pm *pm, unsigned reg)
{
    if (reg >= REG_GPE0 && reg < REG_GPE0_END) {
        return pm->gpe0[reg - REG_GPE0];
    }
    if (reg >= REG_SMB && reg < REG_SMB_END) {
        return reg - REG_SMB < SMB_REGISTERS ? pm->smb[reg - REG_SMB] : 0;
    }
    switch (reg) {
    case REG_PM1_STS: return (uint8_t)pm->pm1_sts;
    case REG_PM1_STS + 1: return (uint8_t)(pm->pm1_sts >> 8);
    case REG_PM1_EN: return (uint8_t)pm->pm1_en;
    case REG_PM1_EN + 1: return (uint8_t)(pm->pm1_en >> 8);
    case REG_PM1_CNT: return (uint8_t)pm->pm1_cnt;
    case REG_PM1_CNT + 1: return (uint8_t)(pm->pm1_cnt >> 8);
    case REG_PM_TMR:
    case REG_PM_TMR + 1:
    case REG_PM_TMR + 2:
        return (uint8_t)((timer_ticks(pm) & TIMER_MASK) >> 8 * (reg - REG_PM_TMR));
    case REG_APMC: return pm->apmc;
    case REG_APMS: return pm->apms;
    default: return 0;
    }
}

static void sleep_now(struct piix4_pm *pm)
{
    unsigned type = pm->pm1_cnt >> CNT_SLP_TYP_SHIFT & CNT_SLP_TYP;

    if (type == SLP_TYP_S5 || type == SLP_TYP_S4) {
        pm->is_off = true;
    } else {
        device_log(&pm->dev, LOG_GUEST, "sleep type %u is not implemented", type);
    }
}

/* Replaces byte `high` of the control register. GBL_RLS, which calls the BIOS, sets nothing here. */
static void write_control(struct piix4_pm *pm, bool high, uint8_t value)
{
    unsigned shift = high ? 8 : 0;
    uint16_t wide = (uint16_t)(value << shift);
    uint16_t mask = (uint16_t)(CNT_WRITABLE & 0xff << shift);

    pm->pm1_cnt = (uint16_t)((pm->pm1_cnt & ~mask) | (wide & mask));
    if ((wide & CNT_SLP_EN) != 0) {
        sleep_now(pm);
    }
}

static void write_smb(struct piix4_pm *pm, unsigned reg, uint8_t value)
{
    switch (reg) {
    case SMB_HSTSTS:
    case SMB_SLVSTS:
        pm->smb[reg] &= (uint8_t)~(value & HSTSTS_WRITE_1_CLEARS);
        break;
    case SMB_HSTCNT:
        pm->smb[reg] = (uint8_t)(value & ~HSTCNT_READ_ZERO);
        if ((value & HSTCNT_START) != 0) {
            pm->smb[SMB_HSTSTS] |= HSTSTS_DEV_ERR; /* nobody acknowledges the address */
        }
        break;
    default:
        if (reg < SMB_REGISTERS) {
            pm->smb[reg] = value;
        }
        break;
    }
}

static void write_apmc(struct piix4_pm *pm, uint8_t value)
{
    pm->apmc = value;
    if (value == APM_ACPI_ENABLE) {
        pm->pm1_cnt |= CNT_SCI_EN;
    } else if (value == APM_ACPI_DISABLE) {
        pm->pm1_cnt &= (uint16_t)~CNT_SCI_EN;
    }
    /* 7.1.15, DEVACTB, APMC_EN: a write raises SMI#. */
    if ((pm->pci.config[CONFIG_DEVACTB_HIGH] & DEVACTB_APMC_EN) != 0) {
        irq_set(&pm->smi, true);
        irq_set(&pm->smi, false);
    }
}

static void write_byte(struct piix4_pm *pm, unsigned reg, uint8_t value)
{
    if (reg >= REG_SMB && reg < REG_SMB_END) {
        write_smb(pm, reg - REG_SMB, value);
        return;
    }
    switch (reg) {
    case REG_PM1_STS: pm->pm1_sts &= (uint16_t)~(value & PM1_STS_WRITE_1_CLEARS); break;
    case REG_PM1_STS + 1: pm->pm1_sts &= (uint16_t)~(value << 8 & PM1_STS_WRITE_1_CLEARS); break;
    case REG_PM1_EN: pm->pm1_en = (uint16_t)((pm->pm1_en & 0xff00) | (value & PM1_EVENTS)); break;
    case REG_PM1_EN + 1: pm->pm1_en = (uint16_t)((pm->pm1_en & 0x00ff) | (value << 8 & PM1_EVENTS)); break;
    case REG_PM1_CNT: write_control(pm, false, value); break;
    case REG_PM1_CNT + 1: write_control(pm, true, value); break;
    case REG_APMC: write_apmc(pm, value); break;
    case REG_APMS: pm->apms = value; break;
    case REG_GPE0:
    case REG_GPE0 + 1: pm->gpe0[reg - REG_GPE0] &= (uint8_t)~value; break;
    case REG_GPE0 + 2:
    case REG_GPE0 + 3: pm->gpe0[reg - REG_GPE0] = value; break;
    default: break;
    }
}

static uint32_t piix4_pm_read(void *owner, unsigned reg, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)read_byte(owner, reg + i) << 8 * i;
    }
    return value;
}

/* The highest byte last would let SLP_EN act before SLP_TYP's byte is there, but both lie in one byte. */
static void piix4_pm_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size; i++) {
        write_byte(owner, reg + i, (uint8_t)(value >> 8 * i));
    }
    piix4_pm_update(owner);
}

static const struct port_ops piix4_pm_port_ops = { piix4_pm_read, piix4_pm_write, 4 };

/* ---- configuration ---- */

static void place_block(struct piix4_pm *pm, struct port_block *block, unsigned config, bool is_enabled, unsigned first_reg)
{
    uint16_t base = load_le16(&pm->pci.config[config]) & 0xffc0;
    unsigned count = first_reg == REG_SMB ? SMB_PORTS : PM_PORTS;

    is_enabled = is_enabled && base != 0;
    if (block->is_mapped && (!is_enabled || block->base != base)) {
        ports_remove(pm->dev.ports, block->base, count, pm);
        block->is_mapped = false;
    }
    if (is_enabled && !block->is_mapped) {
        ports_add(pm->dev.ports, base, count, first_reg, &piix4_pm_port_ops, pm, pm->dev.name, true);
        block->is_mapped = true;
        block->base = base;
    }
}

static void place_blocks(struct piix4_pm *pm)
{
    place_block(pm, &pm->pm_block, CONFIG_PMBASE, (pm->pci.config[CONFIG_PMREGMISC] & 1) != 0, 0);
    place_block(pm, &pm->smb_block, CONFIG_SMBBA, (pm->pci.config[CONFIG_SMBHSTCFG] & 1) != 0, REG_SMB);
}

static void piix4_pm_config_written(struct device *dev, unsigned offset, unsigned size)
{
    (void)offset;
    (void)size;
    place_blocks((struct piix4_pm *)(void *)dev);
}

static bool piix4_pm_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct piix4_pm *pm = (struct piix4_pm *)(void *)dev;
    struct pci_function *pci = &pm->pci;

    (void)properties;
    (void)err;
    pci_init(pci, dev, 0x8086, 0x7113, 0x068000, 3);
    pci_set_interrupt_pin(pci, 1);
    pci->config_written = piix4_pm_config_written;
    store_le16(&pci->writable[4], 0x0101);
    store_le32(&pci->writable[CONFIG_PMBASE], 0xffc0);
    memset(&pci->writable[0x44], 0xff, CONFIG_PMREGMISC - 0x44);
    pci->writable[CONFIG_PMREGMISC] = 1;
    store_le32(&pci->writable[CONFIG_SMBBA], 0xffc0);
    memset(&pci->writable[CONFIG_SMBHSTCFG], 0xff, 4);
    pci->writable[CONFIG_SMBHSTCFG] = 0x0f;
    event_init(&pm->overflow, dev->clock, timer_overflows, pm);
    return true;
}

static void piix4_pm_reset(struct device *dev)
{
    struct piix4_pm *pm = (struct piix4_pm *)(void *)dev;
    uint8_t *config = pm->pci.config;

    pci_reset(&pm->pci);
    store_le16(&config[6], 0x0280);
    memset(&config[CONFIG_PMBASE], 0, 0x100 - CONFIG_PMBASE);
    config[CONFIG_PMBASE] = 1; /* an address in port space */
    config[CONFIG_SMBBA] = 1;
    config[0x5f] = 0x90; /* the decoders of parallel and serial ports are on: what operating systems look at */
    config[0x63] = 0x60;
    config[0x67] = 0x98;
    pm->pm1_sts = 0;
    pm->pm1_en = 0;
    pm->pm1_cnt = 0;
    memset(pm->gpe0, 0, sizeof pm->gpe0);
    memset(pm->smb, 0, sizeof pm->smb);
    pm->apmc = 0;
    pm->apms = 0;
    pm->is_off = false;
    place_blocks(pm);
    arm_overflow(pm);
    piix4_pm_update(pm);
}

static void piix4_pm_loaded(struct device *dev)
{
    struct piix4_pm *pm = (struct piix4_pm *)(void *)dev;

    pci_update_bars(&pm->pci);
    place_blocks(pm);
}

static void piix4_pm_destroy(struct device *dev)
{
    struct piix4_pm *pm = (struct piix4_pm *)(void *)dev;

    if (pm->pm_block.is_mapped) {
        ports_remove(dev->ports, pm->pm_block.base, PM_PORTS, pm);
    }
    if (pm->smb_block.is_mapped) {
        ports_remove(dev->ports, pm->smb_block.base, SMB_PORTS, pm);
    }
}

enum { PIN_POWERBTN, PIN_RTC };

static void piix4_pm_set_input(struct device *dev, unsigned pin, bool level)
{
    struct piix4_pm *pm = (struct piix4_pm *)(void *)dev;
    bool *last = pin == PIN_POWERBTN ? &pm->is_powerbtn : &pm->is_rtc;

    if (level && !*last) {
        pm->pm1_sts |= pin == PIN_POWERBTN ? PM1_PWRBTN : PM1_RTC;
    }
    *last = level;
    piix4_pm_update(pm);
}

static const struct pin_group piix4_pm_inputs[] = {
    { "powerbtn", PIN_POWERBTN, 0 },
    { "rtc", PIN_RTC, 0 },
    { NULL, 0, 0 },
};
static const struct output piix4_pm_outputs[] = {
    { "sci", offsetof(struct piix4_pm, sci), 0 },
    { "poweroff", offsetof(struct piix4_pm, poweroff), 0 },
    { "smi", offsetof(struct piix4_pm, smi), 0 },
    { NULL, 0, 0 },
};

const struct device_class piix4_pm_class = {
    .name = "piix4_pm",
    .doc = "power management and SMBus",
    .size = sizeof(struct piix4_pm),
    .fields = piix4_pm_fields,
    .inputs = piix4_pm_inputs,
    .outputs = piix4_pm_outputs,
    .port_ops = &piix4_pm_port_ops,
    .init = piix4_pm_init,
    .reset = piix4_pm_reset,
    .loaded = piix4_pm_loaded,
    .set_input = piix4_pm_set_input,
    .destroy = piix4_pm_destroy,
};
