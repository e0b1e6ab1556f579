/* i82077.c - floppy disk controller, Intel 82077AA (datasheet, May 1994, 290166-007), in PC AT mode, with up to two drives.
 *
 * Registers are numbered like their ports less 3F0h: 2 DOR, 3 TDR, 4 MSR and DSR, 5 FIFO, 7 DIR and CCR. Output "irq", and
 * "dreq" while a transfer waits for the DMA controller. Properties: "dma" (pointer to the 8237 whose channel 2 it uses),
 * "floppy0" and "floppy1" (pointer to a struct block_backend, of 0 sectors for an empty drive; missing: no drive).
 *
 * Time is shortened: a sector takes 0.2 ms instead of 8 to 22 ms, a seek 0.5 ms, whatever SPECIFY says, so that nobody waits
 * for a disk to turn. Drives take disks of every format of their media at the right data rate; a sector is 512 bytes.
 *
 * Not implemented: SCAN commands, tape and power down modes (82077 answers them; here they are invalid commands or
 * ignored), sector sizes other than 512 bytes, deleted data marks (all data is ordinary), overruns. */
#include "devices/i82077.h"
#include "devices/i8237.h"

#include <string.h>

enum {
    REG_STATUS_A = 0,
    REG_STATUS_B = 1,
    REG_DOR = 2,
    REG_TDR = 3,
    REG_MSR = 4, /* written: DSR */
    REG_FIFO = 5,
    REG_DIR = 7, /* written: CCR */

    DOR_SELECT = 0x03,
    DOR_NRESET = 0x04,
    DOR_DMA_GATE = 0x08,
    DOR_MOTOR_0 = 0x10,

    MSR_BUSY = 0x10,
    MSR_NON_DMA = 0x20,
    MSR_DIO = 0x40,
    MSR_RQM = 0x80,

    DSR_RESET = 0x80,
    RATE_MASK = 0x03,
    DIR_CHANGED = 0x80,

    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_POLLING = 0xc0, /* the ready line changed: what a reset leaves */
    ST0_SEEK_END = 0x20,
    ST0_EQUIPMENT_CHECK = 0x10,
    ST1_END_OF_CYLINDER = 0x80,
    ST1_DATA_ERROR = 0x20,
    ST1_NO_DATA = 0x04,
    ST1_NOT_WRITABLE = 0x02,
    ST1_MISSING_ADDRESS = 0x01,
    ST2_WRONG_CYLINDER = 0x10,
    ST3_WRITE_PROTECTED = 0x40,
    ST3_TRACK_0 = 0x10,
    ST3_ALWAYS = 0x28,

    CONFIGURE_IMPLIED_SEEK = 0x40,
    CONFIGURE_NO_FIFO = 0x20,
    CONFIGURE_NO_POLL = 0x10,
    PERPENDICULAR_OVERWRITE = 0x80,

    SIZE_512 = 2, /* N of a sector's header */
    DMA_CHANNEL = 2,
    CYLINDERS_MAX = 79,
};

/* How long things take, in ns of guest time. */
enum { RESET_NS = 20000, SEEK_NS = 500000, SECTOR_NS = 200000, RETRY_NS = 20000 };

enum phase { PHASE_COMMAND, PHASE_EXECUTION, PHASE_RESULT };

/* What is being executed. */
enum work { WORK_NONE, WORK_READ, WORK_WRITE, WORK_VERIFY, WORK_FORMAT, WORK_READ_ID, WORK_FAIL };

struct floppy_drive {
    struct block_backend *medium;
    uint8_t cylinder;    /* where the head is: the PCN of SENSE INTERRUPT STATUS */
    uint8_t seek_target;
    uint8_t seek_status; /* ST0 that waits for SENSE INTERRUPT STATUS */
    bool is_seeking;
    bool has_status;
    bool is_changed; /* the disk change line */
    uint8_t is_there; /* wired: there is such a drive */
    uint8_t pad_;
};

struct i82077 {
    struct device dev;
    struct irq irq;
    struct irq dreq;
    struct device *dma;
    struct event seek_end;
    struct event work_step;
    struct floppy_drive drives[4];
    uint64_t sector;    /* of the transfer, on the disk */
    uint8_t command[16];
    uint8_t result[16];
    uint8_t buffer[SECTOR_SIZE];
    uint16_t buffer_at; /* bytes of the sector that were moved */
    uint8_t command_at, result_at, result_count;
    uint8_t phase, work;
    uint8_t dor, tdr, rate;
    uint8_t specify[2];
    uint8_t configure, precompensation, perpendicular;
    bool is_locked;
    bool is_interrupting;
    bool is_buffer_full;     /* a read: the sector is in the buffer */
    uint8_t c, h, r;         /* where the transfer is */
    uint8_t status[3];       /* ST0 to ST2 of the work */
    uint8_t verify_left;     /* sectors of a VERIFY with a count */
    uint8_t format_left;
    uint8_t next_id;         /* READ ID: the header that passes next */
    uint8_t pad_[5];
};

static const struct field floppy_drive_fields[] = {
    WIRED(struct floppy_drive, medium, "disk image"),
    FIELD(struct floppy_drive, cylinder, "where the head is"),
    FIELD(struct floppy_drive, seek_target, NULL),
    FIELD(struct floppy_drive, seek_status, "ST0 that waits for SENSE INTERRUPT STATUS"),
    FIELD(struct floppy_drive, is_seeking, NULL),
    FIELD(struct floppy_drive, has_status, NULL),
    FIELD(struct floppy_drive, is_changed, "disk change line"),
    WIRED(struct floppy_drive, is_there, "there is such a drive"),
    PAD(struct floppy_drive, pad_),
    FIELD_END,
};

#define S struct i82077
static const struct field i82077_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, irq, "IRQ 6"),
    WIRED(S, dreq, "request to DMA channel 2"),
    WIRED(S, dma, "the DMA controller"),
    FIELD_EVENT(S, seek_end, "drives that seek arrive"),
    FIELD_EVENT(S, work_step, "the next sector, or the end of a reset"),
    FIELD_STRUCT(S, drives, struct floppy_drive, floppy_drive_fields, NULL),
    FIELD(S, sector, "of the transfer, on the disk"),
    FIELD(S, command, "command bytes"),
    FIELD(S, result, "result bytes"),
    FIELD(S, buffer, "one sector"),
    FIELD(S, buffer_at, "bytes of it that were moved"),
    FIELD(S, command_at, NULL),
    FIELD(S, result_at, NULL),
    FIELD(S, result_count, NULL),
    FIELD(S, phase, "command, execution, result"),
    FIELD(S, work, "what is executed"),
    FIELD(S, dor, "digital output register"),
    FIELD(S, tdr, "tape drive register"),
    FIELD(S, rate, "data rate code"),
    FIELD(S, specify, "step rate, head times, non-DMA"),
    FIELD(S, configure, "implied seek, FIFO, polling"),
    FIELD(S, precompensation, NULL),
    FIELD(S, perpendicular, NULL),
    FIELD(S, is_locked, "a reset keeps CONFIGURE's settings"),
    FIELD(S, is_interrupting, NULL),
    FIELD(S, is_buffer_full, NULL),
    FIELD(S, c, "cylinder of the transfer"),
    FIELD(S, h, "head"),
    FIELD(S, r, "sector of the track, from 1"),
    FIELD(S, status, "ST0 to ST2"),
    FIELD(S, verify_left, NULL),
    FIELD(S, format_left, NULL),
    FIELD(S, next_id, "READ ID: which header passes"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* ---- Disks ---- */

const struct floppy_format *i82077_find_format(uint64_t sectors)
{
    static const struct floppy_format formats[] = {
        {320, 40, 1, 8, 2},   {360, 40, 1, 9, 2},   {640, 40, 2, 8, 2},   {720, 40, 2, 9, 2},   {1440, 80, 2, 9, 2},
        {2400, 80, 2, 15, 0}, {2880, 80, 2, 18, 0}, {3360, 80, 2, 21, 0}, {3444, 82, 2, 21, 0}, {5760, 80, 2, 36, 3},
    };

    for (unsigned n = 0; n < sizeof formats / sizeof formats[0]; n++) {
        if (formats[n].sectors == sectors) {
            return &formats[n];
        }
    }
    return NULL;
}

static const struct floppy_format *format_of(const struct floppy_drive *drive)
{
    return drive->medium != NULL ? i82077_find_format(drive->medium->sectors) : NULL;
}

/* Low density disks turn at 250 kbit/s, or at 300 in a drive for 1.2 MB. */
static bool is_rate_right(const struct i82077 *fdc, const struct floppy_format *format)
{
    return fdc->rate == format->rate || (format->rate == 2 && fdc->rate == 1);
}

static struct floppy_drive *drive_of(struct i82077 *fdc)
{
    return &fdc->drives[fdc->command[1] & 3];
}

/* ---- Outputs ---- */

static void update_irq(struct i82077 *fdc)
{
    irq_set(&fdc->irq, fdc->is_interrupting && (fdc->dor & DOR_DMA_GATE) != 0);
}

static void interrupt(struct i82077 *fdc)
{
    fdc->is_interrupting = true;
    update_irq(fdc);
}

static void calm(struct i82077 *fdc)
{
    fdc->is_interrupting = false;
    update_irq(fdc);
}

static bool is_non_dma(const struct i82077 *fdc)
{
    return (fdc->specify[1] & 1) != 0;
}

static void to_command_phase(struct i82077 *fdc)
{
    fdc->phase = PHASE_COMMAND;
    fdc->work = WORK_NONE;
    fdc->command_at = fdc->result_at = fdc->result_count = 0;
}

static void to_result_phase(struct i82077 *fdc, unsigned count)
{
    fdc->phase = PHASE_RESULT;
    fdc->work = WORK_NONE;
    fdc->result_at = 0;
    fdc->result_count = (uint8_t)count;
    irq_set(&fdc->dreq, false);
}

/* ---- Transfers ---- */

/* ST0 to ST2, C, H, R, N: the end of everything that touches a disk ("Result Phase"). */
static void finish(struct i82077 *fdc)
{
    fdc->result[0] = (uint8_t)(fdc->status[0] | (fdc->h & 1) << 2 | (fdc->command[1] & 3));
    fdc->result[1] = fdc->status[1];
    fdc->result[2] = fdc->status[2];
    fdc->result[3] = fdc->c;
    fdc->result[4] = fdc->h;
    fdc->result[5] = fdc->r;
    fdc->result[6] = SIZE_512;
    event_cancel(&fdc->work_step);
    to_result_phase(fdc, 7);
    interrupt(fdc);
}

static void fail(struct i82077 *fdc, unsigned st1, unsigned st2)
{
    fdc->status[0] = ST0_ABNORMAL;
    fdc->status[1] |= (uint8_t)st1;
    fdc->status[2] |= (uint8_t)st2;
    finish(fdc);
}

static bool is_multi_track(const struct i82077 *fdc)
{
    return (fdc->command[0] & 0x80) != 0;
}

/* To the next sector ("Table 5-5: Sector IDs after a transfer"). True at the end of the cylinder. */
static bool advance(struct i82077 *fdc)
{
    uint8_t end = fdc->command[6];

    if (fdc->r != end) {
        fdc->r++;
        fdc->sector++;
        return false;
    }
    fdc->r = 1;
    if (is_multi_track(fdc) && (fdc->h & 1) == 0) {
        fdc->h |= 1;
        const struct floppy_format *format = format_of(drive_of(fdc));
        fdc->sector += format != NULL ? (uint64_t)format->per_track - end + 1u : 1u;
        return false;
    }
    if (is_multi_track(fdc)) {
        fdc->h &= 0xfe;
    }
    fdc->c++;
    return true;
}

/* Whether the sector that C, H, R name is under the head. Otherwise the command has ended. */
static bool find_sector(struct i82077 *fdc)
{
    struct floppy_drive *drive = drive_of(fdc);
    const struct floppy_format *format = format_of(drive);

    if (format == NULL || !is_rate_right(fdc, format) || (fdc->h & 1) >= format->heads ||
        drive->cylinder >= format->cylinders) {
        fail(fdc, ST1_MISSING_ADDRESS, 0);
        return false;
    }
    if (fdc->c != drive->cylinder) {
        fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER);
        return false;
    }
    if (fdc->r == 0 || fdc->r > format->per_track || fdc->command[5] != SIZE_512) {
        fail(fdc, ST1_NO_DATA, 0);
        return false;
    }
    fdc->sector = ((uint64_t)fdc->c * format->heads + (fdc->h & 1)) * format->per_track + fdc->r - 1u;
    return true;
}

static bool read_sector(struct i82077 *fdc)
{
    const struct block_backend *medium = drive_of(fdc)->medium;

    if (!find_sector(fdc)) {
        return false;
    }
    if (!medium->read(medium->context, fdc->sector, 1, fdc->buffer)) {
        fail(fdc, ST1_DATA_ERROR, 0);
        return false;
    }
    fdc->is_buffer_full = true;
    return true;
}

static bool write_sector(struct i82077 *fdc)
{
    const struct block_backend *medium = drive_of(fdc)->medium;

    if (medium == NULL || medium->is_readonly) { /* taken out in the middle: nothing there */
        fail(fdc, medium == NULL ? ST1_MISSING_ADDRESS : ST1_NOT_WRITABLE, 0);
        return false;
    }
    if (!medium->write(medium->context, fdc->sector, 1, fdc->buffer)) {
        fail(fdc, ST1_DATA_ERROR, 0);
        return false;
    }
    return true;
}

/* The sector is done: the next one, or the end. */
static void sector_done(struct i82077 *fdc, bool is_terminal_count)
{
    fdc->buffer_at = 0;
    fdc->is_buffer_full = false;
    bool is_end = advance(fdc);
    if (is_terminal_count) {
        finish(fdc);
    } else if (is_end) { /* nobody said stop: "End of Cylinder" */
        fail(fdc, ST1_END_OF_CYLINDER, 0);
    } else {
        event_at(&fdc->work_step, clock_now(fdc->dev.clock) + SECTOR_NS);
    }
}

/* Moves what is left of the sector through the DMA controller; false: it is not ready yet. */
static bool move(struct i82077 *fdc, enum dma_direction direction, bool *is_terminal_count)
{
    unsigned left = (unsigned)(SECTOR_SIZE - fdc->buffer_at);

    irq_set(&fdc->dreq, true);
    if (fdc->dma == NULL || !i8237_is_ready(fdc->dma, DMA_CHANNEL)) {
        return false;
    }
    unsigned moved = i8237_transfer(fdc->dma, DMA_CHANNEL, fdc->buffer + fdc->buffer_at, left, direction);
    fdc->buffer_at = (uint16_t)(fdc->buffer_at + moved);
    *is_terminal_count = i8237_has_terminal_count(fdc->dma, DMA_CHANNEL);
    return *is_terminal_count || fdc->buffer_at == SECTOR_SIZE;
}

static void step_read(struct i82077 *fdc)
{
    bool is_terminal_count = false;

    if (!fdc->is_buffer_full && !read_sector(fdc)) {
        return;
    }
    if (is_non_dma(fdc)) {
        interrupt(fdc); /* bytes wait in the FIFO */
    } else if (move(fdc, DMA_TO_MEMORY, &is_terminal_count)) {
        sector_done(fdc, is_terminal_count);
    } else {
        event_at(&fdc->work_step, clock_now(fdc->dev.clock) + RETRY_NS);
    }
}

static void write_done(struct i82077 *fdc, bool is_terminal_count)
{
    memset(fdc->buffer + fdc->buffer_at, 0, (size_t)(SECTOR_SIZE - fdc->buffer_at)); /* cut off: the rest is zeros */
    if (write_sector(fdc)) {
        sector_done(fdc, is_terminal_count);
    }
}

static void step_write(struct i82077 *fdc)
{
    bool is_terminal_count = false;

    if (!find_sector(fdc)) {
        return;
    }
    if (drive_of(fdc)->medium->is_readonly) {
        fail(fdc, ST1_NOT_WRITABLE, 0);
    } else if (is_non_dma(fdc)) {
        interrupt(fdc);
    } else if (move(fdc, DMA_FROM_MEMORY, &is_terminal_count)) {
        write_done(fdc, is_terminal_count);
    } else {
        event_at(&fdc->work_step, clock_now(fdc->dev.clock) + RETRY_NS);
    }
}

static void step_verify(struct i82077 *fdc)
{
    if (!find_sector(fdc)) {
        return;
    }
    bool has_count = (fdc->command[1] & 0x80) != 0;
    sector_done(fdc, has_count ? --fdc->verify_left == 0 : fdc->r == fdc->command[6] && (!is_multi_track(fdc) || (fdc->h & 1)));
}

/* Four bytes, C H R N, for every sector of the track, which is filled with the command's byte. */
static void step_format(struct i82077 *fdc)
{
    struct floppy_drive *drive = drive_of(fdc);
    const struct floppy_format *format = format_of(drive);
    uint8_t id[4] = {0, 0, 0, SIZE_512};

    if (format == NULL || !is_rate_right(fdc, format) || (fdc->command[1] >> 2 & 1) >= format->heads ||
        drive->cylinder >= format->cylinders) {
        fail(fdc, ST1_MISSING_ADDRESS, 0);
        return;
    }
    if (drive->medium->is_readonly) {
        fail(fdc, ST1_NOT_WRITABLE, 0);
        return;
    }
    irq_set(&fdc->dreq, true);
    if (fdc->dma == NULL || i8237_transfer(fdc->dma, DMA_CHANNEL, id, 4, DMA_FROM_MEMORY) < 4) {
        if (fdc->dma != NULL && i8237_has_terminal_count(fdc->dma, DMA_CHANNEL)) {
            finish(fdc);
        } else {
            event_at(&fdc->work_step, clock_now(fdc->dev.clock) + RETRY_NS);
        }
        return;
    }
    memset(fdc->buffer, fdc->command[5], sizeof fdc->buffer);
    fdc->c = id[0];
    fdc->r = id[2];
    fdc->sector = ((uint64_t)drive->cylinder * format->heads + (fdc->command[1] >> 2 & 1)) * format->per_track + id[2] - 1u;
    if (id[2] != 0 && id[2] <= format->per_track && id[3] == SIZE_512 && !write_sector(fdc)) {
        return;
    }
    if (--fdc->format_left == 0) {
        finish(fdc);
    } else {
        event_at(&fdc->work_step, clock_now(fdc->dev.clock) + SECTOR_NS);
    }
}

static void step_read_id(struct i82077 *fdc)
{
    struct floppy_drive *drive = drive_of(fdc);
    const struct floppy_format *format = format_of(drive);

    fdc->c = drive->cylinder;
    if (format == NULL || !is_rate_right(fdc, format) || (fdc->h & 1) >= format->heads ||
        drive->cylinder >= format->cylinders) {
        fail(fdc, ST1_MISSING_ADDRESS, 0);
        return;
    }
    fdc->next_id = (uint8_t)(fdc->next_id % format->per_track + 1); /* the disk turns */
    fdc->r = fdc->next_id;
    finish(fdc);
}

/* ---- Reset ---- */

static void soft_reset(struct i82077 *fdc)
{
    to_command_phase(fdc);
    event_cancel(&fdc->seek_end);
    event_cancel(&fdc->work_step);
    fdc->buffer_at = 0;
    fdc->is_buffer_full = false;
    irq_set(&fdc->dreq, false);
    if (!fdc->is_locked) {
        fdc->configure = CONFIGURE_NO_FIFO;
        fdc->precompensation = 0;
    }
    fdc->perpendicular &= 0x3c; /* only OW and the drives' bits stay, "Software Reset" */
    for (unsigned n = 0; n < 4; n++) {
        fdc->drives[n].is_seeking = false;
        fdc->drives[n].has_status = false;
        fdc->drives[n].cylinder = 0; /* what the chip believes; the next RECALIBRATE makes it so */
    }
    calm(fdc);
}

/* The end of a reset: with polling on, all four drives report that their ready line changed. */
static void reset_done(struct i82077 *fdc)
{
    if (fdc->configure & CONFIGURE_NO_POLL) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        fdc->drives[n].seek_status = (uint8_t)(ST0_POLLING | n);
        fdc->drives[n].has_status = true;
    }
    interrupt(fdc);
}

static void work_step(void *owner)
{
    struct i82077 *fdc = owner;

    switch (fdc->work) {
    case WORK_READ: step_read(fdc); break;
    case WORK_WRITE: step_write(fdc); break;
    case WORK_VERIFY: step_verify(fdc); break;
    case WORK_FORMAT: step_format(fdc); break;
    case WORK_READ_ID: step_read_id(fdc); break;
    default: reset_done(fdc); break;
    }
}

static void seek_end(void *owner)
{
    struct i82077 *fdc = owner;

    for (unsigned n = 0; n < 4; n++) {
        struct floppy_drive *drive = &fdc->drives[n];
        if (!drive->is_seeking) {
            continue;
        }
        drive->is_seeking = false;
        drive->has_status = true;
        if (!drive->is_there) { /* track 0 never shows */
            drive->seek_status = (uint8_t)(ST0_ABNORMAL | ST0_SEEK_END | ST0_EQUIPMENT_CHECK | n);
            continue;
        }
        drive->seek_status = (uint8_t)(ST0_SEEK_END | drive->seek_status | n);
        if (drive->medium != NULL) { /* a step pulse with a disk in resets the line */
            drive->is_changed = false;
        }
        drive->cylinder = drive->seek_target;
    }
    interrupt(fdc);
}

/* ---- Commands ---- */

static void start_work(struct i82077 *fdc, enum work work)
{
    struct floppy_drive *drive = drive_of(fdc);

    fdc->phase = PHASE_EXECUTION;
    fdc->work = (uint8_t)work;
    fdc->c = fdc->command[2];
    fdc->h = fdc->command[3];
    fdc->r = fdc->command[4];
    fdc->buffer_at = 0;
    fdc->is_buffer_full = false;
    memset(fdc->status, 0, sizeof fdc->status);
    if ((fdc->configure & CONFIGURE_IMPLIED_SEEK) && work != WORK_FORMAT && work != WORK_READ_ID && drive->is_there &&
        drive->cylinder != fdc->c) {
        drive->cylinder = fdc->c <= CYLINDERS_MAX + 4 ? fdc->c : CYLINDERS_MAX + 4;
        drive->is_changed = drive->is_changed && drive->medium == NULL;
    }
    event_at(&fdc->work_step, clock_now(fdc->dev.clock) + SECTOR_NS);
}

static void run_read(struct i82077 *fdc)
{
    start_work(fdc, WORK_READ);
}

/* READ TRACK begins at the first sector whatever the command says. */
static void run_read_track(struct i82077 *fdc)
{
    start_work(fdc, WORK_READ);
    fdc->r = 1;
}

static void run_write(struct i82077 *fdc)
{
    start_work(fdc, WORK_WRITE);
}

static void run_verify(struct i82077 *fdc)
{
    start_work(fdc, WORK_VERIFY);
    fdc->verify_left = fdc->command[8];
}

static void run_format(struct i82077 *fdc)
{
    fdc->format_left = fdc->command[3];
    start_work(fdc, WORK_FORMAT);
    fdc->h = (uint8_t)(fdc->command[1] >> 2 & 1);
    fdc->c = fdc->r = 0;
}

static void run_read_id(struct i82077 *fdc)
{
    start_work(fdc, WORK_READ_ID);
    fdc->h = (uint8_t)(fdc->command[1] >> 2 & 1);
    fdc->r = 0;
}

static void begin_seek(struct i82077 *fdc, unsigned target)
{
    struct floppy_drive *drive = drive_of(fdc);

    drive->seek_target = (uint8_t)(target <= CYLINDERS_MAX + 4 ? target : CYLINDERS_MAX + 4);
    drive->seek_status = (uint8_t)(fdc->command[1] & 4);
    drive->is_seeking = true;
    drive->has_status = false;
    to_command_phase(fdc);
    event_at(&fdc->seek_end, clock_now(fdc->dev.clock) + SEEK_NS);
}

static void run_recalibrate(struct i82077 *fdc)
{
    begin_seek(fdc, 0);
}

static void run_seek(struct i82077 *fdc)
{
    begin_seek(fdc, fdc->command[2]);
}

static void run_relative_seek(struct i82077 *fdc)
{
    unsigned at = drive_of(fdc)->cylinder, by = fdc->command[2];
    bool is_inward = (fdc->command[0] & 0x40) != 0;

    begin_seek(fdc, is_inward ? at + by : at > by ? at - by : 0);
}

static void run_sense_interrupt(struct i82077 *fdc)
{
    calm(fdc);
    for (unsigned n = 0; n < 4; n++) {
        struct floppy_drive *drive = &fdc->drives[n];
        if (drive->has_status) {
            drive->has_status = false;
            fdc->result[0] = drive->seek_status;
            fdc->result[1] = drive->cylinder;
            to_result_phase(fdc, 2);
            for (unsigned k = n + 1; k < 4 && (drive->seek_status & ST0_POLLING) != ST0_POLLING; k++) {
                if (fdc->drives[k].has_status) {
                    interrupt(fdc); /* another drive arrived, too */
                }
            }
            return;
        }
    }
    fdc->result[0] = ST0_INVALID;
    to_result_phase(fdc, 1);
}

static void run_sense_drive(struct i82077 *fdc)
{
    const struct floppy_drive *drive = drive_of(fdc);
    bool is_protected = drive->medium != NULL && drive->medium->is_readonly;

    fdc->result[0] = (uint8_t)(ST3_ALWAYS | (fdc->command[1] & 7) | (is_protected ? ST3_WRITE_PROTECTED : 0) |
                               (drive->is_there && drive->cylinder == 0 ? ST3_TRACK_0 : 0));
    to_result_phase(fdc, 1);
}

static void run_specify(struct i82077 *fdc)
{
    memcpy(fdc->specify, fdc->command + 1, 2);
    to_command_phase(fdc);
}

static void run_configure(struct i82077 *fdc)
{
    fdc->configure = fdc->command[2] & 0x7f;
    fdc->precompensation = fdc->command[3];
    to_command_phase(fdc);
}

static void run_perpendicular(struct i82077 *fdc)
{
    uint8_t value = fdc->command[1];

    /* GAP and WGATE always; the drives' bits with OW only ("PERPENDICULAR MODE"). */
    fdc->perpendicular = (uint8_t)((value & PERPENDICULAR_OVERWRITE ? value & 0x3c : fdc->perpendicular & 0x3c) | (value & 3));
    to_command_phase(fdc);
}

static void run_lock(struct i82077 *fdc)
{
    fdc->is_locked = (fdc->command[0] & 0x80) != 0;
    fdc->result[0] = fdc->is_locked ? 0x10 : 0;
    to_result_phase(fdc, 1);
}

static void run_dump_registers(struct i82077 *fdc)
{
    for (unsigned n = 0; n < 4; n++) {
        fdc->result[n] = fdc->drives[n].cylinder;
    }
    memcpy(fdc->result + 4, fdc->specify, 2);
    fdc->result[6] = fdc->format_left != 0 ? fdc->format_left : fdc->verify_left;
    fdc->result[7] = (uint8_t)((fdc->is_locked ? 0x80 : 0) | fdc->perpendicular);
    fdc->result[8] = fdc->configure;
    fdc->result[9] = fdc->precompensation;
    to_result_phase(fdc, 10);
}

static void run_version(struct i82077 *fdc)
{
    fdc->result[0] = 0x90; /* an enhanced controller */
    to_result_phase(fdc, 1);
}

static void run_invalid(struct i82077 *fdc)
{
    fdc->result[0] = ST0_INVALID;
    to_result_phase(fdc, 1);
}

/* "Table 5-1: 82077AA Command Set". */
struct command {
    uint8_t code, mask;
    uint8_t bytes;
    void (*run)(struct i82077 *fdc);
};

static const struct command commands[] = {
    {0x06, 0x1f, 9, run_read},          {0x0c, 0x1f, 9, run_read},       {0x05, 0x3f, 9, run_write},
    {0x09, 0x3f, 9, run_write},         {0x02, 0x9f, 9, run_read_track}, {0x16, 0x1f, 9, run_verify},
    {0x0d, 0xbf, 6, run_format},        {0x0a, 0xbf, 2, run_read_id},    {0x07, 0xff, 2, run_recalibrate},
    {0x0f, 0xff, 3, run_seek},          {0x8f, 0xbf, 3, run_relative_seek}, {0x08, 0xff, 1, run_sense_interrupt},
    {0x04, 0xff, 2, run_sense_drive},   {0x03, 0xff, 3, run_specify},    {0x13, 0xff, 4, run_configure},
    {0x12, 0xff, 2, run_perpendicular}, {0x14, 0x7f, 1, run_lock},       {0x0e, 0xff, 1, run_dump_registers},
    {0x10, 0xff, 1, run_version},
};

static void take_command_byte(struct i82077 *fdc, uint8_t value)
{
    static const struct command invalid = {0, 0, 1, run_invalid};
    const struct command *command = &invalid;

    fdc->command[fdc->command_at++] = value;
    for (unsigned n = 0; n < sizeof commands / sizeof commands[0]; n++) {
        if ((fdc->command[0] & commands[n].mask) == commands[n].code) {
            command = &commands[n];
            break;
        }
    }
    if (fdc->command_at >= command->bytes) {
        fdc->command_at = 0;
        command->run(fdc);
    }
}

/* ---- Registers ---- */

static bool is_in_reset(const struct i82077 *fdc)
{
    return (fdc->dor & DOR_NRESET) == 0;
}

static uint8_t main_status(const struct i82077 *fdc)
{
    unsigned status = 0;

    if (is_in_reset(fdc)) {
        return 0;
    }
    for (unsigned n = 0; n < 4; n++) {
        status |= fdc->drives[n].is_seeking ? 1u << n : 0;
    }
    switch (fdc->phase) {
    case PHASE_RESULT: return (uint8_t)(status | MSR_RQM | MSR_DIO | MSR_BUSY);
    case PHASE_EXECUTION:
        status |= MSR_BUSY | (is_non_dma(fdc) ? MSR_NON_DMA : 0);
        if (is_non_dma(fdc) && fdc->work == WORK_READ && fdc->is_buffer_full) {
            status |= MSR_RQM | MSR_DIO;
        } else if (is_non_dma(fdc) && fdc->work == WORK_WRITE && fdc->is_interrupting) {
            status |= MSR_RQM;
        }
        return (uint8_t)status;
    default: return (uint8_t)(status | MSR_RQM | (fdc->command_at != 0 ? MSR_BUSY : 0));
    }
}

static uint8_t read_fifo(struct i82077 *fdc)
{
    if (fdc->phase == PHASE_RESULT) {
        uint8_t value = fdc->result[fdc->result_at++];
        calm(fdc); /* reading the first result ends the interrupt */
        if (fdc->result_at == fdc->result_count) {
            to_command_phase(fdc);
            for (unsigned n = 0; n < 4; n++) {
                if (fdc->drives[n].has_status && (fdc->drives[n].seek_status & ST0_POLLING) != ST0_POLLING) {
                    interrupt(fdc); /* a seek ended meanwhile */
                }
            }
        }
        return value;
    }
    if (fdc->phase == PHASE_EXECUTION && is_non_dma(fdc) && fdc->work == WORK_READ && fdc->is_buffer_full) {
        uint8_t value = fdc->buffer[fdc->buffer_at++];
        if (fdc->buffer_at == SECTOR_SIZE) {
            calm(fdc);
            sector_done(fdc, false);
        }
        return value;
    }
    return 0;
}

static void write_fifo(struct i82077 *fdc, uint8_t value)
{
    if (is_in_reset(fdc)) {
        return;
    }
    if (fdc->phase == PHASE_COMMAND) {
        take_command_byte(fdc, value);
    } else if (fdc->phase == PHASE_EXECUTION && is_non_dma(fdc) && fdc->work == WORK_WRITE && fdc->is_interrupting) {
        fdc->buffer[fdc->buffer_at++] = value;
        if (fdc->buffer_at == SECTOR_SIZE) {
            calm(fdc);
            write_done(fdc, false);
        }
    }
}

static void write_dor(struct i82077 *fdc, uint8_t value)
{
    bool was_reset = is_in_reset(fdc);

    fdc->dor = value;
    if (is_in_reset(fdc)) {
        soft_reset(fdc);
    } else if (was_reset) {
        event_at(&fdc->work_step, clock_now(fdc->dev.clock) + RESET_NS);
    }
    update_irq(fdc);
}

static uint32_t i82077_read(void *owner, unsigned reg, unsigned size)
{
    struct i82077 *fdc = owner;
    unsigned selected = fdc->dor & DOR_SELECT;

    (void)size;
    switch (reg) {
    case REG_DOR: return fdc->dor;
    case REG_TDR: return fdc->tdr;
    case REG_MSR: return main_status(fdc);
    case REG_FIFO: return read_fifo(fdc);
    case REG_DIR: /* the line of the selected drive, while its motor runs; the other bits are not driven */
        return fdc->drives[selected].is_there && (fdc->dor & DOR_MOTOR_0 << selected) && fdc->drives[selected].is_changed
                   ? DIR_CHANGED
                   : 0;
    default: return 0xff; /* status A and B are PS/2's */
    }
}

static void i82077_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct i82077 *fdc = owner;

    (void)size;
    switch (reg) {
    case REG_DOR: write_dor(fdc, (uint8_t)value); break;
    case REG_TDR: fdc->tdr = value & 3; break;
    case REG_MSR:
        fdc->rate = value & RATE_MASK;
        if ((value & DSR_RESET) && !is_in_reset(fdc)) {
            soft_reset(fdc);
            event_at(&fdc->work_step, clock_now(fdc->dev.clock) + RESET_NS);
        }
        break;
    case REG_FIFO: write_fifo(fdc, (uint8_t)value); break;
    case REG_DIR: fdc->rate = value & RATE_MASK; break;
    default: break;
    }
}

/* ---- Class ---- */

bool i82077_set_medium(struct device *dev, unsigned drive, struct block_backend *medium, struct error *err)
{
    struct i82077 *fdc = (struct i82077 *)dev;
    bool is_empty = medium == NULL || medium->sectors == 0;

    if (drive >= I82077_DRIVES || !fdc->drives[drive].is_there) {
        error_set(err, "there is no floppy drive %u", drive);
        return error_hint(err, "start with -fda FILE, or -fda '' for an empty drive");
    }
    if (!is_empty && i82077_find_format(medium->sectors) == NULL) {
        error_set(err, "no floppy disk has %llu sectors", (unsigned long long)medium->sectors);
        return error_hint(err, "sizes are 160K, 180K, 320K, 360K, 720K, 1200K, 1440K, 1680K, 1722K and 2880K");
    }
    fdc->drives[drive].medium = is_empty ? NULL : medium;
    fdc->drives[drive].is_changed = true;
    return true;
}

static bool i82077_init(struct device *dev, const struct property *properties, struct error *err)
{
    static const char *const names[I82077_DRIVES] = {"floppy0", "floppy1"};
    struct i82077 *fdc = (struct i82077 *)dev;
    const struct property *dma = property_find(properties, "dma");

    fdc->dma = dma != NULL ? dma->pointer : NULL;
    event_init(&fdc->seek_end, dev->clock, seek_end, fdc);
    event_init(&fdc->work_step, dev->clock, work_step, fdc);
    for (unsigned n = 0; n < I82077_DRIVES; n++) {
        const struct property *floppy = property_find(properties, names[n]);
        fdc->drives[n].is_there = floppy != NULL;
        if (floppy != NULL && !i82077_set_medium(dev, n, floppy->pointer, err)) {
            return false;
        }
    }
    return true;
}

static void i82077_reset(struct device *dev)
{
    struct i82077 *fdc = (struct i82077 *)dev;

    fdc->is_locked = false;
    fdc->dor = 0;
    fdc->tdr = 0;
    fdc->rate = 2; /* 250 kbit/s */
    fdc->perpendicular = 0;
    fdc->next_id = fdc->format_left = fdc->verify_left = 0;
    fdc->c = fdc->h = fdc->r = 0;
    fdc->sector = 0;
    memset(fdc->specify, 0, sizeof fdc->specify);
    memset(fdc->command, 0, sizeof fdc->command);
    memset(fdc->result, 0, sizeof fdc->result);
    memset(fdc->buffer, 0, sizeof fdc->buffer);
    memset(fdc->status, 0, sizeof fdc->status);
    for (unsigned n = 0; n < 4; n++) {
        fdc->drives[n].seek_target = fdc->drives[n].seek_status = 0;
        fdc->drives[n].is_changed = fdc->drives[n].is_there;
    }
    soft_reset(fdc);
}

/* What a snapshot says is kept inside the arrays and the drive, whoever wrote it. */
static void i82077_loaded(struct device *dev)
{
    struct i82077 *fdc = (struct i82077 *)dev;

    fdc->command_at = fdc->command_at < 9 ? fdc->command_at : 0;
    fdc->result_count = fdc->result_count <= 10 ? fdc->result_count : 10;
    fdc->result_at = fdc->result_at < 10 ? fdc->result_at : 0;
    fdc->buffer_at = fdc->buffer_at < SECTOR_SIZE ? fdc->buffer_at : 0;
    if ((fdc->work == WORK_READ || fdc->work == WORK_WRITE) && drive_of(fdc)->medium == NULL) {
        fdc->buffer_at = 0; /* the next step finds that there is no disk */
        fdc->is_buffer_full = false;
    }
}

static const struct output i82077_outputs[] = {
    {"irq", offsetof(struct i82077, irq), 0},
    {"dreq", offsetof(struct i82077, dreq), 0},
    {NULL, 0, 0},
};

static const struct port_ops i82077_port_ops = {i82077_read, i82077_write, 1};

const struct device_class i82077_class = {
    .name = "i82077",
    .doc = "floppy disk controller",
    .size = sizeof(struct i82077),
    .fields = i82077_fields,
    .outputs = i82077_outputs,
    .port_ops = &i82077_port_ops,
    .init = i82077_init,
    .reset = i82077_reset,
    .loaded = i82077_loaded,
};
