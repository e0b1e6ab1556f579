/* vga_render.c - the picture of the VGA (vga.c), drawn for a frontend: dots through attribute controller and DAC into
 * 0x00RRGGBB. IBM PS/2 Hardware Interface Technical Reference, "Attribute Controller" and "Video Digital-to-Analog
 * Converter"; FreeVGA, "VGA Video Output".
 *
 * A legacy mode is drawn dot by dot as a monitor gets it: mode 13h is 640x400. */
#include "devices/vga_internal.h"

#include <string.h>

enum {
    COLUMNS_MAX = 256,
    /* One line: the displayed characters and one more, which panning shows in part. */
    LINE_DOTS_MAX = (COLUMNS_MAX + 1) * 9 + 16
};

/* ---- colours ---- */

static uint32_t dac_color(const struct vga *vga, uint8_t index)
{
    const uint8_t *rgb = &vga->palette[(index & vga->dac_mask) * 3];
    uint32_t color = 0;

    for (unsigned n = 0; n < 3; n++) {
        uint32_t level = rgb[n];
        if (!(vga->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC)) {
            level = ((level << 2) | (level >> 4)) & 0xff;
        }
        color = color << 8 | level;
    }
    return color;
}

/* The attribute controller's sixteen colours: plane enable, palette registers, colour select. */
static void attribute_colors(const struct vga *vga, uint32_t colors[16])
{
    unsigned select = vga->attr[AR_COLOR_SELECT];

    for (unsigned n = 0; n < 16; n++) {
        unsigned index = vga->attr[n & vga->attr[AR_PLANE_ENABLE] & 0xf] & 0x3f;
        if (vga->attr[AR_MODE] & AR10_P54_SELECT) {
            index = (index & 0x0f) | (select & 3) << 4;
        }
        colors[n] = dac_color(vga, (uint8_t)(index | (select & 0xc) << 4));
    }
}

/* ---- legacy graphics ---- */

static uint32_t load_planes(const struct vga *vga, uint32_t offset)
{
    const uint8_t *host = vga->vram->host;
    uint32_t all = 0;

    for (unsigned plane = 0; plane < 4; plane++) {
        all |= (uint32_t)host[vga_plane_index(vga->layout, plane, offset)] << (8 * plane);
    }
    return all;
}

/* Eight dots of one bit from each plane. */
static void draw_planar(uint32_t all, const uint32_t colors[16], uint32_t *pixels)
{
    for (unsigned dot = 0; dot < 8; dot++) {
        uint32_t bits = all >> (7 - dot);
        pixels[dot] = colors[(bits & 1) | ((bits >> 7) & 2) | ((bits >> 14) & 4) | ((bits >> 21) & 8)];
    }
}

/* Shift registers interleaved (CGA modes 4 and 5): pairs of bits, of planes 0 and 2 for four dots, then of 1 and 3. */
static void draw_interleaved(uint32_t all, const uint32_t colors[16], uint32_t *pixels)
{
    for (unsigned dot = 0; dot < 8; dot++) {
        unsigned shift = (3 - (dot & 3)) * 2 + (dot >> 2) * 8;
        pixels[dot] = colors[((all >> shift) & 3) | ((all >> (shift + 16)) & 3) << 2];
    }
}

/* 256 colours: a byte of each plane, each two dots wide. */
static void draw_256(const struct vga *vga, uint32_t all, uint32_t *pixels)
{
    for (unsigned plane = 0; plane < 4; plane++) {
        pixels[2 * plane] = pixels[2 * plane + 1] = dac_color(vga, (uint8_t)(all >> (8 * plane)));
    }
}

static void draw_graphics_line(const struct vga *vga, const struct vga_scan *scan, const uint32_t colors[16],
                               unsigned columns, uint32_t *pixels)
{
    /* CR17 bit 3 and CR14 bit 5: the address counter moves every second or fourth character. */
    unsigned slower = vga->crtc[CR_UNDERLINE] & 0x20 ? 2 : vga->crtc[CR_MODE] & 0x08 ? 1 : 0;

    for (unsigned column = 0; column < columns; column++, pixels += 8) {
        uint32_t ma = (scan->row_address + (column >> slower)) & 0xffff;
        uint32_t all = load_planes(vga, vga_scan_address(vga, scan, ma));
        if (vga->gc[GR_MODE] & GR5_SHIFT_256) {
            draw_256(vga, all, pixels);
        } else if (vga->gc[GR_MODE] & GR5_SHIFT_INTERLEAVE) {
            draw_interleaved(all, colors, pixels);
        } else {
            draw_planar(all, colors, pixels);
        }
    }
}

/* Dots by which the picture is moved left. With nine dots, 8 means none and 0 means one. */
static unsigned panning(const struct vga *vga, const struct vga_scan *scan)
{
    unsigned value = vga->attr[AR_PANNING] & 0xf;

    if (scan->is_split && (vga->attr[AR_MODE] & AR10_PANNING_COMPAT)) {
        value = vga_is_text(vga) && vga_character_dots(vga) == 9 ? 8 : 0;
    }
    if (vga_is_text(vga) && vga_character_dots(vga) == 9) {
        return value < 8 ? value + 1 : 0;
    }
    return vga->gc[GR_MODE] & GR5_SHIFT_256 && !vga_is_text(vga) ? value & 6 : value & 7;
}

static void render_legacy(const struct vga *vga, uint32_t *pixels, unsigned stride_pixels, unsigned width,
                          unsigned height)
{
    uint32_t line[LINE_DOTS_MAX], colors[16];
    unsigned half = vga->seq[SR_CLOCKING] & SR1_HALF_CLOCK ? 1 : 0, columns = vga_columns(vga) + 1;
    struct vga_scan scan, drawn = { 0 };

    memset(line, 0, sizeof line);
    attribute_colors(vga, colors);
    vga_scan_first(vga, &scan);
    for (unsigned y = 0; y < height; y++, vga_scan_next(vga, &scan)) {
        uint32_t *out = pixels + (size_t)y * stride_pixels;
        if (y != 0 && scan.row_address == drawn.row_address && scan.row_scan == drawn.row_scan &&
            scan.is_split == drawn.is_split) {
            memcpy(out, out - stride_pixels, width * sizeof *out);
            continue;
        }
        drawn = scan;
        if (vga_is_text(vga)) {
            vga_draw_text_line(vga, &scan, colors, columns, line);
        } else {
            draw_graphics_line(vga, &scan, colors, columns, line);
        }
        const uint32_t *from = line + panning(vga, &scan);
        for (unsigned x = 0; x < width; x++) {
            out[x] = from[x >> half];
        }
    }
}

/* ---- VBE modes ---- */

static uint32_t scaled(uint32_t value, unsigned bits)
{
    value &= (1u << bits) - 1;
    return (value << (8 - bits)) | (value >> (2 * bits - 8));
}

static void draw_vbe_planar(const struct vga *vga, uint64_t offset, unsigned first, uint32_t *out, unsigned width)
{
    uint32_t colors[16], dots[8];

    attribute_colors(vga, colors);
    for (unsigned x = 0; x < width; x++) {
        unsigned dot = (first + x) & 7;
        if (x == 0 || dot == 0) {
            draw_planar(load_le32(vga->vram->host + (offset + (first + x) / 8) * 4), colors, dots);
        }
        out[x] = dots[dot];
    }
}

static void draw_vbe_line(const struct vga *vga, const uint8_t *from, const uint32_t *palette, uint32_t *out,
                          unsigned width)
{
    switch (vga->dispi[DISPI_BPP]) {
    case 8:
        for (unsigned x = 0; x < width; x++) {
            out[x] = palette[from[x]];
        }
        break;
    case 15:
        for (unsigned x = 0; x < width; x++) {
            uint32_t c = load_le16(from + 2 * x);
            out[x] = scaled(c >> 10, 5) << 16 | scaled(c >> 5, 5) << 8 | scaled(c, 5);
        }
        break;
    case 16:
        for (unsigned x = 0; x < width; x++) {
            uint32_t c = load_le16(from + 2 * x);
            out[x] = scaled(c >> 11, 5) << 16 | scaled(c >> 5, 6) << 8 | scaled(c, 5);
        }
        break;
    case 24:
        for (unsigned x = 0; x < width; x++) {
            out[x] = (uint32_t)from[3 * x + 2] << 16 | (uint32_t)from[3 * x + 1] << 8 | from[3 * x];
        }
        break;
    default:
        for (unsigned x = 0; x < width; x++) {
            out[x] = load_le32(from + 4 * x) & 0xffffff;
        }
        break;
    }
}

/* First byte shown (of one plane with 4 bits a pixel) and bytes of a line. */
static uint64_t vbe_start(const struct vga *vga)
{
    unsigned bpp = vga->dispi[DISPI_BPP];
    uint64_t x = vga->dispi[DISPI_X_OFFSET];

    return (uint64_t)vga->dispi[DISPI_Y_OFFSET] * vga_dispi_pitch(vga) + (bpp == 4 ? x / 8 : x * ((bpp + 7) / 8));
}

/* dispi_fix() has seen to it that every line lies in video memory, except that offsets into the last virtual line may
 * reach past its end by nothing: x offset and width are within the virtual width. */
static void render_vbe(const struct vga *vga, uint32_t *pixels, unsigned stride_pixels, unsigned width, unsigned height)
{
    uint64_t start = vbe_start(vga), pitch = vga_dispi_pitch(vga);
    uint32_t palette[256];

    for (unsigned n = 0; n < 256; n++) {
        palette[n] = dac_color(vga, (uint8_t)n);
    }
    for (unsigned y = 0; y < height; y++) {
        uint32_t *out = pixels + (size_t)y * stride_pixels;
        if (vga->dispi[DISPI_BPP] == 4) {
            draw_vbe_planar(vga, start + y * pitch, vga->dispi[DISPI_X_OFFSET] & 7u, out, width);
        } else {
            draw_vbe_line(vga, vga->vram->host + start + y * pitch, palette, out, width);
        }
    }
}

/* ---- for frontends ---- */

bool vga_render(struct device *dev, uint32_t *pixels, unsigned stride_pixels, unsigned max_width, unsigned max_height,
                unsigned *width, unsigned *height)
{
    const struct vga *vga = (const struct vga *)(const void *)dev;

    vga_size(vga, width, height);
    *width = *width < max_width ? *width : max_width;
    *height = *height < max_height ? *height : max_height;
    if (vga_is_blanked(vga)) {
        for (unsigned y = 0; y < *height; y++) {
            memset(pixels + (size_t)y * stride_pixels, 0, *width * sizeof *pixels);
        }
        return false;
    }
    if (vga_is_vbe(vga)) {
        render_vbe(vga, pixels, stride_pixels, *width, *height);
    } else {
        render_legacy(vga, pixels, stride_pixels, *width, *height);
    }
    return true;
}

bool vga_is_square(struct device *dev)
{
    return vga_is_vbe((const struct vga *)(const void *)dev);
}

/* Whether a page on display was written since the last call, which then looks at all of them anew. */
static bool collect_writes(struct vga *vga)
{
    uint64_t first = 0, last = VGA_LEGACY_SIZE - 1;
    uint8_t *flags = vga->vram->page_flags;
    bool is_written = false;

    if (vga_is_vbe(vga)) {
        uint64_t scale = vga->dispi[DISPI_BPP] == 4 ? 4 : 1;
        first = vbe_start(vga) * scale;
        last = first + (uint64_t)vga_dispi_pitch(vga) * vga->dispi[DISPI_YRES] * scale - 1;
        last = last < vga->vram->size ? last : vga->vram->size - 1;
    }
    for (uint64_t page = first >> GUEST_PAGE_SHIFT; page <= last >> GUEST_PAGE_SHIFT; page++) {
        if (!(flags[page] & PAGE_DISPLAY)) {
            flags[page] |= PAGE_DISPLAY;
            is_written = true;
        }
    }
    if (is_written && vga->vram->flags_cleared != NULL) {
        vga->vram->flags_cleared(vga->vram->code_written_context);
    }
    return is_written;
}

bool vga_changed_since(struct device *dev, uint64_t *stamp)
{
    struct vga *vga = (struct vga *)(void *)dev;
    uint64_t phases = vga_blink_phases(vga);

    if (collect_writes(vga) || phases != vga->blink_shown) {
        vga->blink_shown = phases;
        vga->generation++;
    }
    if (*stamp == vga->generation) {
        return false;
    }
    *stamp = vga->generation;
    return true;
}
