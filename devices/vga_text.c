/* vga_text.c - text modes of the VGA (vga.c): characters from planes 0 and 1, fonts from plane 2, cursor, blinking and
 * underline. IBM PS/2 Hardware Interface Technical Reference, "Alphanumeric Modes"; FreeVGA, "VGA Text Mode Operation".
 *
 * Fonts are 32 bytes a character, eight of them at the places that SR3 selects. Characters blink every 32 frames, the
 * cursor every 16, counted in frames of guest time. */
#include "devices/vga_internal.h"

#include "devices/cp437.h"

#include <string.h>

enum { CURSOR_BLINK_FRAMES = 8, CHARACTER_BLINK_FRAMES = 16, FONT_CHARACTER_BYTES = 32 };

static uint8_t plane_byte(const struct vga *vga, unsigned plane, uint32_t offset)
{
    return vga->vram->host[vga_plane_index(vga->layout, plane, offset & 0xffff)];
}

uint64_t vga_blink_phases(const struct vga *vga)
{
    uint64_t frame, phases = 0;

    if (!vga_is_text(vga)) {
        return 0;
    }
    frame = vga_frame(vga);
    if (vga_is_cursor_enabled(vga)) {
        phases |= (frame / CURSOR_BLINK_FRAMES) & 1;
    }
    if (vga->attr[AR_MODE] & AR10_BLINK) {
        phases |= ((frame / CHARACTER_BLINK_FRAMES) & 1) << 1;
    }
    return phases;
}

/* SR3: which of the eight fonts characters with attribute bit 3 set (map A) and clear (map B) are taken from. Maps 4 to
 * 7 lie between maps 0 to 3. */
static void font_offsets(const struct vga *vga, uint32_t *map_a, uint32_t *map_b)
{
    uint32_t reg = vga->seq[SR_CHARACTER_MAP];

    *map_a = ((reg >> 2) & 3) * 0x4000 + ((reg >> 5) & 1) * 0x2000;
    *map_b = (reg & 3) * 0x4000 + ((reg >> 4) & 1) * 0x2000;
}

/* What is the same for all characters of a line. */
struct text_line {
    uint32_t map_a, map_b;
    unsigned dots;
    bool is_cursor_line, is_blink_off, is_underline;
};

static void draw_character(const struct vga *vga, const struct text_line *line, const struct vga_scan *scan, uint32_t ma,
                           const uint32_t colors[16], uint32_t *pixels)
{
    uint32_t offset = vga_scan_address(vga, scan, ma);
    uint8_t character = plane_byte(vga, 0, offset), attribute = plane_byte(vga, 1, offset);
    uint32_t font = attribute & 8 ? line->map_a : line->map_b;
    unsigned bits = plane_byte(vga, 2, font + character * (uint32_t)FONT_CHARACTER_BYTES + scan->row_scan);
    unsigned foreground = attribute & 0xf, background = attribute >> 4;

    /* The ninth dot is background, but for the line drawing characters, which repeat the eighth. */
    bits <<= 1;
    if ((vga->attr[AR_MODE] & AR10_LINE_GRAPHICS) && character >= 0xc0 && character <= 0xdf) {
        bits |= (bits >> 1) & 1;
    }
    if (line->is_underline && (attribute & 0x77) == 0x01) {
        bits = 0x1ff;
    }
    if (vga->attr[AR_MODE] & AR10_BLINK) {
        if ((attribute & 0x80) && line->is_blink_off) {
            bits = 0;
        }
        background &= 7;
    }
    if (line->is_cursor_line && ma == vga_cursor_address(vga)) {
        bits = 0x1ff;
    }
    for (unsigned dot = 0; dot < line->dots; dot++) {
        pixels[dot] = colors[(bits >> (8 - dot)) & 1 ? foreground : background];
    }
}

void vga_draw_text_line(const struct vga *vga, const struct vga_scan *scan, const uint32_t colors[16], unsigned columns,
                        uint32_t *pixels)
{
    uint64_t phases = vga_blink_phases(vga);
    uint32_t cursor_start = vga->crtc[CR_CURSOR_START] & 0x1f, cursor_end = vga->crtc[CR_CURSOR_END] & 0x1f;
    struct text_line line;

    font_offsets(vga, &line.map_a, &line.map_b);
    line.dots = vga_character_dots(vga);
    line.is_cursor_line = vga_is_cursor_enabled(vga) && (phases & 1) == 0 && scan->row_scan >= cursor_start &&
                          scan->row_scan <= cursor_end;
    line.is_blink_off = (phases & 2) != 0;
    line.is_underline = scan->row_scan == (vga->crtc[CR_UNDERLINE] & 0x1fu);
    for (unsigned column = 0; column < columns; column++) {
        draw_character(vga, &line, scan, (scan->row_address + column) & 0xffff, colors, pixels + column * line.dots);
    }
}

/* ---- for frontends ---- */

static void describe_row(const struct vga *vga, const struct vga_scan *scan, struct screen *screen)
{
    struct screen_text_cell *cell = &screen->cells[screen->rows * screen->columns];

    for (unsigned column = 0; column < screen->columns; column++) {
        uint32_t ma = (scan->row_address + column) & 0xffff;
        uint32_t offset = vga_scan_address(vga, scan, ma);
        cell[column].character = plane_byte(vga, 0, offset);
        cell[column].attribute = plane_byte(vga, 1, offset);
        if (vga_is_cursor_enabled(vga) && ma == vga_cursor_address(vga) && screen->cursor_row < 0) {
            screen->cursor_column = (int)column;
            screen->cursor_row = (int)screen->rows;
        }
    }
    screen->rows++;
}

/* Whole rows: one that the end of the picture cuts off is not counted. */
static void describe_text(const struct vga *vga, struct screen *screen)
{
    struct vga_scan scan;
    uint32_t last = vga->crtc[CR_MAX_SCAN] & 0x1f;
    bool is_doubled = (vga->crtc[CR_MAX_SCAN] & 0x80) != 0;

    screen->columns = vga_columns(vga);
    vga_scan_first(vga, &scan);
    while (scan.line < screen->height && screen->rows < SCREEN_TEXT_ROWS_MAX) {
        if (scan.row_scan == last && scan.is_repeat == is_doubled) {
            struct vga_scan row = scan;
            row.row_scan = 0;
            describe_row(vga, &row, screen);
        }
        vga_scan_next(vga, &scan);
    }
}

void vga_describe(struct device *dev, struct screen *screen)
{
    const struct vga *vga = (const struct vga *)(const void *)dev;

    memset(screen, 0, sizeof *screen);
    screen->cursor_column = screen->cursor_row = -1;
    screen->is_text = vga_is_text(vga);
    screen->is_blanked = vga_is_blanked(vga);
    vga_size(vga, &screen->width, &screen->height);
    if (screen->is_text) {
        unsigned start = vga->crtc[CR_CURSOR_START] & 0x1f, end = vga->crtc[CR_CURSOR_END] & 0x1f;
        screen->has_blink = (vga->attr[AR_MODE] & AR10_BLINK) != 0;
        screen->is_cursor_tall = end >= start && 2 * (end - start + 1) > (vga->crtc[CR_MAX_SCAN] & 0x1fu);
        describe_text(vga, screen);
    }
}

static size_t trimmed_length(const struct screen_text_cell *cells, unsigned columns)
{
    size_t length = columns;

    while (length > 0 && cp437_to_unicode(cells[length - 1].character) == ' ') {
        length--;
    }
    return length;
}

/* Appends `bytes` and leaves room for the terminator; false when they do not fit. */
static bool append(char *out, size_t size, size_t *used, const char *bytes, size_t count)
{
    if (*used + count + 1 > size) {
        return false;
    }
    memcpy(out + *used, bytes, count);
    *used += count;
    out[*used] = '\0';
    return true;
}

size_t vga_text(struct device *dev, char *out, size_t size)
{
    struct screen screen;
    size_t used = 0;

    if (size == 0) {
        return 0;
    }
    out[0] = '\0';
    vga_describe(dev, &screen);
    for (unsigned row = 0; row < screen.rows; row++) {
        const struct screen_text_cell *cells = &screen.cells[row * screen.columns];
        size_t length = trimmed_length(cells, screen.columns);
        for (size_t column = 0; column < length; column++) {
            char utf8[4];
            size_t bytes = cp437_to_utf8(cells[column].character, utf8);
            if (!append(out, size, &used, utf8, bytes)) {
                return used;
            }
        }
        if (!append(out, size, &used, "\n", 1)) {
            return used;
        }
    }
    return used;
}
