/* space.c - physical address space and I/O ports; see space.h.
 *
 * Flattening: the edges of all enabled regions cut the space into intervals; each interval belongs to the region of the
 * highest priority there. Two rules concern registers that do not fill whole pages. They are exact to the byte among
 * themselves; and a page of memory in which registers of higher priority lie is not memory any more, so a page that
 * space_lookup() reports as memory is memory from end to end, and the CPU may cache it. */
#include "mem/space.h"

#include "mem/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MASK ((phys_addr)GUEST_PAGE_SIZE - 1)

enum { REGIONS_MAX = 256, UNMAPPED_PAGES_MAX = 4096 };

/* Bytes start to end - 1 show `region` from `offset`. */
struct range {
    phys_addr start, end;
    struct region *region;
    uint64_t offset;
};

struct space {
    struct log *log;
    struct log_channel *channel;
    void (*changed)(void *context);
    void *changed_context;
    unsigned depth; /* of space_begin */
    bool is_stale;  /* something changed since the last flattening */
    size_t region_count;
    struct region *regions[REGIONS_MAX];
    size_t range_count;
    /* Every region adds at most four edges, and n edges bound at most n - 1 intervals. */
    struct range ranges[4 * REGIONS_MAX];
    phys_addr edges[4 * REGIONS_MAX];
    size_t unmapped_count;
    uint64_t unmapped[2 * UNMAPPED_PAGES_MAX]; /* hash set of page number + 1 that were logged */
};

/* ---- memory ---- */

bool memory_init(struct memory *memory, const char *name, uint8_t *host, uint64_t size, uint64_t ident_base,
                 bool is_rom, struct error *err)
{
    memset(memory, 0, sizeof *memory);
    BUG_ON(host == NULL || size == 0 || (size & PAGE_MASK) != 0 || (ident_base & PAGE_MASK) != 0);
    memory->page_flags = calloc((size_t)(size >> GUEST_PAGE_SHIFT), 1);
    if (memory->page_flags == NULL) {
        return error_set(err, "out of memory for the page flags of %s", name);
    }
    memory->name = name;
    memory->host = host;
    memory->size = size;
    memory->ident_base = ident_base;
    memory->is_rom = is_rom;
    return true;
}

void memory_destroy(struct memory *memory)
{
    free(memory->page_flags);
    memory->page_flags = NULL;
}

void memory_written(struct memory *memory, uint64_t offset, unsigned size)
{
    uint8_t *flags = &memory->page_flags[offset >> GUEST_PAGE_SHIFT];

    if ((*flags & PAGE_CODE) != 0 && memory->code_written != NULL) {
        memory->code_written(memory->code_written_context, memory->ident_base + offset, size);
    }
    if ((*flags & PAGE_DIRTY) == 0 && memory->first_write != NULL) {
        memory->first_write(memory->first_write_context, memory, offset & ~(uint64_t)PAGE_MASK);
    }
    *flags = (uint8_t)((*flags & ~PAGE_DISPLAY) | PAGE_DIRTY);
}

/* ---- the map ---- */

struct space *space_create(struct log *log)
{
    struct space *space = calloc(1, sizeof *space);

    if (space != NULL && log != NULL) {
        space->log = log;
        space->channel = log_channel(log, "memory");
    }
    return space;
}

void space_destroy(struct space *space)
{
    free(space);
}

void space_on_change(struct space *space, void (*changed)(void *context), void *context)
{
    space->changed = changed;
    space->changed_context = context;
}

static phys_addr region_end(const struct region *region)
{
    return region->base + region->size;
}

/* First and past-the-last byte of the pages that the region touches. */
static phys_addr page_start(const struct region *region)
{
    return region->base & ~PAGE_MASK;
}

static phys_addr page_end(const struct region *region)
{
    return (region_end(region) + PAGE_MASK) & ~PAGE_MASK;
}

static bool is_seen(const struct region *region)
{
    return region->is_enabled && region->size != 0;
}

static void check_overlaps(const struct space *space)
{
    for (size_t i = 0; i < space->region_count; i++) {
        const struct region *a = space->regions[i];
        for (size_t j = i + 1; j < space->region_count; j++) {
            const struct region *b = space->regions[j];
            if (is_seen(a) && is_seen(b) && a->priority == b->priority && a->base < region_end(b) &&
                b->base < region_end(a)) {
                char text[160];
                snprintf(text, sizeof text, "regions '%s' and '%s' overlap at equal priority", a->name, b->name);
                bug(__FILE__, __LINE__, text);
            }
        }
    }
}

static int compare_edges(const void *a, const void *b)
{
    const phys_addr *x = a;
    const phys_addr *y = b;

    return *x < *y ? -1 : *x > *y;
}

static size_t collect_edges(struct space *space)
{
    size_t count = 0;

    for (size_t i = 0; i < space->region_count; i++) {
        const struct region *region = space->regions[i];
        if (!is_seen(region)) {
            continue;
        }
        space->edges[count++] = region->base;
        space->edges[count++] = region_end(region);
        if (region->kind == REGION_IO) {
            space->edges[count++] = page_start(region);
            space->edges[count++] = page_end(region);
        }
    }
    qsort(space->edges, count, sizeof space->edges[0], compare_edges);
    return count;
}

/* The region in charge of the interval that starts at `start`; no edge lies inside it. */
static struct region *region_in_charge(const struct space *space, phys_addr start)
{
    struct region *best = NULL;
    const struct region *io = NULL; /* of the highest priority among registers in these pages */

    for (size_t i = 0; i < space->region_count; i++) {
        struct region *region = space->regions[i];
        if (!is_seen(region) || start < page_start(region) || start >= page_end(region)) {
            continue;
        }
        if (start >= region->base && start < region_end(region) && (best == NULL || region->priority > best->priority)) {
            best = region;
        }
        if (region->kind == REGION_IO && (io == NULL || region->priority > io->priority)) {
            io = region;
        }
    }
    if (best != NULL && best->kind == REGION_MEMORY && io != NULL && io->priority > best->priority) {
        return NULL;
    }
    return best;
}

static void flatten(struct space *space)
{
    size_t edge_count = collect_edges(space);

    check_overlaps(space);
    space->range_count = 0;
    for (size_t i = 0; i + 1 < edge_count; i++) {
        phys_addr start = space->edges[i];
        phys_addr end = space->edges[i + 1];
        struct region *region = start != end ? region_in_charge(space, start) : NULL;
        struct range *last = space->range_count != 0 ? &space->ranges[space->range_count - 1] : NULL;
        if (region == NULL) {
            continue;
        }
        if (last != NULL && last->region == region && last->end == start) {
            last->end = end;
            continue;
        }
        space->ranges[space->range_count++] = (struct range){ start, end, region, start - region->base };
    }
}

static void map_changed(struct space *space)
{
    space->is_stale = true;
    if (space->depth == 0) {
        space_begin(space);
        space_commit(space);
    }
}

void space_begin(struct space *space)
{
    space->depth++;
}

void space_commit(struct space *space)
{
    BUG_ON(space->depth == 0);
    space->depth--;
    if (space->depth != 0 || !space->is_stale) {
        return;
    }
    space->is_stale = false;
    flatten(space);
    if (space->changed != NULL) {
        space->changed(space->changed_context);
    }
}

static void check_region(const struct region *region)
{
    BUG_ON(region->base > UINT64_MAX - GUEST_PAGE_SIZE - region->size);
    if (region->kind == REGION_IO) {
        BUG_ON(region->ops == NULL);
        return;
    }
    BUG_ON(region->memory == NULL);
    BUG_ON(((region->base | region->size | region->memory_offset) & PAGE_MASK) != 0);
    BUG_ON(region->memory_offset > region->memory->size || region->size > region->memory->size - region->memory_offset);
}

void space_add(struct space *space, struct region *region, phys_addr base, int priority, bool is_enabled)
{
    BUG_ON(space->region_count == REGIONS_MAX);
    region->base = base;
    region->priority = priority;
    region->is_enabled = is_enabled;
    check_region(region);
    space->regions[space->region_count++] = region;
    if (is_enabled) {
        map_changed(space);
    }
}

void space_remove(struct space *space, struct region *region)
{
    for (size_t i = 0; i < space->region_count; i++) {
        if (space->regions[i] == region) {
            memmove(&space->regions[i], &space->regions[i + 1],
                    (space->region_count - i - 1) * sizeof space->regions[0]);
            space->region_count--;
            if (region->is_enabled) {
                map_changed(space);
            }
            return;
        }
    }
}

void space_move(struct space *space, struct region *region, phys_addr base, bool is_enabled)
{
    bool was_enabled = region->is_enabled;

    if (region->base == base && was_enabled == is_enabled) {
        return;
    }
    region->base = base;
    region->is_enabled = is_enabled;
    check_region(region);
    if (was_enabled || is_enabled) {
        map_changed(space);
    }
}

void space_retarget(struct space *space, struct region *region, struct memory *memory, uint64_t memory_offset,
                    bool is_readonly)
{
    if (region->memory == memory && region->memory_offset == memory_offset && region->is_readonly == is_readonly) {
        return;
    }
    region->memory = memory;
    region->memory_offset = memory_offset;
    region->is_readonly = is_readonly;
    check_region(region);
    if (region->is_enabled) {
        map_changed(space);
    }
}

/* The range that holds `address`, or else the first one above it (range_count when there is none). Within a
 * transaction the map of before is still in force. */
static size_t range_at_or_above(const struct space *space, phys_addr address)
{
    size_t low = 0;
    size_t high = space->range_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (space->ranges[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct region *space_lookup(const struct space *space, phys_addr address, uint64_t *offset)
{
    size_t i = range_at_or_above(space, address);

    if (i == space->range_count || address < space->ranges[i].start) {
        return NULL;
    }
    if (offset != NULL) {
        *offset = space->ranges[i].offset + (address - space->ranges[i].start);
    }
    return space->ranges[i].region;
}

void space_visit(const struct space *space, space_visit_fn *visit, void *context)
{
    for (size_t i = 0; i < space->range_count; i++) {
        const struct range *range = &space->ranges[i];
        visit(context, range->start, range->end, range->region, range->offset);
    }
}

/* ---- accesses ---- */

/* What an access of up to `size` bytes at `address` meets first: a region (NULL for unmapped), the offset in it, and
 * how many bytes are of the same kind. A copy, because a register access may change the map. */
struct run {
    struct region *region;
    uint64_t offset;
    uint64_t size;
};

static struct run find_run(const struct space *space, phys_addr address, uint64_t size)
{
    size_t i = range_at_or_above(space, address);
    uint64_t to_wrap = UINT64_MAX - address; /* bytes up to the last but one address; nothing is mapped up there */

    if (size > to_wrap) {
        size = to_wrap != 0 ? to_wrap : 1;
    }
    if (i == space->range_count) {
        return (struct run){ NULL, 0, size };
    }
    const struct range *range = &space->ranges[i];
    uint64_t room = address < range->start ? range->start - address : range->end - address;
    if (room < size) {
        size = room;
    }
    if (address < range->start) {
        return (struct run){ NULL, 0, size };
    }
    return (struct run){ range->region, range->offset + (address - range->start), size };
}

/* Logs the first access to each unmapped page. */
static void log_unmapped(struct space *space, phys_addr address, const char *what, unsigned size)
{
    uint64_t key = (address >> GUEST_PAGE_SHIFT) + 1;
    size_t slot = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 40) % (2 * UNMAPPED_PAGES_MAX);

    if (space->log == NULL) {
        return;
    }
    while (space->unmapped[slot] != 0) {
        if (space->unmapped[slot] == key) {
            return;
        }
        slot = (slot + 1) % (2 * UNMAPPED_PAGES_MAX);
    }
    if (space->unmapped_count == UNMAPPED_PAGES_MAX) {
        return;
    }
    space->unmapped_count++;
    space->unmapped[slot] = key;
    log_write(space->log, space->channel, LOG_GUEST, "%s of %u bytes at unmapped 0x%08llx", what, size,
              (unsigned long long)address);
}

/* Largest power of two that is at most `limit` and `size` and to which `offset` is aligned: the pieces in which a bus
 * with byte enables carries an unaligned access. */
static unsigned piece_size(uint64_t offset, unsigned size, unsigned limit)
{
    unsigned piece = 1;

    while (piece * 2 <= limit && piece * 2 <= size && offset % (piece * 2) == 0) {
        piece *= 2;
    }
    return piece;
}

static uint32_t size_mask(unsigned size)
{
    return size >= 4 ? UINT32_MAX : (UINT32_C(1) << 8 * size) - 1;
}

static unsigned max_size_of(const struct region *region)
{
    return region->ops->max_size != 0 ? region->ops->max_size : 4;
}

static uint64_t io_read(const struct region *region, uint64_t offset, unsigned size)
{
    const struct region_ops *ops = region->ops;
    unsigned limit = max_size_of(region) < 4 ? max_size_of(region) : 4;
    uint64_t value = 0;

    for (unsigned done = 0; done < size;) {
        unsigned piece = piece_size(offset + done, size - done, limit);
        uint32_t part = ops->read != NULL ? ops->read(region->owner, offset + done, piece) : UINT32_MAX;
        value |= (uint64_t)(part & size_mask(piece)) << 8 * done;
        done += piece;
    }
    return value;
}

static void io_write(const struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
    const struct region_ops *ops = region->ops;
    unsigned limit = max_size_of(region) < 4 ? max_size_of(region) : 4;

    for (unsigned done = 0; done < size && ops->write != NULL;) {
        unsigned piece = piece_size(offset + done, size - done, limit);
        ops->write(region->owner, offset + done, piece, (uint32_t)(value >> 8 * done) & size_mask(piece));
        done += piece;
    }
}

static bool is_writable(const struct region *region)
{
    return !region->is_readonly && !region->memory->is_rom;
}

/* Stores bytes to a memory region, page by page. */
static void store_bytes(const struct region *region, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    struct memory *memory = region->memory;
    uint64_t at = region->memory_offset + offset;

    while (size != 0) {
        uint64_t room = GUEST_PAGE_SIZE - (at & PAGE_MASK);
        unsigned piece = (unsigned)(size < room ? size : room);
        if (memory->page_flags[at >> GUEST_PAGE_SHIFT] != PAGE_DIRTY) {
            memory_written(memory, at, piece);
        }
        memcpy(memory->host + at, bytes, piece);
        at += piece;
        bytes += piece;
        size -= piece;
    }
}

static const uint8_t *memory_at(const struct region *region, uint64_t offset)
{
    return region->memory->host + region->memory_offset + offset;
}

uint64_t space_read(struct space *space, phys_addr address, unsigned size)
{
    uint64_t value = 0;

    for (unsigned done = 0; done < size;) {
        struct run run = find_run(space, address + done, size - done);
        unsigned run_size = (unsigned)run.size;
        uint64_t part = 0;
        if (run.region == NULL) {
            log_unmapped(space, address + done, "read", size);
            part = UINT64_MAX >> (64 - 8 * run_size);
        } else if (run.region->kind == REGION_IO) {
            part = io_read(run.region, run.offset, run_size);
        } else {
            const uint8_t *bytes = memory_at(run.region, run.offset);
            for (unsigned i = 0; i < run_size; i++) {
                part |= (uint64_t)bytes[i] << 8 * i;
            }
        }
        value |= part << 8 * done;
        done += run_size;
    }
    return value;
}

void space_write(struct space *space, phys_addr address, unsigned size, uint64_t value)
{
    for (unsigned done = 0; done < size;) {
        struct run run = find_run(space, address + done, size - done);
        unsigned run_size = (unsigned)run.size;
        uint64_t part = value >> 8 * done;
        if (run.region == NULL) {
            log_unmapped(space, address + done, "write", size);
        } else if (run.region->kind == REGION_IO) {
            io_write(run.region, run.offset, run_size, part);
        } else if (is_writable(run.region)) {
            uint8_t bytes[8];
            store_le64(bytes, part);
            store_bytes(run.region, run.offset, bytes, run_size);
        }
        done += run_size;
    }
}

void space_read_bytes(struct space *space, phys_addr address, void *bytes, size_t size)
{
    uint8_t *to = bytes;

    while (size != 0) {
        struct run run = find_run(space, address, size);
        size_t run_size = (size_t)run.size;
        if (run.region == NULL) {
            log_unmapped(space, address, "DMA read", (unsigned)(size < UINT32_MAX ? size : UINT32_MAX));
            memset(to, 0xff, run_size);
        } else if (run.region->kind == REGION_MEMORY) {
            memcpy(to, memory_at(run.region, run.offset), run_size);
        } else {
            run_size = 1; /* look up again: a register may move what follows */
            *to = (uint8_t)io_read(run.region, run.offset, 1);
        }
        to += run_size;
        address += run_size;
        size -= run_size;
    }
}

void space_write_bytes(struct space *space, phys_addr address, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    while (size != 0) {
        struct run run = find_run(space, address, size);
        size_t run_size = (size_t)run.size;
        if (run.region == NULL) {
            log_unmapped(space, address, "DMA write", (unsigned)(size < UINT32_MAX ? size : UINT32_MAX));
        } else if (run.region->kind == REGION_IO) {
            run_size = 1;
            io_write(run.region, run.offset, 1, *from);
        } else if (is_writable(run.region)) {
            store_bytes(run.region, run.offset, from, run_size);
        }
        from += run_size;
        address += run_size;
        size -= run_size;
    }
}

/* ---- I/O ports ---- */

enum { PORT_COUNT = 65536, PORT_RANGES_MAX = 256 };

struct port_range {
    uint32_t first, count;
    unsigned first_reg;
    const struct port_ops *ops;
    void *owner;
    const char *name;
    bool is_override;
};

struct ports {
    struct log *log;
    struct log_channel *channel;
    size_t range_count;
    struct port_range ranges[PORT_RANGES_MAX]; /* in order of ports_add */
    uint16_t in_charge[PORT_COUNT];            /* index into ranges + 1; 0 is nobody */
    uint8_t is_logged[PORT_COUNT / 8];
};

struct ports *ports_create(struct log *log)
{
    struct ports *ports = calloc(1, sizeof *ports);

    if (ports != NULL && log != NULL) {
        ports->log = log;
        ports->channel = log_channel(log, "ports");
    }
    return ports;
}

void ports_destroy(struct ports *ports)
{
    free(ports);
}

/* Finds out again who answers at `count` ports from `first`: the youngest override, or else the owner proper. */
static void settle_ports(struct ports *ports, uint32_t first, uint32_t count)
{
    for (uint32_t port = first; port < first + count; port++) {
        bool is_override = false;
        ports->in_charge[port] = 0;
        for (size_t i = 0; i < ports->range_count; i++) {
            const struct port_range *range = &ports->ranges[i];
            if (port - range->first < range->count && (range->is_override || !is_override)) {
                ports->in_charge[port] = (uint16_t)(i + 1);
                is_override = range->is_override;
            }
        }
    }
}

static void check_ports_free(const struct ports *ports, const struct port_range *added)
{
    for (size_t i = 0; i < ports->range_count; i++) {
        const struct port_range *range = &ports->ranges[i];
        if (!range->is_override && range->first < added->first + added->count &&
            added->first < range->first + range->count) {
            char text[160];
            snprintf(text, sizeof text, "'%s' and '%s' both claim ports from 0x%x", range->name, added->name,
                     (unsigned)added->first);
            bug(__FILE__, __LINE__, text);
        }
    }
}

void ports_add(struct ports *ports, uint16_t first_port, unsigned count, unsigned first_reg,
               const struct port_ops *ops, void *owner, const char *name, bool is_override)
{
    struct port_range range = { first_port, count, first_reg, ops, owner, name, is_override };

    BUG_ON(ports->range_count == PORT_RANGES_MAX || ops == NULL);
    BUG_ON(count > PORT_COUNT - (unsigned)first_port);
    if (!is_override) {
        check_ports_free(ports, &range);
    }
    ports->ranges[ports->range_count++] = range;
    settle_ports(ports, first_port, count);
}

void ports_remove(struct ports *ports, uint16_t first_port, unsigned count, void *owner)
{
    for (size_t i = ports->range_count; i-- > 0;) {
        const struct port_range *range = &ports->ranges[i];
        if (range->first == first_port && range->count == count && range->owner == owner) {
            memmove(&ports->ranges[i], &ports->ranges[i + 1],
                    (ports->range_count - i - 1) * sizeof ports->ranges[0]);
            ports->range_count--;
            settle_ports(ports, first_port, count);
            for (; i < ports->range_count; i++) { /* younger ones have another index now */
                settle_ports(ports, ports->ranges[i].first, ports->ranges[i].count);
            }
            return;
        }
    }
}

/* Who answers at `port`, which may be past the last one; NULL is logged once a port. */
static const struct port_range *find_port(struct ports *ports, uint32_t port, const char *what)
{
    if (port >= PORT_COUNT) {
        return NULL;
    }
    if (ports->in_charge[port] != 0) {
        return &ports->ranges[ports->in_charge[port] - 1];
    }
    uint8_t bit = (uint8_t)(1u << port % 8);
    if ((ports->is_logged[port / 8] & bit) == 0) {
        ports->is_logged[port / 8] |= bit;
        log_write(ports->log, ports->channel, LOG_GUEST, "%s port 0x%04x: nobody there", what, (unsigned)port);
    }
    return NULL;
}

/* An access goes whole to the chip at its first port when that can take it, odd ports included (the 16-bit data port
 * of VBE is 1CFh); wider ones are split. */
static unsigned port_piece(const struct port_range *range, unsigned size)
{
    unsigned limit = range != NULL && range->ops->max_size != 0 ? range->ops->max_size : 1;

    return piece_size(0, size, limit);
}

uint32_t ports_read(struct ports *ports, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    for (unsigned done = 0; done < size;) {
        uint32_t at = (uint32_t)port + done;
        const struct port_range *range = find_port(ports, at, "read of");
        unsigned piece = port_piece(range, size - done);
        uint32_t part = UINT32_MAX;
        if (range != NULL && range->ops->read != NULL) {
            part = range->ops->read(range->owner, range->first_reg + (at - range->first), piece);
        }
        value |= (part & size_mask(piece)) << 8 * done;
        done += piece;
    }
    return value;
}

void ports_write(struct ports *ports, uint16_t port, unsigned size, uint32_t value)
{
    for (unsigned done = 0; done < size;) {
        uint32_t at = (uint32_t)port + done;
        const struct port_range *range = find_port(ports, at, "write to");
        unsigned piece = port_piece(range, size - done);
        if (range != NULL && range->ops->write != NULL) {
            range->ops->write(range->owner, range->first_reg + (at - range->first), piece,
                              (value >> 8 * done) & size_mask(piece));
        }
        done += piece;
    }
}

void ports_visit(const struct ports *ports, ports_visit_fn *visit, void *context)
{
    for (unsigned first = 0; first < PORT_COUNT;) {
        unsigned last = first;
        while (last + 1 < PORT_COUNT && ports->in_charge[last + 1] == ports->in_charge[first]) {
            last++;
        }
        if (ports->in_charge[first] != 0) {
            visit(context, first, last, ports->ranges[ports->in_charge[first] - 1].name);
        }
        first = last + 1;
    }
}
