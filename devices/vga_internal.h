/* vga_internal.h - registers and state of the VGA, shared by vga.c (registers, class), vga_dispi.c (Bochs extension),
 * vga_memory.c (the CPU's way to video memory) and vga_crtc.c, vga_text.c and vga_render.c (what the monitor sees). */
#ifndef DEVICES_VGA_INTERNAL_H
#define DEVICES_VGA_INTERNAL_H

#include "devices/pci.h"
#include "devices/vga.h"

enum {
    VGA_PLANE_SIZE = 0x10000,                 /* one of the four planes of a real VGA */
    VGA_LEGACY_SIZE = 4 * VGA_PLANE_SIZE,     /* its 256 KiB */
    VGA_WINDOW_BASE = 0xa0000,
    VGA_WINDOW_SIZE = 0x20000,
    /* RAM is below, SMRAM of the host bridge must be above both. */
    VGA_WINDOW_PRIORITY = 10,
    VGA_DIRECT_PRIORITY = 11
};

/* Sequencer, ports 3C4h/3C5h. */
enum { SR_RESET, SR_CLOCKING, SR_MAP_MASK, SR_CHARACTER_MAP, SR_MEMORY_MODE };
enum {
    SR1_8_DOT = 0x01,
    SR1_HALF_CLOCK = 0x08,
    SR1_SCREEN_OFF = 0x20,
    SR4_SEQUENTIAL = 0x04, /* set: no odd/even */
    SR4_CHAIN4 = 0x08
};

/* Graphics controller, ports 3CEh/3CFh. */
enum {
    GR_SET_RESET,
    GR_ENABLE_SET_RESET,
    GR_COLOR_COMPARE,
    GR_ROTATE,
    GR_READ_MAP,
    GR_MODE,
    GR_MISC,
    GR_COLOR_DONT_CARE,
    GR_BIT_MASK
};
enum {
    GR5_READ_MODE_1 = 0x08,
    GR5_ODD_EVEN = 0x10,
    GR5_SHIFT_INTERLEAVE = 0x20,
    GR5_SHIFT_256 = 0x40,
    GR6_GRAPHICS = 0x01,
    GR6_CHAIN_ODD_EVEN = 0x02
};

/* CRT controller, ports 3D4h/3D5h or 3B4h/3B5h. */
enum {
    CR_H_TOTAL = 0x00,
    CR_H_DISPLAY_END = 0x01,
    CR_V_TOTAL = 0x06,
    CR_OVERFLOW = 0x07,
    CR_PRESET_ROW = 0x08,
    CR_MAX_SCAN = 0x09,
    CR_CURSOR_START = 0x0a,
    CR_CURSOR_END = 0x0b,
    CR_START_HIGH = 0x0c,
    CR_START_LOW = 0x0d,
    CR_CURSOR_HIGH = 0x0e,
    CR_CURSOR_LOW = 0x0f,
    CR_V_RETRACE_START = 0x10,
    CR_V_RETRACE_END = 0x11,
    CR_V_DISPLAY_END = 0x12,
    CR_OFFSET = 0x13,
    CR_UNDERLINE = 0x14,
    CR_MODE = 0x17,
    CR_LINE_COMPARE = 0x18,
    CR_LATCH = 0x22,         /* undocumented: the latch that GR4 selects */
    CR_ATTRIBUTE_STATE = 0x24 /* undocumented: bit 7 is the attribute flip-flop */
};

/* Attribute controller, ports 3C0h/3C1h. */
enum { AR_MODE = 0x10, AR_OVERSCAN, AR_PLANE_ENABLE, AR_PANNING, AR_COLOR_SELECT };
enum {
    AR10_LINE_GRAPHICS = 0x04,
    AR10_BLINK = 0x08,
    AR10_PANNING_COMPAT = 0x20,
    AR10_P54_SELECT = 0x80,
    ATTR_INDEX_PAS = 0x20 /* palette address source: 0 blanks the screen */
};

/* Miscellaneous output register, written at 3C2h. */
enum { MISC_COLOR = 0x01, MISC_RAM_ENABLE = 0x02, MISC_CLOCK_28MHZ = 0x04, MISC_CLOCK_SELECT = 0x0c };

/* Bochs VBE extension ("dispi"), ports 1CEh to 1D0h. */
enum {
    DISPI_ID,
    DISPI_XRES,
    DISPI_YRES,
    DISPI_BPP,
    DISPI_ENABLE,
    DISPI_BANK,
    DISPI_VIRT_WIDTH,
    DISPI_VIRT_HEIGHT,
    DISPI_X_OFFSET,
    DISPI_Y_OFFSET,
    DISPI_VIDEO_MEMORY_64K,
    DISPI_COUNT
};
enum {
    DISPI_ENABLED = 0x01,
    DISPI_GETCAPS = 0x02,
    DISPI_8BIT_DAC = 0x20,
    DISPI_LFB = 0x40,
    DISPI_NOCLEARMEM = 0x80
};

/* How the 256 KiB of the four planes lie in video memory; see vga_memory.c. */
enum vga_layout {
    LAYOUT_PLANAR, /* byte `offset` of plane p at offset * 4 + p */
    LAYOUT_TEXT,   /* what odd/even addressing shows is consecutive */
    LAYOUT_CHAIN4  /* what chain-4 addressing shows is consecutive */
};

enum vga_window { WINDOW_NONE, WINDOW_IO, WINDOW_DIRECT };

struct vga {
    struct device dev;
    struct pci_function pci;

    struct memory *vram;
    uint8_t *scratch; /* VGA_LEGACY_SIZE bytes for vga_set_layout */
    struct region window_io, window_64k, window_32k, lfb, mmio, rom;
    uint64_t generation; /* counts changes of the picture; viewers compare it */
    uint64_t blink_shown; /* blink phases when `generation` was last taken */
    /* Derived from the registers by vga_update_window. */
    uint32_t window_start, window_size; /* the decoded part of A0000h-BFFFFh, relative to A0000h */
    uint32_t window_kind;               /* enum vga_window */
    uint8_t edid[256];

    uint32_t latches; /* plane p in bits 8p to 8p+7 */
    uint16_t dispi[12];
    uint16_t dispi_index;
    uint8_t layout; /* enum vga_layout */
    uint8_t misc_output, feature_control, subsystem_enable;
    uint8_t seq_index, gc_index, crtc_index, attr_index;
    uint8_t attr_is_data; /* the flip-flop: the next write of 3C0h is data */
    uint8_t dac_mask, dac_address, dac_component, dac_is_reading;
    uint8_t dac_latch[3];
    uint8_t seq[8], gc[16], crtc[32], attr[32];
    uint8_t palette[768]; /* red, green, blue; 6 bits each, or 8 with DISPI_8BIT_DAC */
    uint8_t pad_[6];
};

/* vga.c */
uint32_t vga_register_read(struct vga *vga, unsigned port);
void vga_register_write(struct vga *vga, unsigned port, uint8_t value);

/* vga_dispi.c */
uint32_t vga_dispi_read(const struct vga *vga, unsigned index);
void vga_dispi_write(struct vga *vga, unsigned index, uint16_t value);
/* Brings registers that were loaded into range. */
void vga_dispi_check(struct vga *vga);
void vga_build_edid(uint8_t edid[256]);
extern const struct region_ops vga_mmio_ops;
static inline bool vga_is_vbe(const struct vga *vga) { return (vga->dispi[DISPI_ENABLE] & DISPI_ENABLED) != 0; }
/* Bytes from one line to the next of a VBE mode (of one plane with 4 bits a pixel). */
uint32_t vga_dispi_pitch(const struct vga *vga);

/* vga_memory.c */
extern const struct region_ops vga_window_ops;
/* Brings the layout and the legacy window in line with the registers; cheap when they are. */
void vga_update_window(struct vga *vga);
/* Marks pages [offset, offset + size) written, as must be done before storing to them. */
void vga_mark_written(struct vga *vga, uint64_t offset, uint64_t size);

/* Where byte `offset` (0-FFFFh) of `plane` lies in video memory. */
static inline uint32_t vga_plane_index(uint8_t layout, unsigned plane, uint32_t offset)
{
    switch (layout) {
    case LAYOUT_TEXT:
        return (plane >> 1) * 0x20000u + (offset & 1) * 0x10000u + (offset & 0xfffe) + (plane & 1);
    case LAYOUT_CHAIN4:
        return (offset & 3) * 0x10000u + (offset & 0xfffc) + plane;
    default:
        return offset * 4 + plane;
    }
}

/* vga_crtc.c: timing, and the walk of the CRT controller through video memory. */
struct vga_timing {
    uint32_t line_dots, frame_lines;     /* totals */
    uint32_t active_dots, active_lines;  /* displayed */
    uint32_t retrace_start, retrace_end; /* lines, vertical retrace */
    uint32_t clock_hz;                   /* dots a second */
};
void vga_timing(const struct vga *vga, struct vga_timing *timing);
uint8_t vga_input_status_1(const struct vga *vga);
/* Frames since power-on, for blinking. */
uint64_t vga_frame(const struct vga *vga);

struct vga_scan {
    uint32_t row_address; /* memory address counter at the start of the line */
    uint32_t row_scan;    /* line in the character row */
    uint32_t line;
    bool is_split;   /* below line compare */
    bool is_repeat; /* the second of two equal lines */
};
void vga_scan_first(const struct vga *vga, struct vga_scan *scan);
void vga_scan_next(const struct vga *vga, struct vga_scan *scan);
/* Plane offset that the CRT controller puts out for memory address counter `ma`. */
uint32_t vga_scan_address(const struct vga *vga, const struct vga_scan *scan, uint32_t ma);

static inline unsigned vga_columns(const struct vga *vga) { return vga->crtc[CR_H_DISPLAY_END] + 1u; }
static inline unsigned vga_character_dots(const struct vga *vga) { return vga->seq[SR_CLOCKING] & SR1_8_DOT ? 8 : 9; }
static inline bool vga_is_text(const struct vga *vga)
{
    return !vga_is_vbe(vga) && !(vga->gc[GR_MISC] & GR6_GRAPHICS);
}
bool vga_is_blanked(const struct vga *vga);
void vga_size(const struct vga *vga, unsigned *width, unsigned *height);
uint32_t vga_memory_address_start(const struct vga *vga);
uint32_t vga_cursor_address(const struct vga *vga);
bool vga_is_cursor_enabled(const struct vga *vga);

/* vga_text.c: bit 0: the cursor is hidden, bit 1: blinking characters are; 0 where nothing blinks. */
uint64_t vga_blink_phases(const struct vga *vga);
/* Draws one scan line of a text mode into columns * dots pixels (not doubled). `colors` are the 16
 * attribute colours as 0x00RRGGBB. */
void vga_draw_text_line(const struct vga *vga, const struct vga_scan *scan, const uint32_t colors[16], unsigned columns,
                        uint32_t *pixels);

#endif
