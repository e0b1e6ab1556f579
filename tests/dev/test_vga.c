/* test_vga.c - the VGA seen from its ports, its window, its BARs and its picture (IBM PS/2 Hardware Interface Technical
 * Reference, "Video Subsystem"; QEMU docs/specs/standard-vga). */
#include "devices/cp437.h"
#include "devices/vga.h"
#include "tests/support/box.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { VRAM_SIZE = 16 << 20 };
/* Where the tests put the BARs. */
#define LFB UINT32_C(0xe0000000)
#define MMIO UINT32_C(0xf0000000)
#define ROM UINT32_C(0xf1000000)

struct rig {
    struct box box;
    struct memory vram, rom;
    uint32_t *pixels;
    unsigned width, height;
    struct property properties[3];
};

static void rig_open(struct rig *rig)
{
    struct error err;

    memset(rig, 0, sizeof *rig);
    box_prepare(&rig->box);
    ck_assert(memory_init(&rig->vram, "vram", calloc(1, VRAM_SIZE), VRAM_SIZE, UINT64_C(1) << 32, false, &err));
    ck_assert(memory_init(&rig->rom, "vgabios", calloc(1, 0x10000), 0x10000, UINT64_C(2) << 32, true, &err));
    rig->rom.host[0] = 0x55;
    rig->rom.host[1] = 0xaa;
    rig->properties[0] = (struct property){ .name = "vram", .pointer = &rig->vram };
    rig->properties[1] = (struct property){ .name = "rom", .pointer = &rig->rom };
    box_install(&rig->box, &vga_class, rig->properties);
    box_map_ports(&rig->box, 0x3b4, 2, 0x3b4);
    box_map_ports(&rig->box, 0x3ba, 1, 0x3ba);
    box_map_ports(&rig->box, 0x3c0, 16, 0x3c0);
    box_map_ports(&rig->box, 0x3d4, 2, 0x3d4);
    box_map_ports(&rig->box, 0x3da, 1, 0x3da);
    box_map_ports(&rig->box, 0x1ce, 3, 0x1ce);
    rig->pixels = calloc(VGA_WIDTH_MAX * VGA_HEIGHT_MAX, sizeof *rig->pixels);
}

static void rig_close(struct rig *rig)
{
    box_close(&rig->box);
    free(rig->vram.host);
    free(rig->rom.host);
    memory_destroy(&rig->vram);
    memory_destroy(&rig->rom);
    free(rig->pixels);
}

/* ---- programming ---- */

static void seq(struct rig *rig, unsigned index, unsigned value)
{
    box_out16(&rig->box, 0x3c4, index | value << 8);
}

static void gc(struct rig *rig, unsigned index, unsigned value)
{
    box_out16(&rig->box, 0x3ce, index | value << 8);
}

static void crtc(struct rig *rig, unsigned index, unsigned value)
{
    box_out16(&rig->box, 0x3d4, index | value << 8);
}

static void attr(struct rig *rig, unsigned index, unsigned value)
{
    box_in8(&rig->box, 0x3da);
    box_out8(&rig->box, 0x3c0, index);
    box_out8(&rig->box, 0x3c0, value);
    box_out8(&rig->box, 0x3c0, 0x20);
}

/* The BIOS's register tables: misc, SR1-SR4, CR0-CR18, AR0-AR13, GR0-GR8. */
struct mode {
    uint8_t misc, seq[4], crtc[25], attr[20], gc[9];
};
#define EGA_PALETTE 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f
static const struct mode MODE_3 = {
    0x67,
    { 0x00, 0x03, 0x00, 0x02 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
      0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { EGA_PALETTE, 0x0c, 0x00, 0x0f, 0x08 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff },
};
static const struct mode MODE_4 = {
    0x63,
    { 0x09, 0x03, 0x00, 0x02 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
    { 0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x03, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff },
};
static const struct mode MODE_12 = {
    0xe3,
    { 0x01, 0x0f, 0x00, 0x06 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
    { EGA_PALETTE, 0x01, 0x00, 0x0f, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff },
};
static const struct mode MODE_13 = {
    0x63,
    { 0x01, 0x0f, 0x00, 0x0e },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0x00, 0x0f, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff },
};

static void set_mode(struct rig *rig, const struct mode *mode)
{
    box_out8(&rig->box, 0x3c2, mode->misc);
    seq(rig, 0, 1);
    for (unsigned n = 0; n < 4; n++) {
        seq(rig, n + 1, mode->seq[n]);
    }
    seq(rig, 0, 3);
    crtc(rig, 0x11, 0);
    for (unsigned n = 0; n < 25; n++) {
        crtc(rig, n, mode->crtc[n]);
    }
    for (unsigned n = 0; n < 9; n++) {
        gc(rig, n, mode->gc[n]);
    }
    for (unsigned n = 0; n < 20; n++) {
        attr(rig, n, mode->attr[n]);
    }
    box_out8(&rig->box, 0x3c6, 0xff);
}

static void set_color(struct rig *rig, unsigned index, unsigned red, unsigned green, unsigned blue)
{
    box_out8(&rig->box, 0x3c8, index);
    box_out8(&rig->box, 0x3c9, red);
    box_out8(&rig->box, 0x3c9, green);
    box_out8(&rig->box, 0x3c9, blue);
}

/* Colour n of the DAC is a function of n that uses all three guns. */
static uint32_t color_of(unsigned n)
{
    uint32_t red = n & 0x3f, green = (n >> 2) & 0x3f, blue = (n * 5) & 0x3f;

    return (red << 2 | red >> 4) << 16 | (green << 2 | green >> 4) << 8 | (blue << 2 | blue >> 4);
}

static void set_colors(struct rig *rig)
{
    for (unsigned n = 0; n < 256; n++) {
        set_color(rig, n, n & 0x3f, (n >> 2) & 0x3f, (n * 5) & 0x3f);
    }
}

static bool render(struct rig *rig)
{
    return vga_render(rig->box.dev, rig->pixels, VGA_WIDTH_MAX, VGA_WIDTH_MAX, VGA_HEIGHT_MAX, &rig->width,
                      &rig->height);
}

static uint32_t pixel(const struct rig *rig, unsigned x, unsigned y)
{
    return rig->pixels[y * VGA_WIDTH_MAX + x];
}

static void dispi(struct rig *rig, unsigned index, unsigned value)
{
    box_out16(&rig->box, 0x1ce, index);
    box_out16(&rig->box, 0x1cf, value);
}

static unsigned dispi_read(struct rig *rig, unsigned index)
{
    box_out16(&rig->box, 0x1ce, index);
    return box_in16(&rig->box, 0x1d0);
}

static void map_bars(struct rig *rig)
{
    box_config_write(&rig->box, 0x10, 4, LFB);
    box_config_write(&rig->box, 0x18, 4, MMIO);
    box_config_write(&rig->box, 0x30, 4, ROM | 1);
    box_config_write(&rig->box, 0x04, 2, 3);
}

static void set_vbe(struct rig *rig, unsigned width, unsigned height, unsigned bpp)
{
    dispi(rig, 4, 0);
    dispi(rig, 1, width);
    dispi(rig, 2, height);
    dispi(rig, 3, bpp);
    dispi(rig, 4, 0x41);
    box_in8(&rig->box, 0x3da);
    box_out8(&rig->box, 0x3c0, 0x20);
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A font through plane 2: the character's code in every line, so that pictures can be foretold. */
static void load_code_font(struct rig *rig)
{
    seq(rig, 2, 4);
    seq(rig, 4, 7);
    gc(rig, 5, 0);
    gc(rig, 6, 4);
    for (unsigned c = 0; c < 256; c++) {
        for (unsigned line = 0; line < 16; line++) {
            box_write8(&rig->box, 0xa0000 + c * 32 + line, c);
        }
    }
    seq(rig, 2, 3);
    seq(rig, 4, 2);
    gc(rig, 5, 0x10);
    gc(rig, 6, 0x0e);
}

/* ---- registers ---- */

START_TEST(class_properties)
{
    struct rig rig;

    rig_open(&rig);
    check_class_with(&vga_class, rig.properties);
    rig_close(&rig);
}
END_TEST

START_TEST(registers_keep_their_bits)
{
    static const uint8_t seq_bits[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0 };
    static const uint8_t gc_bits[10] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff, 0 };
    struct rig rig;

    rig_open(&rig);
    box_out8(&rig.box, 0x3c2, 0x67);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3cc), 0x67);
    for (unsigned n = 0; n < 8; n++) {
        seq(&rig, n, 0xff);
        ck_assert_uint_eq(box_in8(&rig.box, 0x3c5), seq_bits[n]);
    }
    for (unsigned n = 0; n < 10; n++) {
        gc(&rig, n, 0xff);
        ck_assert_uint_eq(box_in8(&rig.box, 0x3cf), gc_bits[n]);
    }
    for (unsigned n = 0; n < 0x19; n++) {
        crtc(&rig, n, n == 0x11 ? 0x0e : 0xa0 + n);
    }
    for (unsigned n = 0; n < 0x19; n++) {
        box_out8(&rig.box, 0x3d4, n);
        ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), n == 0x11 ? 0x0e : 0xa0 + n);
    }
    box_out8(&rig.box, 0x3da, 3);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3ca), 3);
    rig_close(&rig);
}
END_TEST

/* CR11 bit 7 protects CR0-CR7 but for the line compare bit of CR7. */
START_TEST(crtc_write_protection)
{
    struct rig rig;

    rig_open(&rig);
    set_mode(&rig, &MODE_3);
    crtc(&rig, 0, 0x11);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0x5f);
    crtc(&rig, 7, 0x00);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0x0f);
    crtc(&rig, 7, 0xff);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0x1f);
    crtc(&rig, 8, 0x05);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0x05);
    rig_close(&rig);
}
END_TEST

START_TEST(misc_output_moves_the_crtc)
{
    struct rig rig;

    rig_open(&rig);
    box_out8(&rig.box, 0x3c2, 0x66);
    box_out8(&rig.box, 0x3b4, 0x0e);
    box_out8(&rig.box, 0x3b5, 0x12);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3b5), 0x12);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0xff);
    ck_assert_uint_ne(box_in8(&rig.box, 0x3ba), 0xff);
    box_out8(&rig.box, 0x3c2, 0x67);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0x12);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3b5), 0xff);
    rig_close(&rig);
}
END_TEST

START_TEST(attribute_flip_flop)
{
    struct rig rig;

    rig_open(&rig);
    box_out8(&rig.box, 0x3c2, 0x67);
    box_in8(&rig.box, 0x3da);
    box_out8(&rig.box, 0x3c0, 0x05);
    box_out8(&rig.box, 0x3c0, 0x2a);
    box_out8(&rig.box, 0x3c0, 0x06); /* an index again */
    box_in8(&rig.box, 0x3da);        /* forgets that data was due */
    box_out8(&rig.box, 0x3c0, 0x25);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c0), 0x25);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c1), 0x2a);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c1), 0x2a);
    rig_close(&rig);
}
END_TEST

START_TEST(dac_reads_and_writes)
{
    struct rig rig;

    rig_open(&rig);
    set_color(&rig, 254, 1, 2, 3);
    box_out8(&rig.box, 0x3c9, 0x44); /* 255: only six bits */
    box_out8(&rig.box, 0x3c9, 0xff);
    box_out8(&rig.box, 0x3c9, 0x06);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c8), 0); /* wraps */
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c7) & 3, 0);
    box_out8(&rig.box, 0x3c7, 254);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c7) & 3, 3);
    static const uint8_t expected[6] = { 1, 2, 3, 4, 0x3f, 6 };
    for (unsigned n = 0; n < 6; n++) {
        ck_assert_uint_eq(box_in8(&rig.box, 0x3c9), expected[n]);
    }
    /* An interrupted write does not reach the palette. */
    box_out8(&rig.box, 0x3c8, 254);
    box_out8(&rig.box, 0x3c9, 9);
    box_out8(&rig.box, 0x3c7, 254);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c9), 1);
    /* Input status 0: the monitor sense comparator. */
    set_color(&rig, 0, 0, 0, 0);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c2) & 0x10, 0x10);
    set_color(&rig, 0, 63, 63, 63);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3c2) & 0x10, 0);
    rig_close(&rig);
}
END_TEST

/* 70 Hz, 449 lines of 31.8 us: retrace bits are a function of guest time. */
START_TEST(retrace_bits_follow_time)
{
    struct rig rig;
    unsigned retraces = 0, blanks = 0, shown = 0;
    bool was_retrace = false;

    rig_open(&rig);
    set_mode(&rig, &MODE_3);
    for (unsigned n = 0; n < 500000; n++) { /* one second */
        uint8_t status = box_in8(&rig.box, 0x3da);
        bool is_retrace = (status & 8) != 0;
        retraces += is_retrace && !was_retrace;
        was_retrace = is_retrace;
        blanks += status & 1;
        shown += !(status & 1);
        ck_assert(!is_retrace || (status & 1));
        box_step_ns(&rig.box, 2000);
    }
    ck_assert_uint_ge(retraces, 69);
    ck_assert_uint_le(retraces, 71);
    ck_assert_uint_gt(shown, blanks); /* 80 of 100 characters times 400 of 449 lines */
    ck_assert_uint_gt(blanks, shown / 4);
    rig_close(&rig);
}
END_TEST

/* ---- the window ---- */

/* A VGA as simple as it can be: four planes of bytes, every bit on its own. */
struct model {
    uint8_t plane[4][65536];
    uint8_t latch[4];
    uint8_t seq[5], gc[9];
};

static const uint32_t window_start[4] = { 0, 0, 0x10000, 0x18000 };
static const uint32_t window_size[4] = { 0x20000, 0x10000, 0x8000, 0x8000 };

static bool model_decode(const struct model *m, uint32_t *address)
{
    unsigned map = m->gc[6] >> 2;

    if (*address < window_start[map] || *address >= window_start[map] + window_size[map]) {
        return false;
    }
    *address = (*address - window_start[map]) & 0xffff;
    return true;
}

static uint8_t model_read(struct model *m, uint32_t address)
{
    unsigned plane = m->gc[4], value = 0;

    if (!model_decode(m, &address)) {
        return 0xff;
    }
    if (m->seq[4] & 8) {
        plane = address % 4;
        address -= plane;
    } else if (m->gc[5] & 0x10) {
        plane = (plane & 2) + address % 2;
        address -= address % 2;
    }
    for (unsigned p = 0; p < 4; p++) {
        m->latch[p] = m->plane[p][address];
    }
    if (!(m->gc[5] & 8)) {
        return m->latch[plane];
    }
    for (unsigned bit = 0; bit < 8; bit++) {
        bool is_equal = true;
        for (unsigned p = 0; p < 4; p++) {
            bool differs = ((m->latch[p] >> bit) & 1) != ((m->gc[2] >> p) & 1);
            is_equal &= !(differs && ((m->gc[7] >> p) & 1));
        }
        value |= (unsigned)is_equal << bit;
    }
    return (uint8_t)value;
}

static unsigned model_bit(const struct model *m, unsigned p, unsigned bit, unsigned byte)
{
    unsigned rotate = m->gc[3] & 7, mode = m->gc[5] & 3, latch = (m->latch[p] >> bit) & 1u;
    unsigned rotated = (byte >> ((bit + rotate) % 8)) & 1, mask = (m->gc[8] >> bit) & 1u;
    unsigned value = rotated, set_reset = (m->gc[0] >> p) & 1u;

    if (mode == 1) {
        return latch;
    }
    if (mode == 2) {
        value = (byte >> p) & 1;
    } else if (mode == 3) {
        value = set_reset;
        mask &= rotated;
    } else if ((m->gc[1] >> p) & 1) {
        value = set_reset;
    }
    switch (m->gc[3] >> 3) {
    case 1:
        value &= latch;
        break;
    case 2:
        value |= latch;
        break;
    case 3:
        value ^= latch;
        break;
    default:
        break;
    }
    return mask ? value : latch;
}

static void model_write(struct model *m, uint32_t address, unsigned byte)
{
    unsigned planes = m->seq[2];

    if (!model_decode(m, &address)) {
        return;
    }
    if (m->seq[4] & 8) {
        planes &= 1u << address % 4;
        address -= address % 4;
    } else if (!(m->seq[4] & 4)) {
        planes &= address % 2 ? 0xa : 0x5;
        address -= address % 2;
    }
    for (unsigned p = 0; p < 4; p++) {
        unsigned value = 0;
        for (unsigned bit = 0; bit < 8; bit++) {
            value |= model_bit(m, p, bit, byte) << bit;
        }
        if ((planes >> p) & 1) {
            m->plane[p][address] = (uint8_t)value;
        }
    }
}

static void both_seq(struct rig *rig, struct model *m, unsigned index, unsigned value)
{
    seq(rig, index, value);
    m->seq[index] = (uint8_t)value;
}

static void both_gc(struct rig *rig, struct model *m, unsigned index, unsigned value)
{
    gc(rig, index, value);
    m->gc[index] = (uint8_t)value;
}

/* Every plane, byte by byte, with plain planar addressing. */
static void compare_planes(struct rig *rig, struct model *m)
{
    both_seq(rig, m, 4, 6);
    both_gc(rig, m, 5, 0);
    both_gc(rig, m, 6, 5);
    for (unsigned p = 0; p < 4; p++) {
        both_gc(rig, m, 4, p);
        for (uint32_t a = 0; a < 65536; a++) {
            uint8_t value = box_read8(&rig->box, 0xa0000 + a);
            ck_assert_msg(value == m->plane[p][a], "plane %u offset 0x%04x: 0x%02x, not 0x%02x", p, (unsigned)a, value,
                          m->plane[p][a]);
        }
        m->latch[0] = m->latch[1] = m->latch[2] = m->latch[3] = 0;
    }
}

/* The write modes, the logical unit, the masks and the three ways of addressing in any mixture agree with the model.
 * Each step reads from the window before it writes, as guests that use the latches do. */
START_TEST(window_agrees_with_model)
{
    static struct model m;
    struct rig rig;
    uint32_t random = 12345u + (uint32_t)_i;

    rig_open(&rig);
    memset(&m, 0, sizeof m);
    box_out8(&rig.box, 0x3c2, 0x67);
    for (unsigned step = 0; step < 3000; step++) {
        uint32_t r = random_next(&random);
        unsigned kind = r % 4; /* half of the steps in a mode as BIOS sets them, the others anything */
        bool is_plain = kind < 3;
        static const uint8_t sr4[3] = { 2, 14, 6 }, gr5[3] = { 0x10, 0x40, 0 }, map[3] = { 3, 15, 15 };
        if (r % 7 == 0 || !is_plain) {
            both_seq(&rig, &m, 4, is_plain ? sr4[kind] : random_next(&random) & 0xe);
            both_gc(&rig, &m, 5, is_plain ? gr5[kind] : random_next(&random) & 0x7b);
            both_seq(&rig, &m, 2, is_plain ? map[kind] : random_next(&random) & 0xf);
            both_gc(&rig, &m, 6, random_next(&random) & 0xf);
            for (unsigned n = 0; n < 5; n++) {
                static const uint8_t bits[5] = { 0xf, 0xf, 0xf, 0x1f, 3 };
                both_gc(&rig, &m, n, is_plain ? 0 : random_next(&random) & bits[n]);
            }
            both_gc(&rig, &m, 7, random_next(&random) & 0xf);
            both_gc(&rig, &m, 8, is_plain ? 0xff : random_next(&random) & 0xff);
        }
        for (unsigned n = 0; n < 10; n++) {
            uint32_t from = random_next(&random) & 0x1ffff, to = random_next(&random) & 0x1ffff;
            if (n & 1) { /* keep some traffic in one place */
                from &= 0xff;
                to = 0x18000 + (to & 0xff);
            }
            from = window_start[m.gc[6] >> 2] + from % window_size[m.gc[6] >> 2];
            unsigned byte = random_next(&random) & 0xff;
            ck_assert_uint_eq(box_read8(&rig.box, 0xa0000 + from), model_read(&m, from));
            box_write8(&rig.box, 0xa0000 + to, byte);
            model_write(&m, to, byte);
        }
    }
    compare_planes(&rig, &m);
    rig_close(&rig);
}
END_TEST

START_TEST(copy_with_latches)
{
    struct rig rig;

    rig_open(&rig);
    set_mode(&rig, &MODE_12);
    for (unsigned p = 0; p < 4; p++) {
        seq(&rig, 2, 1u << p);
        box_write8(&rig.box, 0xa0010, 0x11u * (p + 1));
    }
    seq(&rig, 2, 0xf);
    gc(&rig, 5, 1);
    box_read8(&rig.box, 0xa0010);
    box_write8(&rig.box, 0xa1000, 0xee);
    gc(&rig, 5, 0);
    for (unsigned p = 0; p < 4; p++) {
        gc(&rig, 4, p);
        ck_assert_uint_eq(box_read8(&rig.box, 0xa1000), 0x11u * (p + 1));
        box_out8(&rig.box, 0x3d4, 0x22); /* the latch itself */
        ck_assert_uint_eq(box_in8(&rig.box, 0x3d5), 0x11u * (p + 1));
    }
    rig_close(&rig);
}
END_TEST

static enum region_kind kind_at(struct rig *rig, phys_addr address)
{
    return space_lookup(rig->box.space, address, NULL)->kind;
}

/* The modes that write much are ordinary memory to the CPU. */
START_TEST(plain_windows_are_memory)
{
    struct rig rig;

    rig_open(&rig);
    ck_assert_int_eq(kind_at(&rig, 0xb8000), REGION_IO);
    set_mode(&rig, &MODE_3);
    ck_assert_int_eq(kind_at(&rig, 0xb8000), REGION_MEMORY);
    ck_assert_int_eq(kind_at(&rig, 0xbffff), REGION_MEMORY);
    ck_assert_int_eq(kind_at(&rig, 0xb7fff), REGION_IO);
    box_write16(&rig.box, 0xb8000, 0x1741);
    gc(&rig, 6, 0x0a); /* B0000 */
    ck_assert_int_eq(kind_at(&rig, 0xb8000), REGION_IO);
    ck_assert_uint_eq(box_read16(&rig.box, 0xb0000), 0x1741);
    ck_assert_int_eq(kind_at(&rig, 0xb0000), REGION_MEMORY);
    gc(&rig, 6, 0x0e);
    gc(&rig, 8, 0x0f);
    ck_assert_int_eq(kind_at(&rig, 0xb8000), REGION_IO);
    gc(&rig, 8, 0xff);
    box_out8(&rig.box, 0x3c2, 0x65); /* memory disabled */
    ck_assert_uint_eq(box_read16(&rig.box, 0xb8000), 0xffff);
    set_mode(&rig, &MODE_13);
    ck_assert_int_eq(kind_at(&rig, 0xa0000), REGION_MEMORY);
    set_mode(&rig, &MODE_12);
    ck_assert_int_eq(kind_at(&rig, 0xa0000), REGION_IO);
    set_mode(&rig, &MODE_3);
    ck_assert_uint_eq(box_read16(&rig.box, 0xb8000), 0x1741); /* the planes have kept it through all that */
    rig_close(&rig);
}
END_TEST

START_TEST(wide_accesses_are_bytes_in_order)
{
    struct rig rig;

    rig_open(&rig);
    set_mode(&rig, &MODE_12);
    box_write32(&rig.box, 0xa0003, 0x04030201);
    for (unsigned n = 0; n < 4; n++) {
        ck_assert_uint_eq(box_read8(&rig.box, 0xa0003 + n), n + 1);
    }
    ck_assert_uint_eq(box_read16(&rig.box, 0xa0004), 0x0302);
    rig_close(&rig);
}
END_TEST

/* ---- text ---- */

START_TEST(text_is_described)
{
    static struct screen screen;
    static char text[65536];
    static const char *const words = "Hello";
    struct rig rig;

    rig_open(&rig);
    set_mode(&rig, &MODE_3);
    for (unsigned n = 0; n < 80 * 25; n++) {
        box_write16(&rig.box, 0xb8000 + 2 * n, 0x0720);
    }
    for (unsigned n = 0; n < 5; n++) {
        box_write16(&rig.box, 0xb8000 + 2 * (3 * 80 + 2 + n), 0x1e00u | (unsigned char)words[n]);
    }
    box_write8(&rig.box, 0xb8000 + 2 * (4 * 80), 0xcd); /* double line */
    crtc(&rig, 0x0e, (3 * 80 + 7) >> 8);
    crtc(&rig, 0x0f, (3 * 80 + 7) & 0xff);
    vga_describe(rig.box.dev, &screen);
    ck_assert(screen.is_text && !screen.is_blanked);
    ck_assert_uint_eq(screen.columns, 80);
    ck_assert_uint_eq(screen.rows, 25);
    ck_assert_uint_eq(screen.width, 720);
    ck_assert_uint_eq(screen.height, 400);
    ck_assert_int_eq(screen.cursor_column, 7);
    ck_assert_int_eq(screen.cursor_row, 3);
    ck_assert_uint_eq(screen.cells[3 * 80 + 2].character, 'H');
    ck_assert_uint_eq(screen.cells[3 * 80 + 2].attribute, 0x1e);
    size_t length = vga_text(rig.box.dev, text, sizeof text);
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_ptr_nonnull(strstr(text, "\n\n\n  Hello\n\xe2\x95\x90\n\n"));
    ck_assert_uint_eq(vga_text(rig.box.dev, text, 9), 8); /* "\n\n\n  Hel" */
    ck_assert_str_eq(text, "\n\n\n  Hel");
    /* Scrolling by the start address, and a hidden cursor. */
    crtc(&rig, 0x0d, 80);
    crtc(&rig, 0x0a, 0x20);
    vga_describe(rig.box.dev, &screen);
    ck_assert_uint_eq(screen.cells[2 * 80 + 2].character, 'H');
    ck_assert_int_eq(screen.cursor_row, -1);
    /* The lower part from address 0. */
    crtc(&rig, 0x18, 199);
    crtc(&rig, 0x07, 0x0f);
    crtc(&rig, 0x09, 0x0f);
    vga_describe(rig.box.dev, &screen);
    ck_assert_uint_eq(screen.cells[(12 + 3) * 80 + 2].character, 'H');
    rig_close(&rig);
}
END_TEST

START_TEST(text_is_drawn)
{
    struct rig rig;

    rig_open(&rig);
    set_mode(&rig, &MODE_3);
    set_colors(&rig);
    load_code_font(&rig);
    crtc(&rig, 0x0a, 0x20);
    box_write16(&rig.box, 0xb8000, 0x1ea5); /* yellow on blue */
    box_write16(&rig.box, 0xb8002, 0x1ec1); /* line drawing: the ninth dot is the eighth */
    ck_assert(render(&rig));
    ck_assert_uint_eq(rig.width, 720);
    ck_assert_uint_eq(rig.height, 400);
    uint32_t front = color_of(0x3e), back = color_of(1);
    for (unsigned x = 0; x < 9; x++) {
        ck_assert_uint_eq(pixel(&rig, x, 15), x < 8 && (0xa5 >> (7 - x)) & 1 ? front : back);
        ck_assert_uint_eq(pixel(&rig, 9 + x, 0), x == 8 || (0xc1 >> (7 - x)) & 1 ? front : back);
    }
    ck_assert_uint_eq(pixel(&rig, 0, 16), color_of(0));
    /* The cursor, lines 13 and 14, in the first phase; half a blink later it is gone. */
    crtc(&rig, 0x0a, 0x0d);
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 1, 12), back);
    ck_assert_uint_eq(pixel(&rig, 1, 13), front);
    ck_assert_uint_eq(pixel(&rig, 1, 15), back);
    box_step_ns(&rig.box, 9 * UINT64_C(14268000));
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 1, 13), back);
    /* Blinking characters have eight backgrounds; without blinking there are sixteen. */
    box_write16(&rig.box, 0xb8000, 0x9ea5);
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 1, 0), back);
    attr(&rig, 0x10, 0x04);
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 1, 0), color_of(0x39));
    /* Eight dots, screen off. */
    seq(&rig, 1, 1);
    render(&rig);
    ck_assert_uint_eq(rig.width, 640);
    seq(&rig, 1, 0x21);
    ck_assert(!render(&rig));
    ck_assert_uint_eq(pixel(&rig, 0, 0), 0);
    seq(&rig, 1, 1);
    box_in8(&rig.box, 0x3da);
    box_out8(&rig.box, 0x3c0, 0x00); /* palette address source */
    ck_assert(!render(&rig));
    rig_close(&rig);
}
END_TEST

/* ---- graphics ---- */

START_TEST(planar_and_cga_are_drawn)
{
    struct rig rig;

    rig_open(&rig);
    set_colors(&rig);
    set_mode(&rig, &MODE_12);
    gc(&rig, 5, 2);
    gc(&rig, 8, 0x80 >> 3);
    box_read8(&rig.box, 0xa0000 + 80 * 2 + 1);
    box_write8(&rig.box, 0xa0000 + 80 * 2 + 1, 6);
    ck_assert(render(&rig));
    ck_assert_uint_eq(rig.width, 640);
    ck_assert_uint_eq(rig.height, 480);
    ck_assert_uint_eq(pixel(&rig, 11, 2), color_of(0x14));
    ck_assert_uint_eq(pixel(&rig, 12, 2), color_of(0));
    set_mode(&rig, &MODE_4);
    for (unsigned n = 0; n < 0x8000; n++) {
        box_write8(&rig.box, 0xb8000 + n, 0);
    }
    box_write8(&rig.box, 0xb8000, 0x1b);      /* pixels 0 1 2 3 of line 0 */
    box_write8(&rig.box, 0xb8001, 0xc0);      /* pixel 4 */
    box_write8(&rig.box, 0xba000, 0x80);      /* line 1 */
    box_write8(&rig.box, 0xb8000 + 80, 0x40); /* line 2 */
    ck_assert(render(&rig));
    ck_assert_uint_eq(rig.width, 640);
    ck_assert_uint_eq(rig.height, 400);
    static const uint8_t cga[5] = { 0, 0x13, 0x15, 0x17, 0x17 };
    for (unsigned n = 0; n < 5; n++) {
        ck_assert_uint_eq(pixel(&rig, 2 * n, 0), color_of(cga[n]));
        ck_assert_uint_eq(pixel(&rig, 2 * n + 1, 1), color_of(cga[n]));
    }
    ck_assert_uint_eq(pixel(&rig, 0, 2), color_of(0x15));
    ck_assert_uint_eq(pixel(&rig, 0, 4), color_of(0x13));
    rig_close(&rig);
}
END_TEST

START_TEST(mode_13h_and_mode_x_are_drawn)
{
    struct rig rig;

    rig_open(&rig);
    set_colors(&rig);
    set_mode(&rig, &MODE_13);
    for (unsigned n = 0; n < 320 * 200; n++) {
        box_write8(&rig.box, 0xa0000 + n, (n % 320 + n / 320) & 0xff);
    }
    ck_assert(render(&rig));
    ck_assert_uint_eq(rig.width, 640);
    ck_assert_uint_eq(rig.height, 400);
    for (unsigned y = 0; y < 400; y += 7) {
        for (unsigned x = 0; x < 640; x += 3) {
            ck_assert_uint_eq(pixel(&rig, x, y), color_of((x / 2 + y / 2) & 0xff));
        }
    }
    box_out8(&rig.box, 0x3c6, 0x0f); /* DAC mask */
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 2 * 0x35, 0), color_of(0x05));
    box_out8(&rig.box, 0x3c6, 0xff);
    /* Mode X: unchained, byte addressing. */
    seq(&rig, 4, 6);
    crtc(&rig, 0x14, 0);
    crtc(&rig, 0x17, 0xe3);
    for (unsigned p = 0; p < 4; p++) {
        seq(&rig, 2, 1u << p);
        for (unsigned n = 0; n < 80 * 200; n++) {
            box_write8(&rig.box, 0xa0000 + n, (4 * (n % 80) + p) ^ (n / 80));
        }
    }
    render(&rig);
    for (unsigned y = 0; y < 400; y += 7) {
        for (unsigned x = 0; x < 640; x += 3) {
            ck_assert_uint_eq(pixel(&rig, x, y), color_of(((x / 2) ^ (y / 2)) & 0xff));
        }
    }
    /* Panning by two dots is one pixel. */
    attr(&rig, 0x13, 2);
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 0, 0), color_of(1));
    ck_assert_uint_eq(pixel(&rig, 638, 0), color_of(0 ^ 1)); /* the first byte of the next line */
    rig_close(&rig);
}
END_TEST

/* ---- VBE and PCI ---- */

START_TEST(pci_identity_and_bars)
{
    struct rig rig;

    rig_open(&rig);
    ck_assert_uint_eq(box_config_read(&rig.box, 0, 4), 0x11111234);
    ck_assert_uint_eq(box_config_read(&rig.box, 8, 4) >> 8, 0x030000);
    box_config_write(&rig.box, 0x10, 4, 0xffffffff);
    ck_assert_uint_eq(box_config_read(&rig.box, 0x10, 4), 0xff000008);
    box_config_write(&rig.box, 0x18, 4, 0xffffffff);
    ck_assert_uint_eq(box_config_read(&rig.box, 0x18, 4), 0xfffff000);
    box_config_write(&rig.box, 0x30, 4, 0xfffff800);
    ck_assert_uint_eq(box_config_read(&rig.box, 0x30, 4), 0xffff0000);
    map_bars(&rig);
    ck_assert_uint_eq(box_read16(&rig.box, ROM), 0xaa55);
    box_write32(&rig.box, LFB + 0x123456, 0x12345678);
    ck_assert_uint_eq(load_le32(rig.vram.host + 0x123456), 0x12345678);
    ck_assert_int_eq(kind_at(&rig, LFB), REGION_MEMORY);
    rig_close(&rig);
}
END_TEST

START_TEST(edid_is_valid)
{
    struct rig rig;
    unsigned sum = 0;

    rig_open(&rig);
    map_bars(&rig);
    ck_assert_uint_eq(box_read32(&rig.box, MMIO), 0xffffff00);
    ck_assert_uint_eq(box_read32(&rig.box, MMIO + 4), 0x00ffffff);
    for (unsigned n = 0; n < 128; n++) {
        sum += box_read8(&rig.box, MMIO + n);
    }
    ck_assert_uint_eq(sum & 0xff, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(mmio_registers)
{
    struct rig rig;

    rig_open(&rig);
    map_bars(&rig);
    box_write8(&rig.box, MMIO + 0x402, 0x67);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3cc), 0x67);
    box_write16(&rig.box, MMIO + 0x40e, 0x5508); /* 3CE: index 8 */
    ck_assert_uint_eq(box_in8(&rig.box, 0x3cf), 0x55);
    ck_assert_uint_eq(box_read16(&rig.box, MMIO + 0x500), 0xb0c5);
    box_write16(&rig.box, MMIO + 0x502, 640);
    ck_assert_uint_eq(dispi_read(&rig, 1), 640);
    ck_assert_uint_eq(box_read16(&rig.box, MMIO + 0x514), 256);
    ck_assert_uint_eq(box_read32(&rig.box, MMIO + 0x600), 8);
    ck_assert_uint_eq(box_read32(&rig.box, MMIO + 0x604), 0x1e1e1e1e);
    rig_close(&rig);
}
END_TEST

START_TEST(dispi_registers)
{
    struct rig rig;

    rig_open(&rig);
    ck_assert_uint_eq(dispi_read(&rig, 0), 0xb0c5);
    dispi(&rig, 0, 0xb0c2);
    ck_assert_uint_eq(dispi_read(&rig, 0), 0xb0c2);
    dispi(&rig, 0, 0x1234);
    ck_assert_uint_eq(dispi_read(&rig, 0), 0xb0c2);
    dispi(&rig, 4, 2);
    ck_assert_uint_eq(dispi_read(&rig, 1), 2560);
    ck_assert_uint_eq(dispi_read(&rig, 2), 1600);
    ck_assert_uint_eq(dispi_read(&rig, 3), 32);
    ck_assert_uint_eq(dispi_read(&rig, 10), 256);
    set_vbe(&rig, 1024, 768, 16);
    ck_assert_uint_eq(dispi_read(&rig, 6), 1024);
    ck_assert_uint_eq(dispi_read(&rig, 7), 8192);
    dispi(&rig, 6, 2048);
    dispi(&rig, 9, 5000);
    ck_assert_uint_eq(dispi_read(&rig, 6), 2048);
    ck_assert_uint_eq(dispi_read(&rig, 7), 4096);
    ck_assert_uint_eq(dispi_read(&rig, 9), 4096 - 768);
    set_vbe(&rig, 65535, 65535, 77); /* a mode all the same */
    ck_assert(render(&rig));
    ck_assert_uint_eq(rig.width, 2560);
    ck_assert_uint_eq(rig.height, 1600);
    rig_close(&rig);
}
END_TEST

/* Each depth: a dot at (9, 5) through the frame buffer, with the picture moved by an offset. */
START_TEST(vbe_depths_are_drawn)
{
    static const unsigned depths[6] = { 4, 8, 15, 16, 24, 32 };
    static const uint32_t expected[6] = { 0, 0, 0x08ff84, 0xff0408, 0x123456, 0x345678 };
    static const uint32_t stored[6] = { 0, 0x9a, 1 << 10 | 31 << 5 | 16, 31 << 11 | 1 << 5 | 1, 0x123456, 0x12345678 };
    unsigned bpp = depths[_i];
    struct rig rig;

    rig_open(&rig);
    map_bars(&rig);
    set_mode(&rig, &MODE_12);
    set_colors(&rig);
    rig.vram.host[0] = 0x77;
    set_vbe(&rig, 640, 480, bpp);
    ck_assert_uint_eq(rig.vram.host[0], 0); /* cleared */
    dispi(&rig, 6, 800);
    dispi(&rig, 8, 16);
    dispi(&rig, 9, 3);
    unsigned x = 9 + 16, y = 5 + 3;
    if (bpp == 4) {
        gc(&rig, 5, 2);
        gc(&rig, 8, 0x80 >> (x % 8));
        box_write8(&rig.box, 0xa0000 + y * 100 + x / 8, 9);
    } else {
        unsigned bytes = (bpp + 7) / 8;
        for (unsigned n = 0; n < bytes; n++) {
            box_write8(&rig.box, LFB + (y * 800 + x) * bytes + n, (stored[_i] >> (8 * n)) & 0xff);
        }
    }
    ck_assert(render(&rig));
    ck_assert_uint_eq(rig.width, 640);
    ck_assert_uint_eq(rig.height, 480);
    uint32_t want = bpp == 4 ? color_of(0x39) : bpp == 8 ? color_of(0x9a) : expected[_i];
    ck_assert_uint_eq(pixel(&rig, 9, 5), want);
    ck_assert_uint_eq(pixel(&rig, 10, 5), bpp <= 8 ? color_of(0) : 0);
    rig_close(&rig);
}
END_TEST

START_TEST(vbe_banks_and_8bit_dac)
{
    struct rig rig;

    rig_open(&rig);
    map_bars(&rig);
    box_out8(&rig.box, 0x3c2, 0x67);
    set_vbe(&rig, 800, 600, 8);
    ck_assert_int_eq(kind_at(&rig, 0xa0000), REGION_MEMORY);
    dispi(&rig, 5, 3);
    ck_assert_int_eq(kind_at(&rig, 0xa0000), REGION_MEMORY);
    box_write8(&rig.box, 0xa0001, 0x5a);
    ck_assert_uint_eq(box_read8(&rig.box, LFB + 0x30001), 0x5a);
    dispi(&rig, 4, 0xe1); /* 8-bit DAC; the picture stays */
    ck_assert_uint_eq(box_read8(&rig.box, LFB + 0x30001), 0x5a);
    set_color(&rig, 0, 0xff, 0x81, 0x02);
    render(&rig);
    ck_assert_uint_eq(pixel(&rig, 0, 0), 0xff8102);
    dispi(&rig, 4, 0);
    ck_assert_uint_eq(dispi_read(&rig, 5), 0);
    rig_close(&rig);
}
END_TEST

/* ---- viewers, state, hostile guests ---- */

START_TEST(idle_screen_costs_nothing)
{
    struct rig rig;
    uint64_t stamp = 0, other = 0;

    rig_open(&rig);
    set_mode(&rig, &MODE_3);
    ck_assert(vga_changed_since(rig.box.dev, &stamp));
    ck_assert(!vga_changed_since(rig.box.dev, &stamp));
    ck_assert(vga_changed_since(rig.box.dev, &other));
    box_write8(&rig.box, 0xb8000, 'x');
    ck_assert(vga_changed_since(rig.box.dev, &stamp));
    ck_assert(!vga_changed_since(rig.box.dev, &stamp));
    ck_assert(vga_changed_since(rig.box.dev, &other));
    crtc(&rig, 0x0f, 7);
    ck_assert(vga_changed_since(rig.box.dev, &stamp));
    box_step_ns(&rig.box, 9 * UINT64_C(14268000)); /* the cursor blinks */
    ck_assert(vga_changed_since(rig.box.dev, &stamp));
    crtc(&rig, 0x0a, 0x20);
    attr(&rig, 0x10, 0);
    vga_changed_since(rig.box.dev, &stamp);
    box_step_ns(&rig.box, NS_PER_SECOND);
    ck_assert(!vga_changed_since(rig.box.dev, &stamp));
    map_bars(&rig);
    set_vbe(&rig, 640, 480, 32);
    vga_changed_since(rig.box.dev, &stamp);
    ck_assert(!vga_changed_since(rig.box.dev, &stamp));
    box_write8(&rig.box, LFB + 0x800000, 1); /* not on the screen */
    ck_assert(!vga_changed_since(rig.box.dev, &stamp));
    box_write8(&rig.box, LFB + 640 * 480 * 4 - 1, 1);
    ck_assert(vga_changed_since(rig.box.dev, &stamp));
    rig_close(&rig);
}
END_TEST

START_TEST(state_survives_save_and_load)
{
    struct rig rig;

    rig_open(&rig);
    set_mode(&rig, &MODE_3);
    set_colors(&rig);
    box_write16(&rig.box, 0xb8000, 0x1741);
    check_save_load(&rig.box, rig.properties);
    box_save_load(&rig.box);
    ck_assert_int_eq(kind_at(&rig, 0xb8000), REGION_MEMORY);
    ck_assert_uint_eq(box_read16(&rig.box, 0xb8000), 0x1741);
    map_bars(&rig);
    set_vbe(&rig, 640, 480, 16);
    dispi(&rig, 5, 2);
    box_write8(&rig.box, 0xa0000, 0x99);
    check_save_load(&rig.box, rig.properties);
    box_save_load(&rig.box);
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0x99);
    ck_assert_uint_eq(box_read8(&rig.box, LFB + 0x20000), 0x99);
    rig_close(&rig);
}
END_TEST

/* Whatever is written anywhere in any width: no crash, a picture within bounds, and a state that loads. */
START_TEST(random_accesses_are_harmless)
{
    static struct screen screen;
    static char text[70000];
    struct rig rig;
    uint32_t random = 99u + (uint32_t)_i;

    rig_open(&rig);
    map_bars(&rig);
    for (unsigned step = 0; step < 20000; step++) {
        static const uint16_t ports[] = { 0x3b4, 0x3ba, 0x3c0, 0x3c4, 0x3c8, 0x3cc, 0x3ce, 0x3d4, 0x3da, 0x1ce };
        uint32_t r = random_next(&random), value = random_next(&random) ^ random_next(&random) << 16;
        unsigned port = ports[r % 10] + ((r >> 8) & 3), size = 1u << ((r >> 10) % 3);
        phys_addr address = (r >> 12) % 3 == 0 ? MMIO + (value >> 8) % 0x700u : 0xa0000 + (value & 0x1ffff);
        if (r & 0x10000) {
            ports_write(rig.box.ports, (uint16_t)port, size, value);
            ports_read(rig.box.ports, (uint16_t)port, size);
        } else {
            space_write(rig.box.space, address, size, value);
            space_read(rig.box.space, address, size);
        }
        if (step % 200 == 0) {
            unsigned limit = 1 + value % 2000;
            box_step_ns(&rig.box, value);
            vga_render(rig.box.dev, rig.pixels, VGA_WIDTH_MAX, limit, limit / 2, &rig.width, &rig.height);
            ck_assert_uint_le(rig.width, limit);
            vga_describe(rig.box.dev, &screen);
            ck_assert_uint_lt(vga_text(rig.box.dev, text, sizeof text), sizeof text);
            render(&rig);
            uint64_t stamp = 0;
            vga_changed_since(rig.box.dev, &stamp);
        }
    }
    check_save_load(&rig.box, rig.properties);
    rig_close(&rig);
}
END_TEST

START_TEST(code_page_437)
{
    char utf8[4];

    ck_assert_uint_eq(cp437_to_unicode('A'), 'A');
    ck_assert_uint_eq(cp437_to_unicode(0xe1), 0xdf);
    ck_assert_uint_eq(cp437_to_unicode(0xdb), 0x2588);
    ck_assert_uint_eq(cp437_to_unicode(0), ' ');
    ck_assert_uint_eq(cp437_to_utf8(0x81, utf8), 2);
    ck_assert_mem_eq(utf8, "\xc3\xbc", 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vga");
    TCase *tcase = tcase_create("vga");

    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, class_properties);
    tcase_add_test(tcase, registers_keep_their_bits);
    tcase_add_test(tcase, crtc_write_protection);
    tcase_add_test(tcase, misc_output_moves_the_crtc);
    tcase_add_test(tcase, attribute_flip_flop);
    tcase_add_test(tcase, dac_reads_and_writes);
    tcase_add_test(tcase, retrace_bits_follow_time);
    tcase_add_loop_test(tcase, window_agrees_with_model, 0, 4);
    tcase_add_test(tcase, copy_with_latches);
    tcase_add_test(tcase, plain_windows_are_memory);
    tcase_add_test(tcase, wide_accesses_are_bytes_in_order);
    tcase_add_test(tcase, text_is_described);
    tcase_add_test(tcase, text_is_drawn);
    tcase_add_test(tcase, planar_and_cga_are_drawn);
    tcase_add_test(tcase, mode_13h_and_mode_x_are_drawn);
    tcase_add_test(tcase, pci_identity_and_bars);
    tcase_add_test(tcase, edid_is_valid);
    tcase_add_test(tcase, mmio_registers);
    tcase_add_test(tcase, dispi_registers);
    tcase_add_loop_test(tcase, vbe_depths_are_drawn, 0, 6);
    tcase_add_test(tcase, vbe_banks_and_8bit_dac);
    tcase_add_test(tcase, idle_screen_costs_nothing);
    tcase_add_test(tcase, state_survives_save_and_load);
    tcase_add_loop_test(tcase, random_accesses_are_harmless, 0, 4);
    tcase_add_test(tcase, code_page_437);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
