/* space.h - physical address space: RAM, ROM, memory-mapped registers and aliases, with priorities.
 *
 * Regions are added to a space at a base and a priority; where they overlap the higher priority wins, and equal
 * priorities that overlap are a bug that names both. On each change the regions are flattened into a sorted list of
 * page-granular ranges, which is what look-ups search. Unmapped reads give all ones and unmapped writes vanish; the
 * first access to each unmapped page is logged.
 *
 * RAM and ROM live in `struct memory` objects. Every memory has an identity range: `ident` = memory->ident_base +
 * offset names a byte of it regardless of where it is mapped, so that the CPU's block cache survives remapping and
 * aliases share blocks. All regions and their bases are multiples of 4 KiB except IO regions, whose exact size is
 * honoured inside the page (the rest of the page is unmapped). */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include "mem/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_PAGE_SIZE 4096u
#define GUEST_PAGE_SHIFT 12

typedef uint64_t phys_addr;

/* Per-page flags of a memory. A page whose flags are not exactly PAGE_DIRTY is written through memory_written(). */
enum {
    PAGE_DIRTY = 1,      /* written since the flag was last cleared by its consumer (snapshot, replay) */
    PAGE_CODE = 2,       /* the CPU's block cache holds code of this page */
    PAGE_DISPLAY = 4,    /* clean since the display last looked: a write clears this bit */
};

struct memory;
typedef void memory_code_written_fn(void *context, uint64_t ident, unsigned size);

/* One allocation of guest memory. `host` is obtained by the caller (the host part maps it) and not owned. */
struct memory {
    const char *name;
    uint8_t *host;
    uint64_t size; /* multiple of 4 KiB */
    uint64_t ident_base;
    uint8_t *page_flags; /* size / 4 KiB entries, owned */
    bool is_rom;         /* guest stores vanish */
    memory_code_written_fn *code_written; /* told before a store to a PAGE_CODE page lands; may be NULL */
    void *code_written_context;
    void (*flags_cleared)(void *context); /* told when a consumer cleared PAGE_DIRTY or set PAGE_DISPLAY: cached write
                                             permission (the CPU's TLB) must be dropped; may be NULL */
    /* Told before the first store to a page whose PAGE_DIRTY is clear lands; may be NULL. */
    void (*first_write)(void *context, struct memory *memory, uint64_t page_offset);
    void *first_write_context;
};

/* Prepares a memory over `host` (size bytes, zero-filled by the caller). Returns false when out of memory. */
bool memory_init(struct memory *memory, const char *name, uint8_t *host, uint64_t size, uint64_t ident_base,
                 bool is_rom, struct error *err);
void memory_destroy(struct memory *memory);

/* Must be called before a store of `size` bytes (within one page) at `offset` unless the page's flags are exactly
 * PAGE_DIRTY: marks it dirty, clears PAGE_DISPLAY and tells the CPU when it holds code of it. */
void memory_written(struct memory *memory, uint64_t offset, unsigned size);

enum region_kind { REGION_MEMORY, REGION_IO };

/* Registers behind a range of addresses. `offset` counts from the region's start. `size` is 1, 2 or 4 (8 is split).
 * An access wider than `max_size` is split into pieces, lowest address first; 0 means 4. */
struct region_ops {
    uint32_t (*read)(void *owner, uint64_t offset, unsigned size);
    void (*write)(void *owner, uint64_t offset, unsigned size, uint32_t value);
    unsigned max_size;
};

struct region {
    const char *name;
    enum region_kind kind;
    uint64_t size;
    /* REGION_MEMORY: which memory, from which offset (multiple of 4 KiB), and whether stores vanish here. */
    struct memory *memory;
    uint64_t memory_offset;
    bool is_readonly;
    /* REGION_IO */
    const struct region_ops *ops;
    void *owner;
    /* Set by space_add and space_move. */
    phys_addr base;
    int priority;
    bool is_enabled;
};

struct space; /* opaque: sorted ranges */

/* `log` may be NULL. Returns NULL when out of memory. */
struct space *space_create(struct log *log);
void space_destroy(struct space *space);

/* Called after every change of the map (not within a transaction): the CPU flushes its TLB. */
void space_on_change(struct space *space, void (*changed)(void *context), void *context);

/* Adds an enabled (or disabled) region at `base`. The region struct must outlive the space. */
void space_add(struct space *space, struct region *region, phys_addr base, int priority, bool is_enabled);
void space_remove(struct space *space, struct region *region);
/* Changes where or whether a region is seen; does nothing when nothing changes. */
void space_move(struct space *space, struct region *region, phys_addr base, bool is_enabled);
/* Changes what a memory region shows (PAM, VGA bank); same effect as remove and add. */
void space_retarget(struct space *space, struct region *region, struct memory *memory, uint64_t memory_offset,
                    bool is_readonly);
/* Several changes as one flattening and one notification; may nest. */
void space_begin(struct space *space);
void space_commit(struct space *space);

/* What is at the page of `address`: the region in charge, or NULL where nothing is mapped. `*offset` (may be NULL) is the
 * offset of `address` in it. A look-up is a binary search. */
struct region *space_lookup(const struct space *space, phys_addr address, uint64_t *offset);

/* Accesses by the CPU's slow path and by DMA, of 1, 2, 4 or 8 bytes, any alignment; little-endian. */
uint64_t space_read(struct space *space, phys_addr address, unsigned size);
void space_write(struct space *space, phys_addr address, unsigned size, uint64_t value);
/* Block transfers by DMA; RAM is copied by page, registers byte by byte. */
void space_read_bytes(struct space *space, phys_addr address, void *bytes, size_t size);
void space_write_bytes(struct space *space, phys_addr address, const void *bytes, size_t size);

/* Calls `visit` for each flattened range, in order of address (for `info mtree` and the memory map tests). */
typedef void space_visit_fn(void *context, phys_addr start, phys_addr end, const struct region *region,
                            uint64_t region_offset);
void space_visit(const struct space *space, space_visit_fn *visit, void *context);

/* ---- I/O ports ---- */

/* A range of ports. The chip is handed `reg` = first_reg + (port - first_port), so one chip works at any base.
 * Accesses wider than max_size (0 means 1) are split into pieces, lowest port first, as an 8-bit ISA card sees them. */
struct port_ops {
    uint32_t (*read)(void *owner, unsigned reg, unsigned size);
    void (*write)(void *owner, unsigned reg, unsigned size, uint32_t value);
    unsigned max_size;
};

struct ports; /* opaque: 65536 entries */

struct ports *ports_create(struct log *log);
void ports_destroy(struct ports *ports);
/* A port that is taken is a bug that names both, except that `is_override` puts a new owner over the old one until it is
 * removed (PCI BARs may be programmed over anything). `name` is for logs and `info mtree`. */
void ports_add(struct ports *ports, uint16_t first_port, unsigned count, unsigned first_reg,
               const struct port_ops *ops, void *owner, const char *name, bool is_override);
void ports_remove(struct ports *ports, uint16_t first_port, unsigned count, void *owner);
/* Guest accesses of 1, 2 or 4 bytes; nobody there reads all ones and is logged once a port. */
uint32_t ports_read(struct ports *ports, uint16_t port, unsigned size);
void ports_write(struct ports *ports, uint16_t port, unsigned size, uint32_t value);
typedef void ports_visit_fn(void *context, unsigned first, unsigned last, const char *name);
void ports_visit(const struct ports *ports, ports_visit_fn *visit, void *context);

/* ---- little-endian bytes, on any host ---- */

static inline uint16_t load_le16(const void *at)
{
    const uint8_t *b = at;
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t load_le32(const void *at)
{
    const uint8_t *b = at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t load_le64(const void *at)
{
    const uint8_t *b = at;
    return (uint64_t)load_le32(b) | (uint64_t)load_le32(b + 4) << 32;
}
static inline void store_le16(void *at, uint16_t value)
{
    uint8_t *b = at;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
}
static inline void store_le32(void *at, uint32_t value)
{
    uint8_t *b = at;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
    b[2] = (uint8_t)(value >> 16);
    b[3] = (uint8_t)(value >> 24);
}
static inline void store_le64(void *at, uint64_t value)
{
    uint8_t *b = at;
    store_le32(b, (uint32_t)value);
    store_le32(b + 4, (uint32_t)(value >> 32));
}

#endif
