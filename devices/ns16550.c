/* ns16550.c - serial port with FIFOs, as in the National Semiconductor NS16550AF data sheet (PC16550D, June 1995,
 * TL/C/8652).
 *
 * Registers 0 to 7. Output "irq", gated by MCR's OUT2 as on a PC. Property "sink" (pointer to struct byte_sink): where
 * transmitted bytes go; with it CTS, DSR and DCD are asserted, without it nothing is connected.
 *
 * A character takes its true time on the line, from the divisor and the format, in guest time: the transmit holding
 * register empties when the shift register takes its byte. The crystal is the PC's 1.8432 MHz. With the property
 * "fast_line" (number, not 0) a character takes at most a microsecond, as on a line that is as fast as its other end;
 * loopback keeps its true time, since guests measure it.
 * Not implemented: DMA mode signals, sending breaks, and parity or framing errors of received bytes (there are none). */
#include "devices/ns16550.h"

#include "devices/backend.h"

#include <string.h>

enum {
    REG_DATA = 0, /* RBR and THR; divisor low byte while DLAB is set */
    REG_IER = 1,  /* divisor high byte while DLAB is set */
    REG_IIR = 2,  /* writes FCR */
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCR = 7,

    IER_RECEIVED = 0x01,
    IER_TRANSMIT = 0x02,
    IER_LINE = 0x04,
    IER_MODEM = 0x08,
    IER_MASK = 0x0f,

    IIR_MODEM = 0x00,
    IIR_NONE = 0x01,
    IIR_TRANSMIT = 0x02,
    IIR_RECEIVED = 0x04,
    IIR_LINE = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 0x01,
    FCR_CLEAR_RX = 0x02,
    FCR_CLEAR_TX = 0x04,
    FCR_KEPT = 0xc9,
    FCR_TRIGGER_SHIFT = 6,

    LCR_WORD_LENGTH = 0x03,
    LCR_TWO_STOP = 0x04,
    LCR_PARITY = 0x08,
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10,
    MCR_MASK = 0x1f,

    LSR_DR = 0x01,
    LSR_OE = 0x02,
    LSR_FE = 0x08,
    LSR_BI = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80,

    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
    MSR_TERI = 0x04,

    FIFO_BYTES = 16,
    CRYSTAL_HZ = 1843200,
    TIMEOUT_CHARACTERS = 4,
    FAST_CHARACTER_NS = 1000,
};

struct fifo {
    uint8_t bytes[FIFO_BYTES];
    uint8_t errors[FIFO_BYTES];
    uint8_t head;
    uint8_t count;
};

struct ns16550 {
    struct device dev;
    struct irq irq;
    const struct byte_sink *sink;
    struct event transmit;
    struct event timeout;
    uint64_t line_free_ns;
    struct fifo rx;
    struct fifo tx;
    uint16_t divisor;
    uint8_t shift;
    uint8_t ier;
    uint8_t fcr;
    uint8_t lcr;
    uint8_t mcr;
    uint8_t line_errors;
    uint8_t modem_deltas;
    uint8_t scr;
    uint8_t rbr;
    bool is_shifting;
    bool is_transmit_pending;
    bool is_timed_out;
    bool has_fast_line;
    uint8_t pad_[5];
};

static const struct field fifo_fields[] = {
    FIELD(struct fifo, bytes, "oldest at head"),
    FIELD(struct fifo, errors, "LSR error bits that came with the byte"),
    FIELD(struct fifo, head, NULL),
    FIELD(struct fifo, count, NULL),
    FIELD_END,
};

#define S struct ns16550
static const struct field ns16550_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, irq, NULL),
    WIRED(S, sink, "where transmitted bytes go"),
    FIELD_EVENT(S, transmit, "the shift register has sent its character"),
    FIELD_EVENT(S, timeout, "received characters have waited for four character times"),
    FIELD(S, line_free_ns, "guest time at which the next character may arrive"),
    FIELD_STRUCT(S, rx, struct fifo, fifo_fields, "receiver FIFO, or the one byte of RBR"),
    FIELD_STRUCT(S, tx, struct fifo, fifo_fields, "transmitter FIFO, or the one byte of THR"),
    FIELD(S, divisor, "divisor latch"),
    FIELD(S, shift, "transmitter shift register"),
    FIELD(S, ier, "interrupt enable register"),
    FIELD(S, fcr, "FIFO control register"),
    FIELD(S, lcr, "line control register"),
    FIELD(S, mcr, "modem control register"),
    FIELD(S, line_errors, "error bits of LSR not yet read"),
    FIELD(S, modem_deltas, "delta bits of MSR not yet read"),
    FIELD(S, scr, "scratch register"),
    FIELD(S, rbr, "byte that was read last"),
    FIELD(S, is_shifting, "the shift register is busy"),
    FIELD(S, is_transmit_pending, "THRE interrupt not yet acknowledged"),
    FIELD(S, is_timed_out, "character time-out interrupt"),
    WIRED(S, has_fast_line, "a character takes at most a microsecond"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* ---- FIFOs; without FCR_ENABLE they are one byte deep ---- */

static bool ns16550_has_fifos(const struct ns16550 *uart)
{
    return (uart->fcr & FCR_ENABLE) != 0;
}

static unsigned ns16550_depth(const struct ns16550 *uart)
{
    return ns16550_has_fifos(uart) ? FIFO_BYTES : 1;
}

static void fifo_clear(struct fifo *fifo)
{
    memset(fifo, 0, sizeof *fifo);
}

static void fifo_put(struct fifo *fifo, uint8_t byte, uint8_t errors)
{
    if (fifo->count < FIFO_BYTES) {
        unsigned at = ((unsigned)fifo->head + fifo->count) % FIFO_BYTES;
        fifo->bytes[at] = byte;
        fifo->errors[at] = errors;
        fifo->count++;
    }
}

static uint8_t fifo_take(struct fifo *fifo)
{
    uint8_t byte = fifo->bytes[fifo->head];

    fifo->errors[fifo->head] = 0;
    fifo->head = (uint8_t)((fifo->head + 1u) % FIFO_BYTES);
    fifo->count--;
    return byte;
}

/* ---- Time on the line ---- */

/* Start bit, data, parity, stop bits; half bits count, so in units of half a bit. */
static uint64_t ns16550_character_ns(const struct ns16550 *uart)
{
    unsigned data = 5u + (uart->lcr & LCR_WORD_LENGTH);
    unsigned stop = !(uart->lcr & LCR_TWO_STOP) ? 2u : data == 5 ? 3u : 4u;
    unsigned half_bits = 2 * (1 + data + (uart->lcr & LCR_PARITY ? 1u : 0u)) + stop;
    uint64_t divisor = uart->divisor ? uart->divisor : 65536;
    uint64_t character_ns = half_bits * divisor * 8 * NS_PER_SECOND / CRYSTAL_HZ;

    return uart->has_fast_line && !(uart->mcr & MCR_LOOP) && character_ns > FAST_CHARACTER_NS ? FAST_CHARACTER_NS
                                                                                              : character_ns;
}

/* ---- Registers that are functions of state ---- */

static uint8_t ns16550_lsr(const struct ns16550 *uart)
{
    unsigned lsr = uart->line_errors;

    if (uart->rx.count) {
        lsr |= LSR_DR;
    }
    if (!uart->tx.count) {
        lsr |= LSR_THRE | (uart->is_shifting ? 0u : (unsigned)LSR_TEMT);
    }
    if (ns16550_has_fifos(uart)) {
        unsigned errors = uart->line_errors & ~(unsigned)LSR_OE;
        for (unsigned n = 0; n < FIFO_BYTES; n++) {
            errors |= uart->rx.errors[n];
        }
        lsr |= errors ? (unsigned)LSR_FIFO_ERROR : 0u;
    }
    return (uint8_t)lsr;
}

/* The modem inputs; in loopback they are the modem outputs. */
static uint8_t ns16550_modem_lines(const struct ns16550 *uart)
{
    unsigned lines = 0;

    if (!(uart->mcr & MCR_LOOP)) {
        return uart->sink ? MSR_CTS | MSR_DSR | MSR_DCD : 0;
    }
    lines |= uart->mcr & MCR_RTS ? (unsigned)MSR_CTS : 0u;
    lines |= uart->mcr & MCR_DTR ? (unsigned)MSR_DSR : 0u;
    lines |= uart->mcr & MCR_OUT1 ? (unsigned)MSR_RI : 0u;
    lines |= uart->mcr & MCR_OUT2 ? (unsigned)MSR_DCD : 0u;
    return (uint8_t)lines;
}

static bool ns16550_is_triggered(const struct ns16550 *uart)
{
    static const uint8_t triggers[] = {1, 4, 8, 14};
    unsigned trigger = ns16550_has_fifos(uart) ? triggers[uart->fcr >> FCR_TRIGGER_SHIFT] : 1u;

    return uart->rx.count >= trigger;
}

/* The pending interrupt of highest priority (data sheet, table "Interrupt control functions"). */
static uint8_t ns16550_iir(const struct ns16550 *uart)
{
    if ((uart->ier & IER_LINE) && uart->line_errors) {
        return IIR_LINE;
    }
    if ((uart->ier & IER_RECEIVED) && ns16550_is_triggered(uart)) {
        return IIR_RECEIVED;
    }
    if ((uart->ier & IER_RECEIVED) && uart->is_timed_out) {
        return IIR_TIMEOUT;
    }
    if ((uart->ier & IER_TRANSMIT) && uart->is_transmit_pending) {
        return IIR_TRANSMIT;
    }
    if ((uart->ier & IER_MODEM) && uart->modem_deltas) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void ns16550_update_irq(struct ns16550 *uart)
{
    irq_set(&uart->irq, (uart->mcr & MCR_OUT2) && ns16550_iir(uart) != IIR_NONE);
}

/* ---- Receiver ---- */

static void ns16550_restart_timeout(struct ns16550 *uart)
{
    uart->is_timed_out = false;
    if (ns16550_has_fifos(uart) && uart->rx.count) {
        event_at(&uart->timeout,
                 clock_now(uart->dev.clock) + TIMEOUT_CHARACTERS * ns16550_character_ns(uart));
    } else {
        event_cancel(&uart->timeout);
    }
}

static void ns16550_timed_out(void *owner)
{
    struct ns16550 *uart = owner;

    event_cancel(&uart->timeout);
    uart->is_timed_out = uart->rx.count != 0;
    ns16550_update_irq(uart);
}

/* The error bits of a character show in LSR once it is the next to be read. */
static void ns16550_reveal_errors(struct ns16550 *uart)
{
    if (uart->rx.count) {
        uart->line_errors |= uart->rx.errors[uart->rx.head];
        uart->rx.errors[uart->rx.head] = 0;
    }
}

static void ns16550_accept(struct ns16550 *uart, uint8_t byte, uint8_t errors)
{
    if (uart->rx.count < ns16550_depth(uart)) {
        fifo_put(&uart->rx, byte, errors);
    } else {
        uart->line_errors |= LSR_OE;
        if (!ns16550_has_fifos(uart)) { /* the new character destroys the old one */
            fifo_clear(&uart->rx);
            fifo_put(&uart->rx, byte, errors);
        }
    }
    ns16550_reveal_errors(uart);
    ns16550_restart_timeout(uart);
    ns16550_update_irq(uart);
}

bool ns16550_can_receive(const struct device *dev)
{
    const struct ns16550 *uart = (const struct ns16550 *)dev;

    return uart->rx.count < ns16550_depth(uart) && !(uart->mcr & MCR_LOOP) &&
           clock_now(dev->clock) >= uart->line_free_ns;
}

uint64_t ns16550_receive_ready_ns(const struct device *dev)
{
    return ((const struct ns16550 *)dev)->line_free_ns;
}

static void ns16550_receive_from_line(struct ns16550 *uart, uint8_t byte, uint8_t errors)
{
    uart->line_free_ns = clock_now(uart->dev.clock) + ns16550_character_ns(uart);
    if (!(uart->mcr & MCR_LOOP)) { /* loopback disconnects the input */
        ns16550_accept(uart, byte, errors);
    }
}

void ns16550_receive(struct device *dev, uint8_t byte)
{
    ns16550_receive_from_line((struct ns16550 *)dev, byte, 0);
}

void ns16550_receive_break(struct device *dev)
{
    ns16550_receive_from_line((struct ns16550 *)dev, 0, LSR_BI | LSR_FE);
}

static uint8_t ns16550_read_rbr(struct ns16550 *uart)
{
    if (uart->rx.count) {
        uart->rbr = fifo_take(&uart->rx);
        ns16550_reveal_errors(uart);
        ns16550_restart_timeout(uart);
        ns16550_update_irq(uart);
    }
    return uart->rbr;
}

/* ---- Transmitter ---- */

/* Moves the next character into the shift register; it leaves the chip then and lasts its time. */
static void ns16550_shift_next(struct ns16550 *uart)
{
    uart->shift = fifo_take(&uart->tx);
    uart->is_shifting = true;
    if (!uart->tx.count) {
        uart->is_transmit_pending = true;
    }
    event_at(&uart->transmit, clock_now(uart->dev.clock) + ns16550_character_ns(uart));
    if (!(uart->mcr & MCR_LOOP) && uart->sink) {
        uart->sink->put(uart->sink->context, uart->shift);
    }
}

static void ns16550_transmitted(void *owner)
{
    struct ns16550 *uart = owner;

    event_cancel(&uart->transmit);
    uart->is_shifting = false;
    if (uart->mcr & MCR_LOOP) {
        ns16550_accept(uart, uart->shift, 0);
    }
    if (uart->tx.count) {
        ns16550_shift_next(uart);
    }
    ns16550_update_irq(uart);
}

static void ns16550_write_thr(struct ns16550 *uart, uint8_t byte)
{
    uart->is_transmit_pending = false;
    if (!ns16550_has_fifos(uart)) {
        fifo_clear(&uart->tx); /* an unsent character is overwritten */
    }
    fifo_put(&uart->tx, byte, 0);
    if (!uart->is_shifting) {
        ns16550_shift_next(uart);
    }
}

/* ---- Registers ---- */

static void ns16550_write_ier(struct ns16550 *uart, uint8_t value)
{
    value &= IER_MASK;
    if ((value & ~uart->ier & IER_TRANSMIT) && !uart->tx.count) {
        uart->is_transmit_pending = true; /* enabling the interrupt while THRE is set raises it */
    }
    uart->ier = value;
}

static void ns16550_write_fcr(struct ns16550 *uart, uint8_t value)
{
    bool has_changed = ((value ^ uart->fcr) & FCR_ENABLE) != 0;

    /* "Bit 0 must be 1 when other FCR bits are written or they will not be programmed"; its change clears the FIFOs. */
    if (has_changed || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX))) {
        fifo_clear(&uart->rx);
        uart->is_timed_out = false;
        event_cancel(&uart->timeout);
    }
    if (has_changed || ((value & FCR_ENABLE) && (value & FCR_CLEAR_TX))) {
        if (uart->tx.count) {
            uart->is_transmit_pending = true;
        }
        fifo_clear(&uart->tx);
    }
    uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

static void ns16550_write_mcr(struct ns16550 *uart, uint8_t value)
{
    uint8_t before = ns16550_modem_lines(uart);

    uart->mcr = value & MCR_MASK;
    uint8_t after = ns16550_modem_lines(uart);
    unsigned changed = (unsigned)(before ^ after) >> 4 & ~(unsigned)MSR_TERI;
    if (before & ~after & MSR_RI) {
        changed |= MSR_TERI; /* the trailing edge of RI only */
    }
    uart->modem_deltas = (uint8_t)(uart->modem_deltas | changed);
}

static void ns16550_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct ns16550 *uart = owner;
    uint8_t byte = (uint8_t)value;
    bool is_dlab = (uart->lcr & LCR_DLAB) != 0;

    (void)size;
    switch (reg) {
    case REG_DATA:
        if (is_dlab) {
            uart->divisor = (uint16_t)((uart->divisor & 0xff00) | byte);
        } else {
            ns16550_write_thr(uart, byte);
        }
        break;
    case REG_IER:
        if (is_dlab) {
            uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | byte << 8);
        } else {
            ns16550_write_ier(uart, byte);
        }
        break;
    case REG_IIR:
        ns16550_write_fcr(uart, byte);
        break;
    case REG_LCR:
        uart->lcr = byte;
        break;
    case REG_MCR:
        ns16550_write_mcr(uart, byte);
        break;
    case REG_SCR:
        uart->scr = byte;
        break;
    default:
        break; /* LSR and MSR are meant for reading */
    }
    ns16550_update_irq(uart);
}

static uint8_t ns16550_read_iir(struct ns16550 *uart)
{
    uint8_t iir = ns16550_iir(uart);

    if (iir == IIR_TRANSMIT) { /* reading it is the acknowledge */
        uart->is_transmit_pending = false;
        ns16550_update_irq(uart);
    }
    return (uint8_t)(iir | (ns16550_has_fifos(uart) ? IIR_FIFOS : 0));
}

static uint32_t ns16550_read(void *owner, unsigned reg, unsigned size)
{
    struct ns16550 *uart = owner;
    bool is_dlab = (uart->lcr & LCR_DLAB) != 0;
    uint8_t value;

    (void)size;
    switch (reg) {
    case REG_DATA:
        return is_dlab ? uart->divisor & 0xffu : ns16550_read_rbr(uart);
    case REG_IER:
        return is_dlab ? (unsigned)uart->divisor >> 8 : uart->ier;
    case REG_IIR:
        return ns16550_read_iir(uart);
    case REG_LCR:
        return uart->lcr;
    case REG_MCR:
        return uart->mcr;
    case REG_LSR:
        value = ns16550_lsr(uart);
        uart->line_errors = 0;
        ns16550_update_irq(uart);
        return value;
    case REG_MSR:
        value = (uint8_t)(ns16550_modem_lines(uart) | uart->modem_deltas);
        uart->modem_deltas = 0;
        ns16550_update_irq(uart);
        return value;
    case REG_SCR:
        return uart->scr;
    default:
        return 0xff;
    }
}

static bool ns16550_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct ns16550 *uart = (struct ns16550 *)dev;
    const struct property *sink = property_find(properties, "sink");
    const struct property *fast_line = property_find(properties, "fast_line");

    (void)err;
    uart->sink = sink ? sink->pointer : NULL;
    uart->has_fast_line = fast_line && fast_line->number;
    event_init(&uart->transmit, dev->clock, ns16550_transmitted, uart);
    event_init(&uart->timeout, dev->clock, ns16550_timed_out, uart);
    return true;
}

/* Master reset (data sheet, table "UART reset configuration"). The divisor is undefined there; 12 is 9600 baud. */
static void ns16550_reset(struct device *dev)
{
    struct ns16550 *uart = (struct ns16550 *)dev;

    event_cancel(&uart->transmit);
    event_cancel(&uart->timeout);
    fifo_clear(&uart->rx);
    fifo_clear(&uart->tx);
    uart->line_free_ns = 0;
    uart->divisor = 12;
    uart->shift = 0;
    uart->ier = 0;
    uart->fcr = 0;
    uart->lcr = 0;
    uart->mcr = 0;
    uart->line_errors = 0;
    uart->modem_deltas = 0;
    uart->scr = 0;
    uart->rbr = 0;
    uart->is_shifting = false;
    uart->is_transmit_pending = false;
    uart->is_timed_out = false;
    ns16550_update_irq(uart);
}

static void ns16550_loaded(struct device *dev)
{
    struct ns16550 *uart = (struct ns16550 *)dev;
    struct fifo *fifos[2] = {&uart->rx, &uart->tx};

    for (unsigned n = 0; n < 2; n++) {
        fifos[n]->head %= FIFO_BYTES;
        fifos[n]->count = fifos[n]->count > FIFO_BYTES ? FIFO_BYTES : fifos[n]->count;
    }
}

static const struct output ns16550_outputs[] = {{"irq", offsetof(struct ns16550, irq), 0}, {NULL, 0, 0}};
static const struct port_ops ns16550_port_ops = {ns16550_read, ns16550_write, 1};

const struct device_class ns16550_class = {
    .name = "ns16550",
    .doc = "serial port (National NS16550AF)",
    .size = sizeof(struct ns16550),
    .fields = ns16550_fields,
    .outputs = ns16550_outputs,
    .port_ops = &ns16550_port_ops,
    .init = ns16550_init,
    .reset = ns16550_reset,
    .loaded = ns16550_loaded,
};
