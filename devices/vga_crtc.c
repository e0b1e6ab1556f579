/* vga_crtc.c - the CRT controller of the VGA (vga.c): timing of the picture as a function of guest time, and the walk through
 * video memory line by line. IBM PS/2 Hardware Interface Technical Reference, "CRT Controller"; FreeVGA, "VGA CRT
 * Controller Registers".
 *
 * Not implemented: CR17 bit 2 (vertical counters at half rate), interlace, light pen, skew of display enable, the two
 * diagnostic bits of input status 1. */
#include "devices/vga_internal.h"

enum { CLOCK_25MHZ_HZ = 25175000, CLOCK_28MHZ_HZ = 28322000, VBE_FRAMES_PER_SECOND = 60 };

/* A vertical counter value of ten bits; bits 8 and 9 are in the overflow register. */
static uint32_t vertical(const struct vga *vga, unsigned reg, unsigned bit8, unsigned bit9)
{
    uint32_t overflow = vga->crtc[CR_OVERFLOW];

    return vga->crtc[reg] | ((overflow >> bit8) & 1) << 8 | ((overflow >> bit9) & 1) << 9;
}

static void vbe_timing(const struct vga *vga, struct vga_timing *t)
{
    t->active_dots = vga->dispi[DISPI_XRES];
    t->active_lines = vga->dispi[DISPI_YRES];
    t->line_dots = t->active_dots + t->active_dots / 4;
    t->frame_lines = t->active_lines + t->active_lines / 20 + 8;
    t->retrace_start = t->active_lines + 2;
    t->retrace_end = t->retrace_start + 4;
    t->clock_hz = t->line_dots * t->frame_lines * VBE_FRAMES_PER_SECOND;
}

void vga_timing(const struct vga *vga, struct vga_timing *t)
{
    uint32_t dots = vga_character_dots(vga) << (vga->seq[SR_CLOCKING] & SR1_HALF_CLOCK ? 1 : 0);

    if (vga_is_vbe(vga)) {
        vbe_timing(vga, t);
        return;
    }
    t->line_dots = (vga->crtc[CR_H_TOTAL] + 5u) * dots;
    t->active_dots = vga_columns(vga) * dots;
    t->frame_lines = vertical(vga, CR_V_TOTAL, 0, 5) + 2;
    t->active_lines = vertical(vga, CR_V_DISPLAY_END, 1, 6) + 1;
    t->retrace_start = vertical(vga, CR_V_RETRACE_START, 2, 7);
    if (t->retrace_start >= t->frame_lines) {
        t->retrace_start = t->frame_lines - 1; /* never reached: keep those that wait for it alive */
    }
    uint32_t length = (vga->crtc[CR_V_RETRACE_END] - t->retrace_start) & 0xf;
    t->retrace_end = t->retrace_start + (length ? length : 16);
    t->clock_hz = (vga->misc_output & MISC_CLOCK_SELECT) == MISC_CLOCK_28MHZ ? CLOCK_28MHZ_HZ : CLOCK_25MHZ_HZ;
}

static uint64_t dots_since_start(const struct vga *vga, const struct vga_timing *t)
{
    return mul_div_u64(clock_now(vga->dev.clock), t->clock_hz, NS_PER_SECOND);
}

uint8_t vga_input_status_1(const struct vga *vga)
{
    struct vga_timing t;
    uint8_t status = 0;

    vga_timing(vga, &t);
    uint64_t dot = dots_since_start(vga, &t) % ((uint64_t)t.line_dots * t.frame_lines);
    uint32_t line = (uint32_t)(dot / t.line_dots), column = (uint32_t)(dot % t.line_dots);
    if (line >= t.active_lines || column >= t.active_dots) {
        status |= 0x01; /* display disabled */
    }
    if (line >= t.retrace_start && line < t.retrace_end) {
        status |= 0x09; /* vertical retrace */
    }
    return status;
}

uint64_t vga_frame(const struct vga *vga)
{
    struct vga_timing t;

    vga_timing(vga, &t);
    return dots_since_start(vga, &t) / ((uint64_t)t.line_dots * t.frame_lines);
}

bool vga_is_blanked(const struct vga *vga)
{
    return (vga->seq[SR_CLOCKING] & SR1_SCREEN_OFF) || !(vga->attr_index & ATTR_INDEX_PAS);
}

void vga_size(const struct vga *vga, unsigned *width, unsigned *height)
{
    struct vga_timing t;
    unsigned dots = vga_is_text(vga) ? vga_character_dots(vga) : 8;

    vga_timing(vga, &t);
    *height = t.active_lines;
    *width = vga_is_vbe(vga) ? t.active_dots : (vga_columns(vga) * dots) << (vga->seq[SR_CLOCKING] & SR1_HALF_CLOCK ? 1 : 0);
}

uint32_t vga_memory_address_start(const struct vga *vga)
{
    uint32_t byte_panning = (vga->crtc[CR_PRESET_ROW] >> 5) & 3;

    return ((uint32_t)vga->crtc[CR_START_HIGH] << 8 | vga->crtc[CR_START_LOW]) + byte_panning;
}

/* The cursor skew delays it by so many characters. */
uint32_t vga_cursor_address(const struct vga *vga)
{
    uint32_t skew = (vga->crtc[CR_CURSOR_END] >> 5) & 3;

    return (((uint32_t)vga->crtc[CR_CURSOR_HIGH] << 8 | vga->crtc[CR_CURSOR_LOW]) + skew) & 0xffff;
}

bool vga_is_cursor_enabled(const struct vga *vga)
{
    return !(vga->crtc[CR_CURSOR_START] & 0x20) &&
           (vga->crtc[CR_CURSOR_START] & 0x1f) <= (vga->crtc[CR_CURSOR_END] & 0x1f) &&
           (vga->crtc[CR_CURSOR_START] & 0x1f) <= (vga->crtc[CR_MAX_SCAN] & 0x1f);
}

void vga_scan_first(const struct vga *vga, struct vga_scan *scan)
{
    scan->row_address = vga_memory_address_start(vga) & 0xffff;
    scan->row_scan = vga->crtc[CR_PRESET_ROW] & 0x1f;
    scan->line = 0;
    scan->is_split = false;
    scan->is_repeat = false;
}

/* CR9 bit 7 shows each line of a character row twice; the line compare register starts again at address 0. */
void vga_scan_next(const struct vga *vga, struct vga_scan *scan)
{
    uint32_t max_scan = vga->crtc[CR_MAX_SCAN];
    uint32_t compare = vga->crtc[CR_LINE_COMPARE] | ((vga->crtc[CR_OVERFLOW] >> 4) & 1u) << 8 | ((max_scan >> 6) & 1) << 9;

    if (scan->line++ == compare) {
        /* Byte panning goes on below the split like dot panning, unless AR10 bit 5 ends both. */
        scan->row_address = vga->attr[AR_MODE] & AR10_PANNING_COMPAT ? 0 : (vga->crtc[CR_PRESET_ROW] >> 5) & 3u;
        scan->row_scan = 0;
        scan->is_split = true;
        scan->is_repeat = false;
        return;
    }
    if ((max_scan & 0x80) && !scan->is_repeat) {
        scan->is_repeat = true;
        return;
    }
    scan->is_repeat = false;
    if (scan->row_scan == (max_scan & 0x1f)) {
        scan->row_scan = 0;
        scan->row_address = (scan->row_address + vga->crtc[CR_OFFSET] * 2u) & 0xffff;
    } else {
        scan->row_scan = (scan->row_scan + 1) & 0x1f;
    }
}

/* Byte, word or doubleword addressing (CR14 bit 6, CR17 bits 5 and 6), then row scan bits in place of address bits 13
 * and 14 for the CGA's and Hercules' interleaved lines (CR17 bits 0 and 1). */
uint32_t vga_scan_address(const struct vga *vga, const struct vga_scan *scan, uint32_t ma)
{
    uint8_t mode = vga->crtc[CR_MODE];
    uint32_t address = ma;

    if (vga->crtc[CR_UNDERLINE] & 0x40) {
        address = ma << 2 | ((ma >> 14) & 3);
    } else if (!(mode & 0x40)) {
        address = ma << 1 | ((ma >> (mode & 0x20 ? 15 : 13)) & 1);
    }
    if (!(mode & 0x01)) {
        address = (address & ~0x2000u) | (scan->row_scan & 1) << 13;
    }
    if (!(mode & 0x02)) {
        address = (address & ~0x4000u) | ((scan->row_scan >> 1) & 1) << 14;
    }
    return address & 0xffff;
}
