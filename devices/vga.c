/* vga.c - the Video Graphics Array as a PCI card with 16 MiB and the Bochs VBE extension: QEMU's `-vga std`, 1234h:1111h.
 *
 * Documents: IBM Personal System/2 Hardware Interface Technical Reference (1988), "Video Subsystem"; FreeVGA project,
 * "VGA/SVGA Video Programming"; INMOS IMSG171 data sheet for the DAC; Bochs "VBE DISPI" interface B0C5h; QEMU,
 * docs/specs/standard-vga. This file: registers and class. vga_memory.c: the CPU's window. vga_crtc.c: timing and
 * addresses. vga_text.c, vga_render.c: the picture. vga_dispi.c: Bochs extension and memory-mapped registers.
 *
 * BAR 0 is the linear frame buffer, BAR 2 the memory-mapped registers, the ROM BAR the VGA BIOS. The window at
 * A0000h-BFFFFh and the ports 3B0h-3DFh and 1CEh-1D0h answer whatever the PCI command register says, as QEMU's do.
 *
 * Not implemented: the vertical interrupt (CR11 bits 4 and 5; IBM's BIOS leaves it off), light pen, test modes, the DAC's
 * snow, overscan colour around the picture, blinking in graphics modes. Register 3C3h is stored and has no effect. */
#include "devices/vga_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    PORT_ATTRIBUTE = 0x3c0,
    PORT_ATTRIBUTE_READ = 0x3c1,
    PORT_MISC_WRITE = 0x3c2, /* reads input status 0 */
    PORT_SUBSYSTEM_ENABLE = 0x3c3,
    PORT_SEQ_INDEX = 0x3c4,
    PORT_SEQ_DATA = 0x3c5,
    PORT_DAC_MASK = 0x3c6,
    PORT_DAC_READ_INDEX = 0x3c7, /* reads the DAC state */
    PORT_DAC_WRITE_INDEX = 0x3c8,
    PORT_DAC_DATA = 0x3c9,
    PORT_FEATURE_READ = 0x3ca,
    PORT_MISC_READ = 0x3cc,
    PORT_GC_INDEX = 0x3ce,
    PORT_GC_DATA = 0x3cf,
    /* With the monochrome ports moved to the colour ones. */
    PORT_CRTC_INDEX = 0x3d4,
    PORT_CRTC_DATA = 0x3d5,
    PORT_INPUT_STATUS_1 = 0x3da, /* writes feature control */

    PORT_DISPI_INDEX = 0x1ce,
    PORT_DISPI_DATA = 0x1cf, /* and 1D0h */

    SEQ_COUNT = 5,
    GC_COUNT = 9,
    CRTC_COUNT = 0x19,
    ATTR_COUNT = 0x15,
    STATUS_0_SWITCH_SENSE = 0x10
};

static const uint8_t SEQ_WRITABLE[SEQ_COUNT] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t GC_WRITABLE[GC_COUNT] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t ATTR_WRITABLE[ATTR_COUNT] = { 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                   0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f };

/* ---- registers by unit ---- */

/* Stores a register; true when it changed, and then the picture may have. */
static bool change(struct vga *vga, uint8_t *reg, uint8_t value)
{
    if (*reg == value) {
        return false;
    }
    *reg = value;
    vga->generation++;
    return true;
}

static void attribute_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->attr_index & 0x1f;

    if (!vga->attr_is_data) {
        change(vga, &vga->attr_index, value & 0x3f);
    } else if (index < ATTR_COUNT) {
        change(vga, &vga->attr[index], value & ATTR_WRITABLE[index]);
    }
    vga->attr_is_data = !vga->attr_is_data;
}

static void seq_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->seq_index;

    if (index < SEQ_COUNT && change(vga, &vga->seq[index], value & SEQ_WRITABLE[index]) &&
        (index == SR_MAP_MASK || index == SR_MEMORY_MODE)) {
        vga_update_window(vga);
    }
}

static void gc_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->gc_index;

    if (index < GC_COUNT && change(vga, &vga->gc[index], value & GC_WRITABLE[index])) {
        vga_update_window(vga);
    }
}

/* CR11 bit 7 protects CR0 to CR7, but for the line compare bit in CR7. */
static void crtc_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->crtc_index;

    if (index >= CRTC_COUNT) {
        return;
    }
    if ((vga->crtc[CR_V_RETRACE_END] & 0x80) && index <= CR_OVERFLOW) {
        if (index != CR_OVERFLOW) {
            return;
        }
        value = (uint8_t)((vga->crtc[CR_OVERFLOW] & ~0x10) | (value & 0x10));
    }
    change(vga, &vga->crtc[index], value);
}

static uint8_t crtc_read(const struct vga *vga)
{
    if (vga->crtc_index == CR_LATCH) {
        return (uint8_t)(vga->latches >> (8 * (vga->gc[GR_READ_MAP] & 3)));
    }
    if (vga->crtc_index == CR_ATTRIBUTE_STATE) {
        return vga->attr_is_data ? 0x80 : 0;
    }
    return vga->crtc_index < CRTC_COUNT ? vga->crtc[vga->crtc_index] : 0;
}

/* The DAC has one address register. In read mode a colour is fetched into the latch ahead of its three reads. */
static void dac_fetch(struct vga *vga)
{
    memcpy(vga->dac_latch, &vga->palette[vga->dac_address * 3], 3);
    vga->dac_address++;
    vga->dac_component = 0;
}

static uint8_t dac_read(struct vga *vga)
{
    uint8_t value = vga->dac_latch[vga->dac_component];

    if (++vga->dac_component == 3) {
        dac_fetch(vga);
    }
    return value;
}

static void dac_write(struct vga *vga, uint8_t value)
{
    vga->dac_latch[vga->dac_component] = vga->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? value : value & 0x3f;
    if (++vga->dac_component == 3) {
        memcpy(&vga->palette[vga->dac_address * 3], vga->dac_latch, 3);
        vga->dac_address++;
        vga->dac_component = 0;
        vga->generation++;
    }
}

/* Input status 0: bit 4 is the comparator on the DAC's outputs, by which a BIOS tells what monitor is there. */
static uint8_t input_status_0(const struct vga *vga)
{
    return vga->palette[0] + vga->palette[1] + vga->palette[2] >= 0x4e ? 0 : STATUS_0_SWITCH_SENSE;
}

/* ---- ports ---- */

/* The CRT controller, input status 1 and feature control are at 3Bxh or at 3Dxh; this gives the 3Dxh name of either, and 0
 * for the one that does not answer. */
static unsigned moved(const struct vga *vga, unsigned port)
{
    bool is_color = (vga->misc_output & MISC_COLOR) != 0;

    if (port < 0x3c0) {
        return is_color ? 0 : port + 0x20;
    }
    return port >= 0x3d0 && !is_color ? 0 : port;
}

uint32_t vga_register_read(struct vga *vga, unsigned port)
{
    switch (moved(vga, port)) {
    case PORT_ATTRIBUTE:
        return vga->attr_index;
    case PORT_ATTRIBUTE_READ:
        return (vga->attr_index & 0x1f) < ATTR_COUNT ? vga->attr[vga->attr_index & 0x1f] : 0;
    case PORT_MISC_WRITE:
        return input_status_0(vga);
    case PORT_SUBSYSTEM_ENABLE:
        return vga->subsystem_enable;
    case PORT_SEQ_INDEX:
        return vga->seq_index;
    case PORT_SEQ_DATA:
        return vga->seq_index < SEQ_COUNT ? vga->seq[vga->seq_index] : 0;
    case PORT_DAC_MASK:
        return vga->dac_mask;
    case PORT_DAC_READ_INDEX:
        return vga->dac_is_reading ? 3 : 0;
    case PORT_DAC_WRITE_INDEX:
        return vga->dac_address;
    case PORT_DAC_DATA:
        return dac_read(vga);
    case PORT_FEATURE_READ:
        return vga->feature_control;
    case PORT_MISC_READ:
        return vga->misc_output;
    case PORT_GC_INDEX:
        return vga->gc_index;
    case PORT_GC_DATA:
        return vga->gc_index < GC_COUNT ? vga->gc[vga->gc_index] : 0;
    case PORT_CRTC_INDEX:
        return vga->crtc_index;
    case PORT_CRTC_DATA:
        return crtc_read(vga);
    case PORT_INPUT_STATUS_1:
        vga->attr_is_data = 0;
        return vga_input_status_1(vga);
    default:
        return 0xff;
    }
}

void vga_register_write(struct vga *vga, unsigned port, uint8_t value)
{
    switch (moved(vga, port)) {
    case PORT_ATTRIBUTE:
        attribute_write(vga, value);
        break;
    case PORT_MISC_WRITE:
        if (change(vga, &vga->misc_output, value)) {
            vga_update_window(vga);
        }
        break;
    case PORT_SUBSYSTEM_ENABLE:
        vga->subsystem_enable = value & 1;
        break;
    case PORT_SEQ_INDEX:
        vga->seq_index = value;
        break;
    case PORT_SEQ_DATA:
        seq_write(vga, value);
        break;
    case PORT_DAC_MASK:
        change(vga, &vga->dac_mask, value);
        break;
    case PORT_DAC_READ_INDEX:
        vga->dac_address = value;
        vga->dac_is_reading = 1;
        dac_fetch(vga);
        break;
    case PORT_DAC_WRITE_INDEX:
        vga->dac_address = value;
        vga->dac_component = 0;
        vga->dac_is_reading = 0;
        break;
    case PORT_DAC_DATA:
        dac_write(vga, value);
        break;
    case PORT_GC_INDEX:
        vga->gc_index = value;
        break;
    case PORT_GC_DATA:
        gc_write(vga, value);
        break;
    case PORT_CRTC_INDEX:
        vga->crtc_index = value;
        break;
    case PORT_CRTC_DATA:
        crtc_write(vga, value);
        break;
    case PORT_INPUT_STATUS_1:
        vga->feature_control = value;
        break;
    default:
        break;
    }
}

/* reg is the port number. The dispi ports are words; all others are bytes, and a word is two of them. */
static uint32_t vga_port_read(void *owner, unsigned reg, unsigned size)
{
    struct vga *vga = owner;
    uint32_t value = 0;

    if (reg == PORT_DISPI_INDEX) {
        return vga->dispi_index;
    }
    if (reg == PORT_DISPI_DATA || reg == PORT_DISPI_DATA + 1) {
        return vga_dispi_read(vga, vga->dispi_index);
    }
    for (unsigned n = 0; n < size; n++) {
        value |= vga_register_read(vga, reg + n) << (8 * n);
    }
    return value;
}

static void vga_port_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct vga *vga = owner;

    if (reg == PORT_DISPI_INDEX) {
        vga->dispi_index = (uint16_t)value;
        return;
    }
    if (reg == PORT_DISPI_DATA || reg == PORT_DISPI_DATA + 1) {
        vga_dispi_write(vga, vga->dispi_index, (uint16_t)value);
        return;
    }
    for (unsigned n = 0; n < size; n++) {
        vga_register_write(vga, reg + n, (uint8_t)(value >> (8 * n)));
    }
}

/* ---- class ---- */

static void map_window(struct vga *vga)
{
    vga->window_io = (struct region){ .name = "vga window",
                                      .kind = REGION_IO,
                                      .size = VGA_WINDOW_SIZE,
                                      .ops = &vga_window_ops,
                                      .owner = vga };
    vga->window_64k = (struct region){ .name = "vga window, direct",
                                       .kind = REGION_MEMORY,
                                       .size = 0x10000,
                                       .memory = vga->vram };
    vga->window_32k = vga->window_64k;
    vga->window_32k.size = 0x8000;
    space_begin(vga->dev.space);
    space_add(vga->dev.space, &vga->window_io, VGA_WINDOW_BASE, VGA_WINDOW_PRIORITY, true);
    space_add(vga->dev.space, &vga->window_64k, VGA_WINDOW_BASE, VGA_DIRECT_PRIORITY, false);
    space_add(vga->dev.space, &vga->window_32k, VGA_WINDOW_BASE + 0x18000, VGA_DIRECT_PRIORITY, false);
    space_commit(vga->dev.space);
}

static void set_up_pci(struct vga *vga, struct memory *rom)
{
    pci_init(&vga->pci, &vga->dev, 0x1234, 0x1111, 0x030000, 2);
    store_le16(&vga->pci.config[0x2c], 0x1af4); /* subsystem, as QEMU's */
    store_le16(&vga->pci.config[0x2e], 0x1100);
    vga->lfb = (struct region){ .name = "vga frame buffer",
                                .kind = REGION_MEMORY,
                                .size = vga->vram->size,
                                .memory = vga->vram };
    pci_set_memory_bar(&vga->pci, 0, &vga->lfb, true);
    vga->mmio = (struct region){ .name = "vga registers",
                                 .kind = REGION_IO,
                                 .size = 0x1000,
                                 .ops = &vga_mmio_ops,
                                 .owner = vga };
    pci_set_memory_bar(&vga->pci, 2, &vga->mmio, false);
    if (rom != NULL) {
        vga->rom = (struct region){ .name = "vga bios",
                                    .kind = REGION_MEMORY,
                                    .size = rom->size,
                                    .memory = rom,
                                    .is_readonly = true };
        pci_set_memory_bar(&vga->pci, PCI_BAR_ROM, &vga->rom, false);
    }
}

/* Properties: "vram", a struct memory whose size is a power of two and at least 256 KiB; "rom", a struct memory with the VGA
 * BIOS, of a power of two; may be left out. */
static bool vga_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct vga *vga = (struct vga *)(void *)dev;
    const struct property *vram = property_find(properties, "vram");
    const struct property *rom = property_find(properties, "rom");

    if (vram == NULL || vram->pointer == NULL) {
        return error_set(err, "%s: no video memory was given", dev->name);
    }
    vga->vram = vram->pointer;
    uint64_t size = vga->vram->size;
    if (size < VGA_LEGACY_SIZE || size > (64u << 20) || (size & (size - 1)) != 0) {
        return error_set(err, "%s: video memory must be a power of two from 256 KiB to 64 MiB", dev->name);
    }
    vga->scratch = calloc(1, VGA_LEGACY_SIZE);
    if (vga->scratch == NULL) {
        return error_set(err, "%s: out of memory", dev->name);
    }
    vga_build_edid(vga->edid);
    set_up_pci(vga, rom != NULL ? rom->pointer : NULL);
    map_window(vga);
    return true;
}

static void vga_destroy(struct device *dev)
{
    free(((struct vga *)(void *)dev)->scratch);
}

/* All registers 0, and the screen dark: it is the BIOS that makes a VGA of it. Video memory keeps its bytes. */
static void vga_reset(struct device *dev)
{
    struct vga *vga = (struct vga *)(void *)dev;

    pci_reset(&vga->pci);
    memset(vga->seq, 0, sizeof vga->seq);
    memset(vga->gc, 0, sizeof vga->gc);
    memset(vga->crtc, 0, sizeof vga->crtc);
    memset(vga->attr, 0, sizeof vga->attr);
    memset(vga->palette, 0, sizeof vga->palette);
    memset(vga->dac_latch, 0, sizeof vga->dac_latch);
    memset(vga->dispi, 0, sizeof vga->dispi);
    vga->dispi[DISPI_ID] = 0xb0c5;
    vga->dispi_index = 0;
    vga->latches = 0;
    vga->layout = LAYOUT_PLANAR;
    vga->misc_output = vga->feature_control = 0;
    vga->subsystem_enable = 1;
    vga->seq_index = vga->gc_index = vga->crtc_index = vga->attr_index = 0;
    vga->attr_is_data = 0;
    vga->dac_mask = 0xff;
    vga->dac_address = vga->dac_component = vga->dac_is_reading = 0;
    vga->generation++;
    vga_update_window(vga);
}

/* What saved state could not have come from here is made harmless. */
static void vga_loaded(struct device *dev)
{
    struct vga *vga = (struct vga *)(void *)dev;

    if (vga->layout > LAYOUT_CHAIN4) {
        vga->layout = LAYOUT_PLANAR;
    }
    vga->dac_component = (uint8_t)(vga->dac_component % 3);
    vga_dispi_check(vga);
    pci_update_bars(&vga->pci);
    vga->generation++;
    vga_update_window(vga);
}

#define S struct vga
static const struct field vga_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, vram, "video memory"),
    WIRED(S, scratch, "for rearranging planes"),
    WIRED(S, window_io, "A0000h-BFFFFh through the graphics controller"),
    WIRED(S, window_64k, "A0000h-AFFFFh as memory"),
    WIRED(S, window_32k, "B0000h-B7FFFh or B8000h-BFFFFh as memory"),
    WIRED(S, lfb, "BAR 0"),
    WIRED(S, mmio, "BAR 2"),
    WIRED(S, rom, "ROM BAR"),
    DERIVED(S, generation, "changes of the picture, for viewers"),
    DERIVED(S, blink_shown, "blink phases that viewers know of"),
    DERIVED(S, window_start, "decoded by GR6"),
    DERIVED(S, window_size, "decoded by GR6"),
    DERIVED(S, window_kind, "none, registers or memory"),
    WIRED(S, edid, "the monitor's identification"),
    FIELD(S, latches, "plane p in bits 8p to 8p+7"),
    FIELD(S, dispi, "Bochs VBE registers: id, xres, yres, bpp, enable, bank, virtual size, offset"),
    FIELD(S, dispi_index, "port 1CEh"),
    FIELD(S, layout, "order of the planes in video memory: 0 planar, 1 text, 2 chain-4"),
    FIELD(S, misc_output, "written at port 3C2h"),
    FIELD(S, feature_control, "read at port 3CAh"),
    FIELD(S, subsystem_enable, "port 3C3h"),
    FIELD(S, seq_index, "port 3C4h"),
    FIELD(S, gc_index, "port 3CEh"),
    FIELD(S, crtc_index, "port 3D4h"),
    FIELD(S, attr_index, "port 3C0h, with the palette address source in bit 5"),
    FIELD(S, attr_is_data, "flip-flop: the next write of 3C0h is data"),
    FIELD(S, dac_mask, "port 3C6h"),
    FIELD(S, dac_address, "port 3C8h"),
    FIELD(S, dac_component, "next of red, green, blue"),
    FIELD(S, dac_is_reading, "the address was written at 3C7h"),
    FIELD(S, dac_latch, "colour on its way to or from the palette"),
    FIELD(S, seq, "sequencer SR0-SR4"),
    FIELD(S, gc, "graphics controller GR0-GR8"),
    FIELD(S, crtc, "CRT controller CR0-CR18h"),
    FIELD(S, attr, "attribute controller AR0-AR14h"),
    FIELD(S, palette, "256 colours of red, green, blue"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static const struct port_ops vga_port_ops = { .read = vga_port_read, .write = vga_port_write, .max_size = 2 };

const struct device_class vga_class = {
    .name = "vga",
    .doc = "VGA with Bochs VBE extension, PCI",
    .size = sizeof(struct vga),
    .fields = vga_fields,
    .port_ops = &vga_port_ops,
    .region_ops = &vga_window_ops,
    .init = vga_init,
    .reset = vga_reset,
    .loaded = vga_loaded,
    .destroy = vga_destroy,
};
