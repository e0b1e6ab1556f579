/* fw_cfg.c - QEMU's firmware configuration device, as in its docs/specs/fw_cfg.rst, which SeaBIOS reads and Linux can.
 *
 * Port registers, to be mapped at 510h (12 ports): 0-1 selector (16-bit writes), 1 data (byte reads), 4-0Bh the DMA address,
 * big-endian: a 32-bit write of the high half at 4, then of the low half at 8, which starts the transfer.
 *
 * Properties, all numbers: "ram_size", "cpus" (1), "max_cpus" (cpus), "boot_device" (a letter, as QEMU's -boot), "boot_menu",
 * "nographic". Not implemented: writable items (writes end with the error bit), the file write pointer. */
#include "devices/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

enum {
    REG_SELECTOR = 0,
    REG_DATA = 1,
    REG_DMA_HIGH = 4,
    REG_DMA_LOW = 8,
    REG_DMA_END = 12,

    ID_TRADITIONAL = 1,
    ID_DMA = 2,

    DMA_ERROR = 1,
    DMA_READ = 2,
    DMA_SKIP = 4,
    DMA_SELECT = 8,
    DMA_WRITE = 16,
    DMA_CHUNK = 4096,

    KEY_WRITE_CHANNEL = 0x4000,
    DIR_ENTRY_SIZE = 64,
};

static const char dma_signature[] = "QEMU CFG";

struct item {
    uint8_t *bytes;
    uint32_t size;
    char name[FW_CFG_NAME_SIZE]; /* files only */
};

struct fw_cfg {
    struct device dev;
    struct item generic[FW_CFG_FILE_FIRST];
    struct item local[FW_CFG_FILE_FIRST];
    struct item files[FW_CFG_FILES_MAX]; /* sorted by name */
    uint64_t file_count;
    uint64_t dma_address;
    uint32_t offset;
    uint16_t key;
    uint8_t pad_[2];
};

#define S struct fw_cfg
static const struct field fw_cfg_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, generic, "items by key"),
    WIRED(S, local, "items by architecture-local key"),
    WIRED(S, files, "files by name"),
    WIRED(S, file_count, NULL),
    FIELD(S, dma_address, "high half of the next transfer's address"),
    FIELD(S, offset, "next byte of the selected item"),
    FIELD(S, key, "selected item"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* ---- contents ---- */

static bool set_item(struct item *item, const void *bytes, size_t size, struct error *err)
{
    uint8_t *copy;

    if (size > INT32_MAX) {
        return error_set(err, "an item for the firmware is larger than 2 GiB");
    }
    copy = malloc(size != 0 ? size : 1);
    if (copy == NULL) {
        return error_set(err, "out of memory for an item of %zu bytes for the firmware", size);
    }
    if (size != 0) {
        memcpy(copy, bytes, size);
    }
    free(item->bytes);
    item->bytes = copy;
    item->size = (uint32_t)size;
    return true;
}

bool fw_cfg_add_bytes(struct device *dev, unsigned key, const void *bytes, size_t size, struct error *err)
{
    struct fw_cfg *cfg = (struct fw_cfg *)(void *)dev;
    unsigned index = key & ~(unsigned)FW_CFG_ARCH_LOCAL;

    BUG_ON(index >= FW_CFG_FILE_FIRST || key == FW_CFG_FILE_DIR);
    return set_item(key == index ? &cfg->generic[index] : &cfg->local[index], bytes, size, err);
}

bool fw_cfg_add_u16(struct device *dev, unsigned key, uint16_t value, struct error *err)
{
    uint8_t bytes[2];

    store_le16(bytes, value);
    return fw_cfg_add_bytes(dev, key, bytes, sizeof bytes, err);
}

bool fw_cfg_add_u32(struct device *dev, unsigned key, uint32_t value, struct error *err)
{
    uint8_t bytes[4];

    store_le32(bytes, value);
    return fw_cfg_add_bytes(dev, key, bytes, sizeof bytes, err);
}

bool fw_cfg_add_u64(struct device *dev, unsigned key, uint64_t value, struct error *err)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    return fw_cfg_add_bytes(dev, key, bytes, sizeof bytes, err);
}

static void store_be16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store_be32(uint8_t *at, uint32_t value)
{
    store_be16(at, value >> 16);
    store_be16(at + 2, value & 0xffff);
}

static uint32_t load_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The directory: a count, then size, key, 16 reserved bits and name of each file, all big-endian. */
static bool make_directory(struct fw_cfg *cfg, struct error *err)
{
    uint8_t bytes[4 + FW_CFG_FILES_MAX * DIR_ENTRY_SIZE];
    size_t size = 4 + (size_t)cfg->file_count * DIR_ENTRY_SIZE;

    memset(bytes, 0, sizeof bytes);
    store_be32(bytes, (uint32_t)cfg->file_count);
    for (unsigned i = 0; i < cfg->file_count; i++) {
        uint8_t *entry = bytes + 4 + (size_t)i * DIR_ENTRY_SIZE;
        store_be32(entry, cfg->files[i].size);
        store_be16(entry + 4, FW_CFG_FILE_FIRST + i);
        memcpy(entry + 8, cfg->files[i].name, FW_CFG_NAME_SIZE);
    }
    return set_item(&cfg->generic[FW_CFG_FILE_DIR], bytes, size, err);
}

bool fw_cfg_add_file(struct device *dev, const char *name, const void *bytes, size_t size, struct error *err)
{
    struct fw_cfg *cfg = (struct fw_cfg *)(void *)dev;
    size_t place = 0;
    struct item item = { NULL, 0, "" };

    if (strlen(name) >= FW_CFG_NAME_SIZE || cfg->file_count == FW_CFG_FILES_MAX) {
        return error_set(err, "cannot give the firmware the file '%s': %s", name,
                         cfg->file_count == FW_CFG_FILES_MAX ? "there are too many" : "its name is too long");
    }
    while (place < cfg->file_count && strcmp(cfg->files[place].name, name) < 0) {
        place++;
    }
    if (place < cfg->file_count && strcmp(cfg->files[place].name, name) == 0) {
        return error_set(err, "the firmware already has a file '%s'", name);
    }
    memcpy(item.name, name, strlen(name));
    if (!set_item(&item, bytes, size, err)) {
        return false;
    }
    memmove(&cfg->files[place + 1], &cfg->files[place], ((size_t)cfg->file_count - place) * sizeof item);
    cfg->files[place] = item;
    cfg->file_count++;
    return make_directory(cfg, err);
}

bool fw_cfg_add_e820(struct device *dev, uint64_t low_bytes, uint64_t high_bytes, struct error *err)
{
    enum { E820_RAM = 1, ENTRY_SIZE = 20 };
    uint8_t bytes[2 * ENTRY_SIZE];

    store_le64(bytes, 0);
    store_le64(bytes + 8, low_bytes);
    store_le32(bytes + 16, E820_RAM);
    store_le64(bytes + 20, UINT64_C(0x100000000));
    store_le64(bytes + 28, high_bytes);
    store_le32(bytes + 36, E820_RAM);
    return fw_cfg_add_file(dev, "etc/e820", bytes, high_bytes != 0 ? sizeof bytes : ENTRY_SIZE, err);
}

/* ---- access by the guest ---- */

static const struct item *selected_item(const struct fw_cfg *cfg)
{
    unsigned index = cfg->key & ~(unsigned)(FW_CFG_ARCH_LOCAL | KEY_WRITE_CHANNEL);
    bool is_local = (cfg->key & FW_CFG_ARCH_LOCAL) != 0;

    if (index < FW_CFG_FILE_FIRST) {
        return is_local ? &cfg->local[index] : &cfg->generic[index];
    }
    index -= FW_CFG_FILE_FIRST;
    return !is_local && index < cfg->file_count ? &cfg->files[index] : NULL;
}

static void select_item(struct fw_cfg *cfg, unsigned key)
{
    cfg->key = (uint16_t)key;
    cfg->offset = 0;
    if (selected_item(cfg) == NULL) {
        device_log(&cfg->dev, LOG_TRACE, "there is no item 0x%04x", key);
    }
}

/* How many bytes of the item are left. */
static uint32_t bytes_left(const struct fw_cfg *cfg)
{
    const struct item *item = selected_item(cfg);

    return item != NULL && cfg->offset < item->size ? item->size - cfg->offset : 0;
}

/* Past its end an item reads as zeros. */
static uint8_t next_byte(struct fw_cfg *cfg)
{
    return bytes_left(cfg) != 0 ? selected_item(cfg)->bytes[cfg->offset++] : 0;
}

static void dma_read(struct fw_cfg *cfg, uint64_t address, uint32_t length)
{
    static const uint8_t zeros[DMA_CHUNK];
    uint32_t from_item = length < bytes_left(cfg) ? length : bytes_left(cfg);

    if (from_item != 0) {
        space_write_bytes(cfg->dev.space, address, selected_item(cfg)->bytes + cfg->offset, from_item);
        cfg->offset += from_item;
        address += from_item;
        length -= from_item;
    }
    while (length != 0) {
        uint32_t chunk = length < DMA_CHUNK ? length : DMA_CHUNK;
        space_write_bytes(cfg->dev.space, address, zeros, chunk);
        address += chunk;
        length -= chunk;
    }
}

/* Carries out the command at `at`: control, length and address, big-endian; the control word becomes the result. */
static void dma_run(struct fw_cfg *cfg, uint64_t at)
{
    uint8_t command[16];
    uint32_t result = 0;

    space_read_bytes(cfg->dev.space, at, command, sizeof command);
    uint32_t control = load_be32(command);
    uint32_t length = load_be32(command + 4);
    uint64_t address = (uint64_t)load_be32(command + 8) << 32 | load_be32(command + 12);

    if ((control & DMA_SELECT) != 0) {
        select_item(cfg, control >> 16);
    }
    if ((control & DMA_READ) != 0) {
        dma_read(cfg, address, length);
    } else if ((control & DMA_WRITE) != 0) {
        device_log(&cfg->dev, LOG_GUEST, "a write to item 0x%04x is refused", cfg->key);
        result = DMA_ERROR;
    } else if ((control & DMA_SKIP) != 0) {
        cfg->offset += length < bytes_left(cfg) ? length : bytes_left(cfg);
    }
    store_be32(command, result);
    space_write_bytes(cfg->dev.space, at, command, 4);
}

static uint32_t fw_cfg_read(void *owner, unsigned reg, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        uint32_t byte = 0xff;
        if (reg + i == REG_DATA) {
            byte = next_byte(owner);
        } else if (reg + i == REG_SELECTOR) {
            byte = 0;
        } else if (reg + i >= REG_DMA_HIGH && reg + i < REG_DMA_END) {
            byte = (uint8_t)dma_signature[reg + i - REG_DMA_HIGH];
        }
        value |= byte << 8 * i;
    }
    return value;
}

static void fw_cfg_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct fw_cfg *cfg = owner;
    uint8_t bytes[4];

    store_le32(bytes, value);
    if (reg == REG_SELECTOR && size >= 2) {
        select_item(cfg, value & 0xffff);
    } else if (reg == REG_DMA_HIGH && size == 4) {
        cfg->dma_address = (uint64_t)load_be32(bytes) << 32;
    } else if (reg == REG_DMA_LOW && size == 4) {
        uint64_t at = cfg->dma_address | load_be32(bytes);
        cfg->dma_address = 0;
        dma_run(cfg, at);
    }
}

/* ---- class ---- */

static uint64_t number(const struct property *properties, const char *name, uint64_t otherwise)
{
    const struct property *property = property_find(properties, name);

    return property != NULL ? property->number : otherwise;
}

static bool fw_cfg_init(struct device *dev, const struct property *properties, struct error *err)
{
    static const uint8_t zeros[16];
    uint64_t cpus = number(properties, "cpus", 1);

    return fw_cfg_add_bytes(dev, FW_CFG_SIGNATURE, dma_signature, 4, err) &&
           fw_cfg_add_u32(dev, FW_CFG_ID, ID_TRADITIONAL | ID_DMA, err) &&
           fw_cfg_add_bytes(dev, FW_CFG_UUID, zeros, 16, err) &&
           fw_cfg_add_u64(dev, FW_CFG_RAM_SIZE, number(properties, "ram_size", 0), err) &&
           fw_cfg_add_u16(dev, FW_CFG_NOGRAPHIC, (uint16_t)number(properties, "nographic", 0), err) &&
           fw_cfg_add_u16(dev, FW_CFG_NB_CPUS, (uint16_t)cpus, err) &&
           fw_cfg_add_u16(dev, FW_CFG_MAX_CPUS, (uint16_t)number(properties, "max_cpus", cpus), err) &&
           fw_cfg_add_u16(dev, FW_CFG_BOOT_DEVICE, (uint16_t)number(properties, "boot_device", 0), err) &&
           fw_cfg_add_u16(dev, FW_CFG_BOOT_MENU, (uint16_t)number(properties, "boot_menu", 0), err) &&
           fw_cfg_add_bytes(dev, FW_CFG_NUMA, zeros, 16, err) && /* no node, one CPU in none */
           fw_cfg_add_u32(dev, FW_CFG_IRQ0_OVERRIDE, 1, err) && make_directory((struct fw_cfg *)(void *)dev, err);
}

static void fw_cfg_reset(struct device *dev)
{
    struct fw_cfg *cfg = (struct fw_cfg *)(void *)dev;

    cfg->key = FW_CFG_SIGNATURE;
    cfg->offset = 0;
    cfg->dma_address = 0;
}

static void free_items(struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].bytes);
    }
}

static void fw_cfg_destroy(struct device *dev)
{
    struct fw_cfg *cfg = (struct fw_cfg *)(void *)dev;

    free_items(cfg->generic, FW_CFG_FILE_FIRST);
    free_items(cfg->local, FW_CFG_FILE_FIRST);
    free_items(cfg->files, (size_t)cfg->file_count);
}

static const struct port_ops fw_cfg_port_ops = { fw_cfg_read, fw_cfg_write, 4 };

const struct device_class fw_cfg_class = {
    .name = "fw_cfg",
    .doc = "firmware configuration",
    .size = sizeof(struct fw_cfg),
    .fields = fw_cfg_fields,
    .port_ops = &fw_cfg_port_ops,
    .init = fw_cfg_init,
    .reset = fw_cfg_reset,
    .destroy = fw_cfg_destroy,
};
