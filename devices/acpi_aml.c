/* acpi_aml.c - encoder of ACPI Machine Language: ACPI Specification 6.4, chapter 20 (AML) and 6.4 (resource descriptors).
 * Only what the DSDT in acpi_tables.c uses. */
#include "devices/acpi_aml.h"

#include "mem/space.h"

#include <string.h>

enum {
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b,
    OP_CREATE_DWORD_FIELD = 0x8a,
    OP_IF = 0xa0,
    EXT_REGION = 0x80,
    EXT_FIELD = 0x81,
    EXT_DEVICE = 0x82,
    EXT_PROCESSOR = 0x83,
    METHOD_SERIALIZED = 0x08,
};

void aml_byte(struct state_stream *aml, unsigned byte)
{
    uint8_t b = (uint8_t)byte;

    state_stream_put(aml, &b, 1);
}

static void put_word(struct state_stream *aml, unsigned value)
{
    uint8_t bytes[2];

    store_le16(bytes, (uint16_t)value);
    state_stream_put(aml, bytes, sizeof bytes);
}

static void put_dword(struct state_stream *aml, uint32_t value)
{
    uint8_t bytes[4];

    store_le32(bytes, value);
    state_stream_put(aml, bytes, sizeof bytes);
}

/* One name of four characters; returns what follows it and its dot. */
static const char *put_name(struct state_stream *aml, const char *name)
{
    unsigned i = 0;

    for (; i < 4 && name[i] != '\0' && name[i] != '.'; i++) {
        aml_byte(aml, (unsigned char)name[i]);
    }
    for (unsigned fill = i; fill < 4; fill++) {
        aml_byte(aml, '_');
    }
    return name[i] == '.' ? name + i + 1 : name + i;
}

void aml_path(struct state_stream *aml, const char *path)
{
    unsigned names = 1;

    while (*path == '\\' || *path == '^') {
        aml_byte(aml, (unsigned char)*path++);
    }
    for (const char *at = path; *at != '\0'; at++) {
        names += *at == '.';
    }
    if (*path == '\0') {
        aml_byte(aml, 0); /* the root itself */
    } else if (names == 2) {
        aml_byte(aml, OP_DUAL_NAME);
    } else if (names > 2) {
        aml_byte(aml, OP_MULTI_NAME);
        aml_byte(aml, names);
    }
    while (*path != '\0') {
        path = put_name(aml, path);
    }
}

void aml_integer(struct state_stream *aml, uint32_t value)
{
    if (value <= 1) {
        aml_byte(aml, value); /* ZeroOp, OneOp */
    } else if (value <= 0xff) {
        aml_byte(aml, OP_BYTE);
        aml_byte(aml, value);
    } else if (value <= 0xffff) {
        aml_byte(aml, OP_WORD);
        put_word(aml, value);
    } else {
        aml_byte(aml, OP_DWORD);
        put_dword(aml, value);
    }
}

/* PkgLength (20.2.4) counts itself, and has one to four bytes. */
void aml_close(struct state_stream *aml, size_t opened)
{
    uint8_t length[4];
    size_t body = aml->size - opened;
    unsigned bytes = body + 1 <= 0x3f ? 1 : body + 2 <= 0xfff ? 2 : body + 3 <= 0xfffff ? 3 : 4;
    size_t total = body + bytes;

    length[0] = (uint8_t)(bytes == 1 ? total : ((bytes - 1) << 6 | (total & 0xf)));
    for (unsigned i = 1; i < bytes; i++) {
        length[i] = (uint8_t)(total >> (8 * i - 4));
    }
    state_stream_put(aml, length, bytes);
    if (!aml->failed) {
        memmove(aml->bytes + opened + bytes, aml->bytes + opened, body);
        memcpy(aml->bytes + opened, length, bytes);
    }
}

static size_t open_op(struct state_stream *aml, unsigned op)
{
    aml_byte(aml, op);
    return aml->size;
}

static size_t open_ext_op(struct state_stream *aml, unsigned op)
{
    aml_byte(aml, OP_EXT);
    return open_op(aml, op);
}

size_t aml_scope(struct state_stream *aml, const char *path)
{
    size_t opened = open_op(aml, OP_SCOPE);

    aml_path(aml, path);
    return opened;
}

size_t aml_device(struct state_stream *aml, const char *name)
{
    size_t opened = open_ext_op(aml, EXT_DEVICE);

    aml_path(aml, name);
    return opened;
}

size_t aml_method(struct state_stream *aml, const char *name, unsigned arguments)
{
    size_t opened = open_op(aml, OP_METHOD);

    aml_path(aml, name);
    aml_byte(aml, arguments | METHOD_SERIALIZED);
    return opened;
}

size_t aml_package(struct state_stream *aml, unsigned elements)
{
    size_t opened = open_op(aml, OP_PACKAGE);

    aml_byte(aml, elements);
    return opened;
}

size_t aml_if(struct state_stream *aml)
{
    return open_op(aml, OP_IF);
}

size_t aml_field(struct state_stream *aml, const char *region, unsigned flags)
{
    size_t opened = open_ext_op(aml, EXT_FIELD);

    aml_path(aml, region);
    aml_byte(aml, flags);
    return opened;
}

size_t aml_processor(struct state_stream *aml, const char *name, unsigned id)
{
    size_t opened = open_ext_op(aml, EXT_PROCESSOR);

    aml_path(aml, name);
    aml_byte(aml, id);
    put_dword(aml, 0); /* no P_BLK */
    aml_byte(aml, 0);
    return opened;
}

void aml_name(struct state_stream *aml, const char *name)
{
    aml_byte(aml, OP_NAME);
    aml_path(aml, name);
}

void aml_name_integer(struct state_stream *aml, const char *name, uint32_t value)
{
    aml_name(aml, name);
    aml_integer(aml, value);
}

static uint32_t hex_digit(char c)
{
    return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* EISAID (19.6.37): three letters of five bits and four digits, big-endian. */
void aml_name_eisaid(struct state_stream *aml, const char *name, const char *id)
{
    uint32_t value = 0;
    uint8_t bytes[4];

    for (unsigned i = 0; i < 3; i++) {
        value = value << 5 | ((uint32_t)(unsigned char)id[i] & 0x1f);
    }
    for (unsigned i = 3; i < 7; i++) {
        value = value << 4 | hex_digit(id[i]);
    }
    store_le32(bytes, value);
    aml_name(aml, name);
    aml_byte(aml, OP_DWORD);
    for (unsigned i = 4; i-- > 0;) {
        aml_byte(aml, bytes[i]);
    }
}

void aml_operation_region(struct state_stream *aml, const char *name, unsigned space, uint32_t offset, uint32_t length)
{
    aml_byte(aml, OP_EXT);
    aml_byte(aml, EXT_REGION);
    aml_path(aml, name);
    aml_byte(aml, space);
    aml_integer(aml, offset);
    aml_integer(aml, length);
}

/* The width is encoded as a PkgLength of one byte. */
void aml_field_unit(struct state_stream *aml, const char *name, unsigned bits)
{
    put_name(aml, name);
    aml_byte(aml, bits & 0x3f);
}

void aml_create_dword_field(struct state_stream *aml, unsigned source, const char *path, uint32_t offset, const char *name)
{
    aml_byte(aml, OP_CREATE_DWORD_FIELD);
    if (source != 0) {
        aml_byte(aml, source);
    } else {
        aml_path(aml, path);
    }
    aml_integer(aml, offset);
    aml_path(aml, name);
}

/* ---- resource descriptors ---- */

/* The buffer's size is a word whose value is filled in at the end. */
struct aml_resources aml_resources(struct state_stream *aml)
{
    struct aml_resources opened;

    opened.package = open_op(aml, OP_BUFFER);
    aml_byte(aml, OP_WORD);
    opened.size_at = aml->size;
    put_word(aml, 0);
    return opened;
}

void aml_resources_close(struct state_stream *aml, struct aml_resources opened)
{
    aml_byte(aml, 0x79); /* end tag, checksum 0: not checked */
    aml_byte(aml, 0);
    if (!aml->failed) {
        store_le16(aml->bytes + opened.size_at, (uint16_t)(aml->size - opened.size_at - 2));
    }
    aml_close(aml, opened.package);
}

/* Memory32Fixed (6.4.3.4), writable. */
void aml_memory_fixed(struct state_stream *aml, uint32_t first, uint32_t size)
{
    aml_byte(aml, 0x86);
    put_word(aml, 9);
    aml_byte(aml, 1);
    put_dword(aml, first);
    put_dword(aml, size);
}

void aml_io(struct state_stream *aml, unsigned first, unsigned count)
{
    aml_byte(aml, 0x47);
    aml_byte(aml, 1); /* decodes 16 bits */
    put_word(aml, first);
    put_word(aml, first);
    aml_byte(aml, 1);
    aml_byte(aml, count);
}

void aml_irq(struct state_stream *aml, unsigned irq)
{
    aml_byte(aml, 0x22);
    put_word(aml, 1u << irq);
}

void aml_dma(struct state_stream *aml, unsigned channel)
{
    aml_byte(aml, 0x2a);
    aml_byte(aml, 1u << channel);
    aml_byte(aml, 0); /* compatibility timing, no bus master, 8 bits */
}

void aml_interrupts(struct state_stream *aml, const uint8_t *irqs, unsigned count)
{
    aml_byte(aml, 0x89);
    put_word(aml, 2 + 4 * count);
    aml_byte(aml, 0x09); /* consumer, level, active high, shared */
    aml_byte(aml, count);
    for (unsigned i = 0; i < count; i++) {
        put_dword(aml, irqs[i]);
    }
}

enum { RANGE_FIXED = 0x0c, IO_ENTIRE_RANGE = 3, MEMORY_WRITABLE = 1, MEMORY_CACHEABLE = 2 };

void aml_word_range(struct state_stream *aml, enum aml_range kind, unsigned first, unsigned last)
{
    aml_byte(aml, 0x88);
    put_word(aml, 13);
    aml_byte(aml, kind);
    aml_byte(aml, RANGE_FIXED);
    aml_byte(aml, kind == AML_RANGE_IO ? IO_ENTIRE_RANGE : 0);
    put_word(aml, 0);
    put_word(aml, first);
    put_word(aml, last);
    put_word(aml, 0);
    put_word(aml, last - first + 1);
}

void aml_dword_memory(struct state_stream *aml, uint32_t first, uint32_t last, bool is_cacheable)
{
    aml_byte(aml, 0x87);
    put_word(aml, 23);
    aml_byte(aml, AML_RANGE_MEMORY);
    aml_byte(aml, RANGE_FIXED);
    aml_byte(aml, MEMORY_WRITABLE | (is_cacheable ? MEMORY_CACHEABLE : 0));
    put_dword(aml, 0);
    put_dword(aml, first);
    put_dword(aml, last);
    put_dword(aml, 0);
    put_dword(aml, last - first + 1);
}
