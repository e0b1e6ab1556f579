/* acpi_aml.h - a small encoder of ACPI Machine Language, for the DSDT in acpi_tables.c.
 *
 * Each function appends one construct to a growing buffer; memory that runs out sets `failed` there. What nests is
 * opened and closed:
 *
 *     size_t device = aml_device(aml, "KBD");
 *     aml_name_eisaid(aml, "_HID", "PNP0303");
 *     aml_close(aml, device); */
#ifndef DEVICES_ACPI_AML_H
#define DEVICES_ACPI_AML_H

#include "mem/state.h"

#include <stdint.h>

/* A path as in ASL: an optional '\' or '^', then names separated by '.'; names shorter than four are filled with '_'. */
void aml_path(struct state_stream *aml, const char *path);
void aml_byte(struct state_stream *aml, unsigned byte);
void aml_integer(struct state_stream *aml, uint32_t value);

/* Each returns what aml_close() needs. */
size_t aml_scope(struct state_stream *aml, const char *path);
size_t aml_device(struct state_stream *aml, const char *name);
size_t aml_method(struct state_stream *aml, const char *name, unsigned arguments);
size_t aml_package(struct state_stream *aml, unsigned elements);
size_t aml_if(struct state_stream *aml); /* the predicate follows, then the body */
size_t aml_field(struct state_stream *aml, const char *region, unsigned flags);
size_t aml_processor(struct state_stream *aml, const char *name, unsigned id);
void aml_close(struct state_stream *aml, size_t opened);

/* Name(name, ...); the value follows with aml_name(). */
void aml_name(struct state_stream *aml, const char *name);
void aml_name_integer(struct state_stream *aml, const char *name, uint32_t value);
void aml_name_eisaid(struct state_stream *aml, const char *name, const char *id);

void aml_operation_region(struct state_stream *aml, const char *name, unsigned space, uint32_t offset, uint32_t length);
void aml_field_unit(struct state_stream *aml, const char *name, unsigned bits);

enum {
    AML_STORE = 0x70,  /* source, target */
    AML_AND = 0x7b,    /* a, b, target */
    AML_OR = 0x7d,     /* a, b, target */
    AML_LESS = 0x95,   /* a, b */
    AML_RETURN = 0xa4, /* value */
    AML_ARG0 = 0x68,
    AML_NO_TARGET = 0x00,
    AML_SPACE_PCI_CONFIG = 2,
    AML_FIELD_BYTE_ACCESS = 1,
};
/* CreateDWordField(source, offset, name); `source` is AML_ARG0, or 0 to use `path`. */
void aml_create_dword_field(struct state_stream *aml, unsigned source, const char *path, uint32_t offset, const char *name);

/* A resource template: open, descriptors, close (which adds the end tag). */
struct aml_resources {
    size_t package, size_at;
};
struct aml_resources aml_resources(struct state_stream *aml);
void aml_resources_close(struct state_stream *aml, struct aml_resources opened);
void aml_memory_fixed(struct state_stream *aml, uint32_t first, uint32_t size);
void aml_io(struct state_stream *aml, unsigned first, unsigned count);
void aml_irq(struct state_stream *aml, unsigned irq);
void aml_dma(struct state_stream *aml, unsigned channel);
void aml_interrupts(struct state_stream *aml, const uint8_t *irqs, unsigned count); /* level, high, shared */
enum aml_range { AML_RANGE_MEMORY, AML_RANGE_IO, AML_RANGE_BUS };
void aml_word_range(struct state_stream *aml, enum aml_range kind, unsigned first, unsigned last);
void aml_dword_memory(struct state_stream *aml, uint32_t first, uint32_t last, bool is_cacheable);

#endif
