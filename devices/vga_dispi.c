/* vga_dispi.c - the Bochs VBE extension ("dispi") of the VGA (vga.c), revision B0C5h, and the PCI card's memory-mapped
 * registers as QEMU's docs/specs/standard-vga describes them: EDID at 000h, VGA ports 3C0h-3DFh at 400h, dispi registers at
 * 500h, the extended registers (size and byte order) at 600h.
 *
 * Registers are brought into range as soon as they are written while the extension is enabled, so a guest reads back what
 * it got. Not implemented: big-endian frame buffer (the request is logged and ignored), the separate read and write
 * banks of newer Bochs. */
#include "devices/vga_internal.h"

#include <string.h>

enum {
    MMIO_EDID_END = 0x100,
    MMIO_EDID_SPACE_END = 0x400,
    MMIO_PORTS = 0x400,
    MMIO_PORTS_END = 0x420,
    MMIO_DISPI = 0x500,
    MMIO_DISPI_END = 0x500 + 2 * DISPI_COUNT,
    MMIO_EXTENDED = 0x600,
    MMIO_EXTENDED_END = 0x608
};
#define LITTLE_ENDIAN_FRAMEBUFFER UINT32_C(0x1e1e1e1e)

static uint32_t pitch_of(uint32_t width, unsigned bpp)
{
    return bpp == 4 ? width / 8 : width * ((bpp + 7) / 8);
}

uint32_t vga_dispi_pitch(const struct vga *vga)
{
    return pitch_of(vga->dispi[DISPI_VIRT_WIDTH], vga->dispi[DISPI_BPP]);
}

static uint16_t limited(uint32_t value, uint32_t low, uint32_t high)
{
    return (uint16_t)(value < low ? low : value > high ? high : value);
}

/* Makes a mode out of whatever was asked for: one whose every displayed line lies in video memory. */
static void dispi_fix(struct vga *vga)
{
    uint16_t *r = vga->dispi;
    uint64_t bytes = r[DISPI_BPP] == 4 ? vga->vram->size / 4 : vga->vram->size;

    switch (r[DISPI_BPP]) {
    case 4:
    case 8:
    case 15:
    case 16:
    case 24:
    case 32:
        break;
    default:
        r[DISPI_BPP] = 8;
        break;
    }
    r[DISPI_XRES] = limited(r[DISPI_XRES] & ~7u, 8, VGA_WIDTH_MAX);
    r[DISPI_YRES] = limited(r[DISPI_YRES], 1, VGA_HEIGHT_MAX);
    r[DISPI_VIRT_WIDTH] = limited(r[DISPI_VIRT_WIDTH] & ~7u, r[DISPI_XRES], 0xfff8);
    if ((uint64_t)vga_dispi_pitch(vga) * r[DISPI_YRES] > bytes) {
        r[DISPI_VIRT_WIDTH] = r[DISPI_XRES];
    }
    uint32_t pitch = vga_dispi_pitch(vga);
    if ((uint64_t)pitch * r[DISPI_YRES] > bytes) {
        r[DISPI_YRES] = (uint16_t)(bytes / pitch);
    }
    r[DISPI_VIRT_HEIGHT] = (uint16_t)(bytes / pitch > 0xffff ? 0xffff : bytes / pitch);
    r[DISPI_X_OFFSET] = limited(r[DISPI_X_OFFSET], 0, (uint32_t)r[DISPI_VIRT_WIDTH] - r[DISPI_XRES]);
    r[DISPI_Y_OFFSET] = limited(r[DISPI_Y_OFFSET], 0, (uint32_t)r[DISPI_VIRT_HEIGHT] - r[DISPI_YRES]);
}

static void dispi_write_enable(struct vga *vga, uint16_t value)
{
    bool was_enabled = vga_is_vbe(vga);

    vga->dispi[DISPI_ENABLE] =
        value & (DISPI_ENABLED | DISPI_GETCAPS | DISPI_8BIT_DAC | DISPI_LFB | DISPI_NOCLEARMEM);
    if (!(value & DISPI_ENABLED)) {
        vga->dispi[DISPI_BANK] = 0;
        vga_update_window(vga);
        return;
    }
    if (was_enabled) {
        return;
    }
    vga->dispi[DISPI_VIRT_WIDTH] = 0;
    vga->dispi[DISPI_X_OFFSET] = 0;
    vga->dispi[DISPI_Y_OFFSET] = 0;
    dispi_fix(vga);
    vga_update_window(vga);
    if (!(value & DISPI_NOCLEARMEM)) {
        uint64_t bytes = (uint64_t)vga_dispi_pitch(vga) * vga->dispi[DISPI_YRES];
        bytes *= vga->dispi[DISPI_BPP] == 4 ? 4 : 1;
        vga_mark_written(vga, 0, bytes);
        memset(vga->vram->host, 0, (size_t)bytes);
    }
}

void vga_dispi_check(struct vga *vga)
{
    vga->dispi[DISPI_BANK] = (uint16_t)(vga->dispi[DISPI_BANK] & ((vga->vram->size >> 16) - 1));
    if (vga_is_vbe(vga)) {
        dispi_fix(vga);
    }
}

uint32_t vga_dispi_read(const struct vga *vga, unsigned index)
{
    if (vga->dispi[DISPI_ENABLE] & DISPI_GETCAPS) {
        switch (index) {
        case DISPI_XRES:
            return VGA_WIDTH_MAX;
        case DISPI_YRES:
            return VGA_HEIGHT_MAX;
        case DISPI_BPP:
            return 32;
        default:
            break;
        }
    }
    if (index == DISPI_VIDEO_MEMORY_64K) {
        return (uint32_t)(vga->vram->size >> 16);
    }
    return index < DISPI_COUNT ? vga->dispi[index] : 0;
}

void vga_dispi_write(struct vga *vga, unsigned index, uint16_t value)
{
    vga->generation++;
    switch (index) {
    case DISPI_ID:
        if (value >= 0xb0c0 && value <= 0xb0c5) {
            vga->dispi[DISPI_ID] = value;
        }
        break;
    case DISPI_ENABLE:
        dispi_write_enable(vga, value);
        break;
    case DISPI_BANK:
        vga->dispi[DISPI_BANK] = (uint16_t)(value & ((vga->vram->size >> 16) - 1));
        vga_update_window(vga);
        break;
    case DISPI_XRES:
    case DISPI_YRES:
    case DISPI_BPP:
    case DISPI_VIRT_WIDTH:
    case DISPI_X_OFFSET:
    case DISPI_Y_OFFSET:
        vga->dispi[index] = value;
        if (vga_is_vbe(vga)) {
            dispi_fix(vga);
            vga_update_window(vga);
        }
        break;
    default:
        break; /* read-only or not there */
    }
}

/* ---- EDID ---- */

static const uint8_t EDID_START[54] = {
    0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, /* header */
    0x51, 0x2b, 0x86, 0x00,                         /* manufacturer "TIK", product 0086h */
    0x01, 0x00, 0x00, 0x00, 0x01, 34,               /* serial number 1, week 1 of 2024 */
    1, 3,                                           /* EDID 1.3 */
    0x80, 32, 24, 120, 0x0a,                        /* digital, 32 x 24 cm, gamma 2.2, preferred timing is the first */
    0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54, /* sRGB chromaticities */
    0x21, 0x08, 0x00,                               /* 640x480, 800x600, 1024x768 at 60 Hz */
    0x81, 0x80, 0xa9, 0x40, 0xd1, 0xc0, 0x81, 0xc0, /* 1280x1024, 1600x1200, 1920x1080, 1280x720 */
    0x81, 0x00, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, /* 1280x800 */
};

/* Detailed timing: VESA DMT 1024x768 at 60 Hz, 65 MHz. */
static const uint8_t EDID_TIMING[18] = { 0x64, 0x19, 0x00, 0x40, 0x41, 0x00, 0x26, 0x30, 0x18,
                                         0x88, 0x36, 0x00, 0x40, 0xf0, 0x10, 0x00, 0x00, 0x18 };
/* Range limits: 50-85 Hz, 30-110 kHz, 270 MHz. */
static const uint8_t EDID_RANGE[18] = { 0x00, 0x00, 0x00, 0xfd, 0x00, 50,   85,   30,   110,
                                        27,   0x00, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20 };
static const uint8_t EDID_NAME[18] = { 0x00, 0x00, 0x00, 0xfc, 0x00, 't',  'i',  'c',  'k',
                                       '8',  '6',  0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20 };
static const uint8_t EDID_DUMMY[18] = { 0x00, 0x00, 0x00, 0x10 };

/* VESA E-EDID Standard, release A. One block; the second half of the array stays zero. */
void vga_build_edid(uint8_t edid[256])
{
    unsigned sum = 0;

    memset(edid, 0, 256);
    memcpy(edid, EDID_START, 54);
    memcpy(edid + 54, EDID_TIMING, 18);
    memcpy(edid + 72, EDID_RANGE, 18);
    memcpy(edid + 90, EDID_NAME, 18);
    memcpy(edid + 108, EDID_DUMMY, 18);
    for (unsigned n = 0; n < 127; n++) {
        sum += edid[n];
    }
    edid[127] = (uint8_t)(0x100 - (sum & 0xff));
}

/* ---- memory-mapped registers ---- */

static uint32_t mmio_read_byte(struct vga *vga, uint32_t offset)
{
    static const uint32_t EXTENDED[2] = { 8, LITTLE_ENDIAN_FRAMEBUFFER };

    if (offset < MMIO_EDID_END) {
        return vga->edid[offset];
    }
    if (offset < MMIO_EDID_SPACE_END) {
        return 0;
    }
    if (offset < MMIO_PORTS_END) {
        return vga_register_read(vga, 0x3c0 + offset - MMIO_PORTS);
    }
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI_END) {
        return (vga_dispi_read(vga, (offset - MMIO_DISPI) / 2) >> (8 * (offset & 1))) & 0xff;
    }
    if (offset >= MMIO_EXTENDED && offset < MMIO_EXTENDED_END) {
        return (EXTENDED[(offset - MMIO_EXTENDED) / 4] >> (8 * (offset & 3))) & 0xff;
    }
    return 0xff;
}

static uint32_t mmio_read(void *owner, uint64_t offset, unsigned size)
{
    uint32_t value = 0;

    for (unsigned n = 0; n < size; n++) {
        value |= mmio_read_byte(owner, (uint32_t)offset + n) << (8 * n);
    }
    return value;
}

static void mmio_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    struct vga *vga = owner;
    uint32_t at = (uint32_t)offset;

    if (at >= MMIO_DISPI && at < MMIO_DISPI_END) {
        /* The registers are words: a byte sets the whole register, a doubleword sets two. */
        if (at & 1) {
            return;
        }
        vga_dispi_write(vga, (at - MMIO_DISPI) / 2, (uint16_t)value);
        if (size == 4) {
            vga_dispi_write(vga, (at - MMIO_DISPI) / 2 + 1, (uint16_t)(value >> 16));
        }
        return;
    }
    if (at == MMIO_EXTENDED + 4 && size == 4 && value != LITTLE_ENDIAN_FRAMEBUFFER) {
        device_log(&vga->dev, LOG_GUEST, "big-endian frame buffer (0x%08x) is not implemented", (unsigned)value);
    }
    for (unsigned n = 0; n < size; n++) {
        if (at + n >= MMIO_PORTS && at + n < MMIO_PORTS_END) {
            vga_register_write(vga, 0x3c0 + at + n - MMIO_PORTS, (uint8_t)(value >> (8 * n)));
        }
    }
}

const struct region_ops vga_mmio_ops = { .read = mmio_read, .write = mmio_write, .max_size = 4 };
