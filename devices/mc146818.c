/* mc146818.c - real-time clock with 128 bytes of battery-backed memory, as in the Motorola MC146818A data sheet
 * (ADI1021, 1984) and, for the bytes beyond 64, the century (byte 32h) and port 70h's NMI mask, as PIIX3-era PCs have it.
 *
 * Registers: 0 is the address port (70h), 1 the data port (71h). Outputs "irq" (IRQ 8) and "nmi_mask".
 * Property "base_seconds": the calendar time at guest time 0, in seconds since 1970-01-01 00:00.
 *
 * The time registers are what the chip has: counters that step once a second. Seconds and the periodic interrupt hang
 * on one divider, which the guest may hold in reset; the first update follows half a second after its release. The
 * update itself takes no time: UIP is set in the 244 microseconds before it, as t(BUC), and clear after it.
 * Not implemented: daylight saving (DSE; logged), the square wave output, time bases other than 32768 Hz (their
 * divider settings count like 32768 Hz). */
#include "devices/mc146818.h"

#include <string.h>

enum {
    REG_ADDRESS = 0,
    REG_DATA = 1,

    ADDRESS_NMI_MASK = 0x80,

    CMOS_SECONDS = 0,
    CMOS_SECONDS_ALARM = 1,
    CMOS_MINUTES = 2,
    CMOS_MINUTES_ALARM = 3,
    CMOS_HOURS = 4,
    CMOS_HOURS_ALARM = 5,
    CMOS_DAY_OF_WEEK = 6,
    CMOS_DAY = 7,
    CMOS_MONTH = 8,
    CMOS_YEAR = 9,
    CMOS_A = 10,
    CMOS_B = 11,
    CMOS_C = 12,
    CMOS_D = 13,
    CMOS_CENTURY = 0x32,

    A_UIP = 0x80,
    A_RATE = 0x0f,
    A_DIVIDER_RESET = 0x60,

    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 0x08,
    B_DM = 0x04, /* binary */
    B_24H = 0x02,
    B_DSE = 0x01,

    C_IRQF = 0x80,
    C_PF = 0x40,
    C_AF = 0x20,
    C_UF = 0x10,
    C_FLAGS = 0x70,

    D_VRT = 0x80,

    HOURS_PM = 0x80,
    ALARM_DONT_CARE = 0xc0,

    DIVIDER_HZ = 32768,
    UIP_BEFORE_UPDATE_NS = 244000,
    FIRST_UPDATE_NS = 500000000,
};

struct mc146818 {
    struct device dev;
    struct irq irq;
    struct irq nmi_mask;
    struct event update;
    struct event periodic;
    int64_t divider_start_ns;
    uint64_t seconds_done;
    uint64_t ticks_seen;
    uint8_t cmos[MC146818_BYTES];
    uint8_t address;
    bool is_nmi_masked;
    bool has_logged_dse;
    uint8_t pad_[5];
};

#define S struct mc146818
static const struct field mc146818_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, irq, "IRQ 8"),
    WIRED(S, nmi_mask, "NMI enable gate"),
    FIELD_EVENT(S, update, "next update of the time registers"),
    FIELD_EVENT(S, periodic, "next periodic interrupt"),
    FIELD(S, divider_start_ns, "guest time at which the divider chain stood at 0"),
    FIELD(S, seconds_done, "updates since then"),
    FIELD(S, ticks_seen, "pulses of 32768 Hz since then up to which PF is right"),
    FIELD(S, cmos, "time, registers A to D, memory"),
    FIELD(S, address, "byte that the data port reaches"),
    FIELD(S, is_nmi_masked, "bit 7 of the address port"),
    DERIVED(S, has_logged_dse, NULL),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* ---- Calendar ---- */

static const uint8_t month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool is_leap_year(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned month, unsigned year)
{
    if (month < 1 || month > 12) {
        return 31;
    }
    return month == 2 && is_leap_year(year) ? 29u : month_days[month - 1];
}

static uint8_t rtc_encode(const struct mc146818 *rtc, unsigned value)
{
    if (rtc->cmos[CMOS_B] & B_DM) {
        return (uint8_t)value;
    }
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static unsigned rtc_decode(const struct mc146818 *rtc, uint8_t byte)
{
    if (rtc->cmos[CMOS_B] & B_DM) {
        return byte;
    }
    return (byte >> 4) * 10u + (byte & 15u);
}

static uint8_t rtc_encode_hour(const struct mc146818 *rtc, unsigned hour)
{
    if (rtc->cmos[CMOS_B] & B_24H) {
        return rtc_encode(rtc, hour);
    }
    unsigned twelve = hour % 12 ? hour % 12 : 12;
    return (uint8_t)(rtc_encode(rtc, twelve) | (hour >= 12 ? HOURS_PM : 0));
}

static unsigned rtc_decode_hour(const struct mc146818 *rtc, uint8_t byte)
{
    if (rtc->cmos[CMOS_B] & B_24H) {
        return rtc_decode(rtc, byte);
    }
    unsigned twelve = rtc_decode(rtc, byte & 0x7f) % 12;
    return byte & HOURS_PM ? twelve + 12 : twelve;
}

static void rtc_set_time(struct mc146818 *rtc, uint64_t seconds)
{
    uint64_t days = seconds / 86400;
    unsigned of_day = (unsigned)(seconds % 86400);
    unsigned year = 1970, month = 1;

    rtc->cmos[CMOS_DAY_OF_WEEK] = rtc_encode(rtc, (unsigned)((days + 4) % 7 + 1)); /* 1970-01-01 was a Thursday */
    year += (unsigned)(days / 146097 * 400); /* whole cycles of 400 years */
    days %= 146097;
    while (days >= (is_leap_year(year) ? 366u : 365u)) {
        days -= is_leap_year(year) ? 366u : 365u;
        year++;
    }
    while (days >= days_in_month(month, year)) {
        days -= days_in_month(month, year);
        month++;
    }
    rtc->cmos[CMOS_SECONDS] = rtc_encode(rtc, of_day % 60);
    rtc->cmos[CMOS_MINUTES] = rtc_encode(rtc, of_day / 60 % 60);
    rtc->cmos[CMOS_HOURS] = rtc_encode_hour(rtc, of_day / 3600);
    rtc->cmos[CMOS_DAY] = rtc_encode(rtc, (unsigned)days + 1);
    rtc->cmos[CMOS_MONTH] = rtc_encode(rtc, month);
    rtc->cmos[CMOS_YEAR] = rtc_encode(rtc, year % 100);
    rtc->cmos[CMOS_CENTURY] = rtc_encode(rtc, year / 100 % 100);
}

/* Steps one counter; true when it wrapped to `first`. */
static bool rtc_count(struct mc146818 *rtc, unsigned index, unsigned first, unsigned last)
{
    unsigned value = rtc_decode(rtc, rtc->cmos[index]);
    bool has_wrapped = value >= last;

    rtc->cmos[index] = rtc_encode(rtc, has_wrapped ? first : value + 1);
    return has_wrapped;
}

static void rtc_count_day(struct mc146818 *rtc)
{
    unsigned month = rtc_decode(rtc, rtc->cmos[CMOS_MONTH]);
    unsigned year =
        rtc_decode(rtc, rtc->cmos[CMOS_CENTURY]) * 100 + rtc_decode(rtc, rtc->cmos[CMOS_YEAR]);

    (void)rtc_count(rtc, CMOS_DAY_OF_WEEK, 1, 7);
    if (rtc_count(rtc, CMOS_DAY, 1, days_in_month(month, year)) && rtc_count(rtc, CMOS_MONTH, 1, 12) &&
        rtc_count(rtc, CMOS_YEAR, 0, 99)) {
        (void)rtc_count(rtc, CMOS_CENTURY, 0, 99);
    }
}

static void rtc_count_second(struct mc146818 *rtc)
{
    if (!rtc_count(rtc, CMOS_SECONDS, 0, 59) || !rtc_count(rtc, CMOS_MINUTES, 0, 59)) {
        return;
    }
    unsigned hour = rtc_decode_hour(rtc, rtc->cmos[CMOS_HOURS]);
    rtc->cmos[CMOS_HOURS] = rtc_encode_hour(rtc, hour >= 23 ? 0 : hour + 1);
    if (hour >= 23) {
        rtc_count_day(rtc);
    }
}

static bool rtc_alarm_matches(const struct mc146818 *rtc)
{
    for (unsigned index = CMOS_SECONDS; index <= CMOS_HOURS; index += 2) {
        uint8_t alarm = rtc->cmos[index + 1];
        if (alarm < ALARM_DONT_CARE && alarm != rtc->cmos[index]) {
            return false;
        }
    }
    return true;
}

/* ---- Divider, flags and interrupts ---- */

static bool rtc_is_running(const struct mc146818 *rtc)
{
    return (rtc->cmos[CMOS_A] & A_DIVIDER_RESET) != A_DIVIDER_RESET;
}

static uint64_t rtc_divider_ns(const struct mc146818 *rtc)
{
    return clock_now(rtc->dev.clock) - (uint64_t)rtc->divider_start_ns;
}

/* Pulses of the 32768 Hz time base between periodic interrupts, 0 for none ("Periodic interrupt rate", table 5). */
static uint64_t rtc_period_ticks(const struct mc146818 *rtc)
{
    unsigned rate = rtc->cmos[CMOS_A] & A_RATE;

    if (rate == 0) {
        return 0;
    }
    return UINT64_C(1) << (rate <= 2 ? rate + 6 : rate - 1);
}

static void rtc_update_irq(struct mc146818 *rtc)
{
    uint8_t *c = &rtc->cmos[CMOS_C];

    *c &= C_FLAGS;
    if (*c & rtc->cmos[CMOS_B] & C_FLAGS) { /* PIE, AIE and UIE are at the places of PF, AF and UF */
        *c |= C_IRQF;
    }
    irq_set(&rtc->irq, (*c & C_IRQF) != 0);
}

/* Brings counters and flags to this moment. */
static void rtc_catch_up(struct mc146818 *rtc)
{
    if (!rtc_is_running(rtc)) {
        return;
    }
    uint64_t ns = rtc_divider_ns(rtc);
    uint64_t ticks = mul_div_u64(ns, DIVIDER_HZ, NS_PER_SECOND);
    uint64_t period = rtc_period_ticks(rtc);

    if (period && ticks / period != rtc->ticks_seen / period) {
        rtc->cmos[CMOS_C] |= C_PF;
    }
    rtc->ticks_seen = ticks;
    for (; rtc->seconds_done < ns / NS_PER_SECOND; rtc->seconds_done++) {
        if (rtc->cmos[CMOS_B] & B_SET) {
            continue; /* "SET inhibits the update" */
        }
        rtc_count_second(rtc);
        rtc->cmos[CMOS_C] |= C_UF;
        if (rtc_alarm_matches(rtc)) {
            rtc->cmos[CMOS_C] |= C_AF;
        }
    }
}

/* Arms the events for what can still change. PF needs one only while it is enabled and clear. */
static void rtc_schedule(struct mc146818 *rtc)
{
    uint64_t start = (uint64_t)rtc->divider_start_ns;
    uint64_t period = rtc_period_ticks(rtc);

    if (!rtc_is_running(rtc)) {
        event_cancel(&rtc->update);
        event_cancel(&rtc->periodic);
        return;
    }
    event_at(&rtc->update, start + (rtc->seconds_done + 1) * NS_PER_SECOND);
    if (period && (rtc->cmos[CMOS_B] & B_PIE) && !(rtc->cmos[CMOS_C] & C_PF)) {
        uint64_t tick = (rtc->ticks_seen / period + 1) * period;
        uint64_t ns = mul_div_u64(tick, NS_PER_SECOND, DIVIDER_HZ);
        if (mul_div_u64(ns, DIVIDER_HZ, NS_PER_SECOND) < tick) {
            ns++;
        }
        event_at(&rtc->periodic, start + ns);
    } else {
        event_cancel(&rtc->periodic);
    }
}

static void rtc_refresh(struct mc146818 *rtc)
{
    rtc_catch_up(rtc);
    rtc_update_irq(rtc);
    rtc_schedule(rtc);
}

static void rtc_event(void *owner)
{
    rtc_refresh(owner);
}

static bool rtc_update_is_near(const struct mc146818 *rtc)
{
    if (!rtc_is_running(rtc) || (rtc->cmos[CMOS_B] & B_SET)) {
        return false;
    }
    return rtc_divider_ns(rtc) % NS_PER_SECOND >= NS_PER_SECOND - UIP_BEFORE_UPDATE_NS;
}

/* ---- Ports ---- */

static void rtc_write_a(struct mc146818 *rtc, uint8_t value)
{
    bool was_running = rtc_is_running(rtc);

    rtc->cmos[CMOS_A] = value & (uint8_t)~A_UIP;
    if (!was_running && rtc_is_running(rtc)) {
        /* "The first update occurs one-half second later." */
        rtc->divider_start_ns = (int64_t)clock_now(rtc->dev.clock) - FIRST_UPDATE_NS;
        rtc->seconds_done = 0;
        rtc->ticks_seen = DIVIDER_HZ / 2;
    }
}

static void rtc_write_b(struct mc146818 *rtc, uint8_t value)
{
    if (value & B_SET) {
        value &= (uint8_t)~B_UIE; /* "The UIE bit is cleared by the SET bit going high" */
    }
    if ((value & B_DSE) && !rtc->has_logged_dse) {
        rtc->has_logged_dse = true;
        device_log(&rtc->dev, LOG_GUEST, "%s: daylight saving is not implemented", rtc->dev.name);
    }
    rtc->cmos[CMOS_B] = value;
}

static void rtc_write_data(struct mc146818 *rtc, uint8_t value)
{
    rtc_catch_up(rtc);
    switch (rtc->address) {
    case CMOS_A:
        rtc_write_a(rtc, value);
        break;
    case CMOS_B:
        rtc_write_b(rtc, value);
        break;
    case CMOS_C:
    case CMOS_D:
        break; /* read-only */
    case CMOS_SECONDS:
        rtc->cmos[CMOS_SECONDS] = value & 0x7f; /* bit 7 reads 0 */
        break;
    default:
        rtc->cmos[rtc->address] = value;
        break;
    }
    rtc_update_irq(rtc);
    rtc_schedule(rtc);
}

static uint8_t rtc_read_data(struct mc146818 *rtc)
{
    uint8_t value;

    rtc_refresh(rtc);
    switch (rtc->address) {
    case CMOS_A:
        return (uint8_t)(rtc->cmos[CMOS_A] | (rtc_update_is_near(rtc) ? A_UIP : 0));
    case CMOS_C:
        value = rtc->cmos[CMOS_C];
        rtc->cmos[CMOS_C] = 0; /* reading clears all flags and IRQ */
        rtc_update_irq(rtc);
        rtc_schedule(rtc);
        return value;
    case CMOS_D:
        return D_VRT;
    default:
        return rtc->cmos[rtc->address];
    }
}

static void mc146818_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct mc146818 *rtc = owner;

    (void)size;
    if (reg == REG_ADDRESS) {
        rtc->address = (uint8_t)value & (MC146818_BYTES - 1);
        rtc->is_nmi_masked = (value & ADDRESS_NMI_MASK) != 0;
        irq_set(&rtc->nmi_mask, rtc->is_nmi_masked);
    } else if (reg == REG_DATA) {
        rtc_write_data(rtc, (uint8_t)value);
    }
}

static uint32_t mc146818_read(void *owner, unsigned reg, unsigned size)
{
    struct mc146818 *rtc = owner;

    (void)size;
    return reg == REG_DATA ? rtc_read_data(rtc) : 0xff; /* the address port is write-only */
}

/* ---- The board's side ---- */

bool mc146818_is_nmi_masked(const struct device *dev)
{
    return ((const struct mc146818 *)dev)->is_nmi_masked;
}

void mc146818_set_nvram(struct device *dev, unsigned index, uint8_t value)
{
    struct mc146818 *rtc = (struct mc146818 *)dev;

    if (index < MC146818_BYTES) {
        rtc_catch_up(rtc);
        rtc->cmos[index] = value;
        rtc_update_irq(rtc);
        rtc_schedule(rtc);
    }
}

uint8_t mc146818_get_nvram(struct device *dev, unsigned index)
{
    struct mc146818 *rtc = (struct mc146818 *)dev;

    rtc_catch_up(rtc);
    return index < MC146818_BYTES ? rtc->cmos[index] : 0xff;
}

static uint8_t boot_nibble(char letter)
{
    switch (letter) {
    case 'a':
    case 'b':
        return 1;
    case 'c':
        return 2;
    case 'd':
        return 3;
    case 'n':
        return 4;
    default:
        return 0;
    }
}

static void set_disk_type_47(uint8_t *cmos, unsigned type_index, unsigned info_index, const struct mc146818_disk *disk)
{
    uint8_t *info = &cmos[info_index];

    cmos[type_index] = 47; /* "user-defined": geometry follows */
    info[0] = (uint8_t)disk->cylinders;
    info[1] = (uint8_t)(disk->cylinders >> 8);
    info[2] = disk->heads;
    info[3] = 0xff; /* no write precompensation */
    info[4] = 0xff;
    info[5] = (uint8_t)(0xc0 | (disk->heads > 8 ? 0x08 : 0));
    info[6] = info[0]; /* landing zone */
    info[7] = info[1];
    info[8] = disk->sectors;
}

static uint16_t clamp_u16(uint64_t value)
{
    return (uint16_t)(value > 0xffff ? 0xffff : value);
}

void mc146818_set_pc_config(struct device *dev, const struct mc146818_pc_config *config)
{
    uint8_t *cmos = ((struct mc146818 *)dev)->cmos;
    uint64_t below = config->ram_below_4g_bytes;
    const uint64_t kib = 1024, mib = 1024 * 1024;

    uint16_t base_kib = (uint16_t)(below / kib < 640 ? below / kib : 640);
    uint16_t extended_kib = clamp_u16(below > mib ? (below - mib) / kib : 0);
    uint16_t above_16m = clamp_u16(below > 16 * mib ? (below - 16 * mib) / (64 * kib) : 0);
    uint64_t above_4g = config->ram_above_4g_bytes / (64 * kib);
    cmos[0x15] = (uint8_t)base_kib;
    cmos[0x16] = (uint8_t)(base_kib >> 8);
    cmos[0x17] = cmos[0x30] = (uint8_t)extended_kib;
    cmos[0x18] = cmos[0x31] = (uint8_t)(extended_kib >> 8);
    cmos[0x34] = (uint8_t)above_16m;
    cmos[0x35] = (uint8_t)(above_16m >> 8);
    cmos[0x5b] = (uint8_t)above_4g;
    cmos[0x5c] = (uint8_t)(above_4g >> 8);
    cmos[0x5d] = (uint8_t)(above_4g >> 16);
    cmos[0x5f] = (uint8_t)(config->cpus ? config->cpus - 1 : 0);

    const char *order = config->boot_order ? config->boot_order : "cad";
    uint8_t boot[3] = {0, 0, 0};
    for (unsigned n = 0; n < 3 && order[n]; n++) {
        boot[n] = boot_nibble(order[n]);
    }
    cmos[0x3d] = (uint8_t)(boot[1] << 4 | boot[0]);
    cmos[0x38] = (uint8_t)(boot[2] << 4 | (config->is_floppy_signature_free ? 1 : 0));

    unsigned floppies = (config->floppies[0] != FLOPPY_NONE ? 1u : 0u) + (config->floppies[1] != FLOPPY_NONE ? 1u : 0u);
    cmos[0x10] = (uint8_t)((unsigned)config->floppies[0] << 4 | (unsigned)config->floppies[1]);
    cmos[0x14] = (uint8_t)((floppies == 2 ? 0x41 : floppies) | 0x02 | 0x04); /* FPU, PS/2 mouse */

    cmos[0x12] = 0;
    cmos[0x39] = 0;
    if (config->disks[0].is_present) {
        cmos[0x12] |= 0xf0;
        set_disk_type_47(cmos, 0x19, 0x1b, &config->disks[0]);
    }
    if (config->disks[1].is_present) {
        cmos[0x12] |= 0x0f;
        set_disk_type_47(cmos, 0x1a, 0x24, &config->disks[1]);
    }
    for (unsigned n = 0; n < 4; n++) {
        if (config->disks[n].is_present) {
            cmos[0x39] |= (uint8_t)(((unsigned)config->disks[n].translation & 3u) << (2 * n));
        }
    }

    /* Checksum of bytes 10h to 2Dh, high byte first (IBM PC/AT technical reference). */
    unsigned sum = 0;
    for (unsigned n = 0x10; n <= 0x2d; n++) {
        sum += cmos[n];
    }
    cmos[0x2e] = (uint8_t)(sum >> 8);
    cmos[0x2f] = (uint8_t)sum;
}

static bool mc146818_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct mc146818 *rtc = (struct mc146818 *)dev;
    const struct property *base = property_find(properties, "base_seconds");

    (void)err;
    event_init(&rtc->update, dev->clock, rtc_event, rtc);
    event_init(&rtc->periodic, dev->clock, rtc_event, rtc);
    rtc->cmos[CMOS_A] = 0x26; /* 32768 Hz, 1024 Hz periodic: what a BIOS leaves */
    rtc->cmos[CMOS_B] = B_24H;
    rtc->cmos[CMOS_D] = D_VRT;
    rtc_set_time(rtc, base ? base->number : 0);
    return true;
}

/* "RESET does not affect the clock, calendar, or RAM functions": it clears the interrupt enables and flags. */
static void mc146818_reset(struct device *dev)
{
    struct mc146818 *rtc = (struct mc146818 *)dev;

    rtc_catch_up(rtc);
    rtc->cmos[CMOS_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
    rtc->cmos[CMOS_C] = 0;
    rtc->address = 0;
    rtc->is_nmi_masked = false;
    rtc_update_irq(rtc);
    rtc_schedule(rtc);
    irq_set(&rtc->nmi_mask, false);
}

/* A damaged snapshot must not make the catch-up endless or index outside the memory. */
static void mc146818_loaded(struct device *dev)
{
    struct mc146818 *rtc = (struct mc146818 *)dev;
    int64_t now = (int64_t)clock_now(dev->clock);

    rtc->address &= MC146818_BYTES - 1;
    if (rtc->divider_start_ns > now || now - rtc->divider_start_ns < 0) {
        rtc->divider_start_ns = now;
        rtc->seconds_done = 0;
        rtc->ticks_seen = 0;
    }
}

static const struct output mc146818_outputs[] = {
    {"irq", offsetof(struct mc146818, irq), 0},
    {"nmi_mask", offsetof(struct mc146818, nmi_mask), 0},
    {NULL, 0, 0},
};
static const struct port_ops mc146818_port_ops = {mc146818_read, mc146818_write, 1};

const struct device_class mc146818_class = {
    .name = "mc146818",
    .doc = "real-time clock and CMOS memory (Motorola MC146818A)",
    .size = sizeof(struct mc146818),
    .fields = mc146818_fields,
    .outputs = mc146818_outputs,
    .port_ops = &mc146818_port_ops,
    .init = mc146818_init,
    .reset = mc146818_reset,
    .loaded = mc146818_loaded,
};
