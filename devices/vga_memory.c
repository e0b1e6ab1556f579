/* vga_memory.c - the CPU's way to the memory of the VGA (vga.c): IBM Personal System/2 Hardware Interface Technical
 * Reference, "Video Subsystem", sections "Video Memory Read/Write Operations" and "Graphics Controller"; FreeVGA,
 * "Accessing the VGA Display Memory".
 *
 * The guest reaches the four planes of 64 KiB through A0000h-BFFFFh, each byte going through latches, rotator, set/reset,
 * logical unit and bit mask. Two of the ways to address them are so plain that the window can be ordinary memory:
 * odd/even (text and CGA modes: even bytes to plane 0, odd ones to plane 1) and chain-4 (mode 13h: address modulo 4 is the
 * plane). To make them so, the planes are not stored at fixed places: `layout` says how they lie in video memory at
 * present, and when the registers ask for the other kind of addressing, the 256 KiB are rearranged. Each plane byte keeps its
 * plane and offset, so a guest that mixes the ways of addressing sees what it would on an IBM VGA (there, chain-4 puts
 * byte A at offset A & FFFCh of plane A & 3, and odd/even at offset A & FFFEh of plane A & 1).
 *
 * Deviations: reads through a window that is ordinary memory do not load the latches. The page select for odd/even (bit 5 of
 * the miscellaneous output register) and the memory size bit of SR4 are stored but have no effect. The linear frame buffer
 * shows video memory as it is arranged at the time, which outside of VBE modes is no promise of any adapter. */
#include "devices/vga_internal.h"

#include <string.h>

static const uint32_t WINDOW_START[4] = { 0, 0, 0x10000, 0x18000 };
static const uint32_t WINDOW_BYTES[4] = { 0x20000, 0x10000, 0x8000, 0x8000 };

/* The byte of each plane whose bit is set in the low four bits of `planes`, all ones. */
static inline uint32_t spread(uint32_t planes)
{
    return (((planes & 0xf) * 0x00204081u) & 0x01010101u) * 0xffu;
}

static inline uint32_t replicate(uint32_t byte)
{
    return (byte & 0xff) * 0x01010101u;
}

/* ---- layouts ---- */

void vga_mark_written(struct vga *vga, uint64_t offset, uint64_t size)
{
    uint64_t end = offset + size;

    for (uint64_t at = offset & ~(uint64_t)(GUEST_PAGE_SIZE - 1); at < end && at < vga->vram->size;
         at += GUEST_PAGE_SIZE) {
        if (vga->vram->page_flags[at >> GUEST_PAGE_SHIFT] != PAGE_DIRTY) {
            memory_written(vga->vram, at, GUEST_PAGE_SIZE);
        }
    }
}

static void set_layout(struct vga *vga, uint8_t layout)
{
    uint8_t *host = vga->vram->host;

    if (layout == vga->layout) {
        return;
    }
    for (unsigned plane = 0; plane < 4; plane++) {
        for (uint32_t offset = 0; offset < VGA_PLANE_SIZE; offset++) {
            vga->scratch[vga_plane_index(layout, plane, offset)] = host[vga_plane_index(vga->layout, plane, offset)];
        }
    }
    vga_mark_written(vga, 0, VGA_LEGACY_SIZE);
    memcpy(host, vga->scratch, VGA_LEGACY_SIZE);
    vga->layout = layout;
}

/* The layout that suits the registers best. Where they say nothing (such as while the BIOS loads a font into plane 2 of a
 * text mode), it stays, so that nothing is rearranged twice for a moment's access. */
static uint8_t layout_wanted(const struct vga *vga)
{
    bool is_odd_even = !(vga->seq[SR_MEMORY_MODE] & SR4_SEQUENTIAL) && (vga->gc[GR_MODE] & GR5_ODD_EVEN);
    bool is_sequential = (vga->seq[SR_MEMORY_MODE] & SR4_SEQUENTIAL) && !(vga->gc[GR_MODE] & GR5_ODD_EVEN);

    if (vga_is_vbe(vga)) {
        return LAYOUT_PLANAR;
    }
    if (vga->seq[SR_MEMORY_MODE] & SR4_CHAIN4) {
        return LAYOUT_CHAIN4;
    }
    if (is_odd_even) {
        return LAYOUT_TEXT;
    }
    if (is_sequential && (vga->gc[GR_MISC] & GR6_GRAPHICS)) {
        return LAYOUT_PLANAR;
    }
    return vga->layout;
}

/* ---- the window ---- */

/* Whether bytes written arrive unchanged and are read back as they are: write mode 0, read mode 0, no set/reset, no
 * rotation, no logical function, all bits. */
static bool is_plain(const struct vga *vga)
{
    return (vga->gc[GR_MODE] & (GR5_READ_MODE_1 | 3)) == 0 && vga->gc[GR_ENABLE_SET_RESET] == 0 &&
           vga->gc[GR_ROTATE] == 0 && vga->gc[GR_BIT_MASK] == 0xff;
}

/* Whether the 32 KiB or 64 KiB window is the start of video memory in the present layout. */
static bool is_direct(const struct vga *vga)
{
    if (!is_plain(vga) || vga->window_size > VGA_PLANE_SIZE) {
        return false;
    }
    if (vga->seq[SR_MEMORY_MODE] & SR4_CHAIN4) {
        return vga->seq[SR_MAP_MASK] == 0xf;
    }
    return !(vga->seq[SR_MEMORY_MODE] & SR4_SEQUENTIAL) && (vga->gc[GR_MODE] & GR5_ODD_EVEN) &&
           (vga->gc[GR_READ_MAP] & 2) == 0 && vga->seq[SR_MAP_MASK] == 3;
}

static void decode_window(struct vga *vga)
{
    unsigned map = (vga->gc[GR_MISC] >> 2) & 3;

    vga->window_start = WINDOW_START[map];
    vga->window_size = WINDOW_BYTES[map];
    vga->window_kind = WINDOW_IO;
    if (vga_is_vbe(vga)) {
        vga->window_start = 0;
        vga->window_size = 0x10000;
        if (vga->dispi[DISPI_BPP] != 4) {
            vga->window_kind = WINDOW_DIRECT;
        }
    } else if (is_direct(vga)) {
        vga->window_kind = WINDOW_DIRECT;
    }
    if (!(vga->misc_output & MISC_RAM_ENABLE)) {
        vga->window_kind = WINDOW_NONE;
    }
}

void vga_update_window(struct vga *vga)
{
    struct space *space = vga->dev.space;
    uint64_t bank = 0;

    set_layout(vga, layout_wanted(vga));
    decode_window(vga);
    bool is_mapped = vga->window_kind == WINDOW_DIRECT;
    bool is_64k = vga->window_size == 0x10000;
    phys_addr base = VGA_WINDOW_BASE + vga->window_start;
    if (vga_is_vbe(vga)) {
        bank = ((uint64_t)vga->dispi[DISPI_BANK] << 16) & (vga->vram->size - 1);
    }

    bool show_64k = is_mapped && is_64k, show_32k = is_mapped && !is_64k;
    bool is_retargeted = show_64k && vga->window_64k.memory_offset != bank;
    if (vga->window_64k.is_enabled == show_64k && vga->window_32k.is_enabled == show_32k && !is_retargeted &&
        (!show_32k || vga->window_32k.base == base)) {
        return;
    }
    space_begin(space);
    if (is_retargeted) {
        space_retarget(space, &vga->window_64k, vga->vram, bank, false);
    }
    space_move(space, &vga->window_64k, VGA_WINDOW_BASE, show_64k);
    space_move(space, &vga->window_32k, show_32k ? base : vga->window_32k.base, show_32k);
    space_commit(space);
}

/* ---- planes ---- */

/* With 4 bits a pixel, a VBE bank is 64 KiB of each plane. */
static uint32_t planar_index(const struct vga *vga, uint32_t offset)
{
    uint64_t bank = vga_is_vbe(vga) ? vga->dispi[DISPI_BANK] : 0;

    return (uint32_t)((((bank << 16) | offset) << 2) & (vga->vram->size - 1));
}

static uint32_t planes_load(const struct vga *vga, uint32_t offset)
{
    const uint8_t *host = vga->vram->host;
    uint32_t all = 0;

    if (vga->layout == LAYOUT_PLANAR) {
        return load_le32(host + planar_index(vga, offset));
    }
    for (unsigned plane = 0; plane < 4; plane++) {
        all |= (uint32_t)host[vga_plane_index(vga->layout, plane, offset)] << (8 * plane);
    }
    return all;
}

static inline void touch(struct vga *vga, uint32_t index)
{
    if (vga->vram->page_flags[index >> GUEST_PAGE_SHIFT] != PAGE_DIRTY) {
        memory_written(vga->vram, index, 1);
    }
}

static void planes_store(struct vga *vga, uint32_t offset, uint32_t all, uint32_t planes)
{
    uint8_t *host = vga->vram->host;

    if (vga->layout == LAYOUT_PLANAR) {
        uint32_t index = planar_index(vga, offset), mask = spread(planes);
        touch(vga, index);
        store_le32(host + index, (load_le32(host + index) & ~mask) | (all & mask));
        return;
    }
    for (unsigned plane = 0; plane < 4; plane++) {
        if ((planes >> plane) & 1) {
            uint32_t index = vga_plane_index(vga->layout, plane, offset);
            touch(vga, index);
            host[index] = (uint8_t)(all >> (8 * plane));
        }
    }
}

/* What the graphics controller puts on the four planes' data lines for a byte of the CPU. */
static uint32_t controller_output(const struct vga *vga, uint32_t byte)
{
    uint32_t set_reset = spread(vga->gc[GR_SET_RESET]);
    uint32_t bits = vga->gc[GR_BIT_MASK], data;
    unsigned mode = vga->gc[GR_MODE] & 3, rotate = vga->gc[GR_ROTATE] & 7;
    uint32_t rotated = ((byte >> rotate) | (byte << (8 - rotate))) & 0xff;

    switch (mode) {
    case 0: {
        uint32_t enable = spread(vga->gc[GR_ENABLE_SET_RESET]);
        data = (replicate(rotated) & ~enable) | (set_reset & enable);
        break;
    }
    case 1:
        return vga->latches;
    case 2:
        data = spread(byte);
        break;
    default:
        data = set_reset;
        bits &= rotated;
        break;
    }
    switch ((vga->gc[GR_ROTATE] >> 3) & 3) {
    case 1:
        data &= vga->latches;
        break;
    case 2:
        data |= vga->latches;
        break;
    case 3:
        data ^= vga->latches;
        break;
    default:
        break;
    }
    bits = replicate(bits);
    return (data & bits) | (vga->latches & ~bits);
}

static uint32_t window_read_byte(struct vga *vga, uint32_t offset)
{
    uint32_t address = offset - vga->window_start;
    unsigned plane = vga->gc[GR_READ_MAP] & 3;

    if (vga->window_kind == WINDOW_NONE || address >= vga->window_size) {
        return 0xff;
    }
    address &= 0xffff;
    if (vga_is_vbe(vga)) {
        ; /* 4 bits a pixel are always sequential */
    } else if (vga->seq[SR_MEMORY_MODE] & SR4_CHAIN4) {
        plane = address & 3;
        address &= 0xfffc;
    } else if (vga->gc[GR_MODE] & GR5_ODD_EVEN) {
        plane = (plane & 2) | (address & 1);
        address &= 0xfffe;
    }
    vga->latches = planes_load(vga, address);
    if (vga->gc[GR_MODE] & GR5_READ_MODE_1) {
        uint32_t differ = (vga->latches ^ spread(vga->gc[GR_COLOR_COMPARE])) & spread(vga->gc[GR_COLOR_DONT_CARE]);
        differ |= differ >> 16;
        differ |= differ >> 8;
        return ~differ & 0xff;
    }
    return (vga->latches >> (8 * plane)) & 0xff;
}

static void window_write_byte(struct vga *vga, uint32_t offset, uint32_t byte)
{
    uint32_t address = offset - vga->window_start;
    uint32_t planes = vga->seq[SR_MAP_MASK];

    if (vga->window_kind == WINDOW_NONE || address >= vga->window_size) {
        return;
    }
    address &= 0xffff;
    if (vga_is_vbe(vga)) {
        ;
    } else if (vga->seq[SR_MEMORY_MODE] & SR4_CHAIN4) {
        planes &= 1u << (address & 3);
        address &= 0xfffc;
    } else if (!(vga->seq[SR_MEMORY_MODE] & SR4_SEQUENTIAL)) {
        planes &= address & 1 ? 0xa : 0x5;
        address &= 0xfffe;
    }
    if (planes & 0xf) {
        planes_store(vga, address, controller_output(vga, byte), planes);
    }
}

static uint32_t window_read(void *owner, uint64_t offset, unsigned size)
{
    uint32_t value = 0;

    for (unsigned n = 0; n < size; n++) {
        value |= window_read_byte(owner, (uint32_t)offset + n) << (8 * n);
    }
    return value;
}

static void window_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    for (unsigned n = 0; n < size; n++) {
        window_write_byte(owner, (uint32_t)offset + n, (value >> (8 * n)) & 0xff);
    }
}

const struct region_ops vga_window_ops = { .read = window_read, .write = window_write, .max_size = 4 };
