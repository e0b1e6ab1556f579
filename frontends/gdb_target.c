/* gdb_target.c - target descriptions, as in gdb's manual, appendix G, "Target Descriptions", and G.5.15, "x86 Features". */
#include "frontends/gdb_target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Registers that gdb must find, in its order. */
static const char *const core32[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags",
                                      "cs",  "ss",  "ds",  "es",  "fs",  "gs",  NULL };
static const char *const core64[] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
                                      "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags",
                                      "cs",  "ss",  "ds",  "es",  "fs",  "gs",  NULL };
static const char *const x87[] = { "st0",  "st1",   "st2",   "st3",  "st4",   "st5",   "st6",   "st7",
                                   "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop", NULL };
static const char *const sse32[] = { "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "mxcsr", NULL };
static const char *const sse64[] = { "xmm0",  "xmm1",  "xmm2",  "xmm3",  "xmm4",  "xmm5",  "xmm6",  "xmm7", "xmm8",
                                     "xmm9",  "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mxcsr", NULL };
static const char *const bases64[] = { "fs_base", "gs_base", NULL };

static void say(struct gdb_target *target, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct gdb_target *target, const char *format, ...)
{
    va_list list;
    size_t room = sizeof target->xml - target->xml_size;

    va_start(list, format);
    int length = vsnprintf(target->xml + target->xml_size, room, format, list);
    va_end(list);
    if (length > 0) {
        target->xml_size += (size_t)length < room ? (size_t)length : room - 1;
    }
}

static bool is_announced(const struct gdb_target *target, unsigned number)
{
    for (unsigned n = 0; n < target->count; n++) {
        if (target->numbers[n] == number) {
            return true;
        }
    }
    return false;
}

/* gdb's type of a register. */
static const char *type_of(const char *name, unsigned bits)
{
    size_t length = strlen(name);

    if (strcmp(name, "rip") == 0 || strcmp(name, "eip") == 0) {
        return "code_ptr";
    }
    if (strcmp(name, "eflags") == 0) {
        return "eflags";
    }
    if (length == 3 && (name[0] == 'r' || name[0] == 'e') && name[2] == 'p') {
        return "data_ptr";
    }
    switch (bits) {
    case 128:
        return "vec128";
    case 80:
        return "i387_ext";
    case 64:
        return name[0] == 'r' && length == 3 ? "int64" : "uint64";
    case 32:
        return name[0] == 'e' && length == 3 ? "int32" : "uint32";
    default:
        return bits == 16 ? "uint16" : "uint8";
    }
}

/* `bits` 0: as many as the register has. */
static void add_register(struct gdb_target *target, const char *name, const char *shown, unsigned bits, const char *group)
{
    int number = tick86_register_find(name);
    struct tick86_register info;

    if (number < 0 || !tick86_register_info((unsigned)number, &info) || target->count == GDB_REGISTERS_MAX) {
        return;
    }
    bits = bits != 0 ? bits : info.bits;
    say(target, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s%s%s/>\n", shown, bits, type_of(shown, bits),
        target->count, group != NULL ? " group=\"" : "", group != NULL ? group : "", group != NULL ? "\"" : "");
    target->numbers[target->count] = (uint16_t)number;
    target->bytes[target->count++] = (uint8_t)(bits / 8);
    target->packet_bytes += bits / 8;
}

static void add_list(struct gdb_target *target, const char *const *names, const char *group)
{
    for (; *names != NULL; names++) {
        bool is_pc = strcmp(*names, "eip") == 0 || strcmp(*names, "rip") == 0;
        unsigned width = is_pc ? (*names[0] == 'e' ? 32 : 64) : 0;
        add_register(target, is_pc && !target->pc_is_offset ? "pc" : *names, *names, width, group);
    }
}

static void open_feature(struct gdb_target *target, const char *name) { say(target, "<feature name=\"%s\">\n", name); }
static void close_feature(struct gdb_target *target) { say(target, "</feature>\n"); }

/* All registers of a group that no feature of gdb's own has. */
static void add_group(struct gdb_target *target, enum tick86_register_group group, const char *name)
{
    struct tick86_register info;
    char feature[64];

    snprintf(feature, sizeof feature, "org.tick86.x86.%s", name);
    open_feature(target, feature);
    for (unsigned n = 0; tick86_register_info(n, &info); n++) {
        if (info.group == group && !is_announced(target, n)) {
            /* 32-bit gdbs show addresses of 32 bits well, and wider integers too. */
            add_register(target, info.name, info.name, 0, name);
        }
    }
    close_feature(target);
}

static const char flags_type[] =
    "<flags id=\"eflags\" size=\"4\">\n"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"IOPL\" start=\"12\" end=\"13\"/><field name=\"NT\" start=\"14\" end=\"14\"/>"
    "<field name=\"RF\" start=\"16\" end=\"16\"/><field name=\"VM\" start=\"17\" end=\"17\"/>"
    "<field name=\"AC\" start=\"18\" end=\"18\"/><field name=\"VIF\" start=\"19\" end=\"19\"/>"
    "<field name=\"VIP\" start=\"20\" end=\"20\"/><field name=\"ID\" start=\"21\" end=\"21\"/>\n</flags>\n";

static const char vector_types[] =
    "<vector id=\"v8b\" type=\"int8\" count=\"16\"/><vector id=\"v4w\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4d\" type=\"int32\" count=\"4\"/><vector id=\"v2q\" type=\"int64\" count=\"2\"/>"
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2f\" type=\"ieee_double\" count=\"2\"/>\n"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2f\"/>"
    "<field name=\"v16_int8\" type=\"v8b\"/><field name=\"v8_int16\" type=\"v4w\"/>"
    "<field name=\"v4_int32\" type=\"v4d\"/><field name=\"v2_int64\" type=\"v2q\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>\n";

const char *gdb_target_name(enum gdb_architecture architecture)
{
    return architecture == GDB_X86_64 ? "i386:x86-64" : architecture == GDB_I386 ? "i386" : "i8086";
}

void gdb_target_make(struct gdb_target *target, enum gdb_architecture architecture, bool pc_is_offset)
{
    bool is_wide = architecture == GDB_X86_64;

    memset(target, 0, sizeof *target);
    target->architecture = architecture;
    target->pc_is_offset = pc_is_offset;
    say(target,
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
        "<architecture>%s</architecture>\n<osabi>none</osabi>\n",
        gdb_target_name(architecture));
    open_feature(target, "org.gnu.gdb.i386.core");
    say(target, "%s", flags_type);
    add_list(target, is_wide ? core64 : core32, NULL);
    add_list(target, x87, "float");
    close_feature(target);
    open_feature(target, "org.gnu.gdb.i386.sse");
    say(target, "%s", vector_types);
    add_list(target, is_wide ? sse64 : sse32, "vector");
    close_feature(target);
    if (is_wide) {
        open_feature(target, "org.gnu.gdb.i386.segments");
        add_list(target, bases64, NULL);
        close_feature(target);
    }
    add_group(target, REGISTER_SEGMENT, "segments");
    add_group(target, REGISTER_SYSTEM, "system");
    add_group(target, REGISTER_MSR, "msr");
    say(target, "</target>\n");
}

unsigned gdb_target_read(const struct gdb_target *target, const struct tick86 *machine, unsigned cpu, unsigned n,
                         uint8_t bytes[TICK86_REGISTER_MAX_BYTES])
{
    if (n >= target->count) {
        return 0;
    }
    tick86_register_read(machine, cpu, target->numbers[n], bytes);
    return target->bytes[n];
}

bool gdb_target_write(const struct gdb_target *target, struct tick86 *machine, unsigned cpu, unsigned n,
                      const uint8_t *bytes)
{
    uint8_t full[TICK86_REGISTER_MAX_BYTES] = {0};

    if (n >= target->count) {
        return false;
    }
    memcpy(full, bytes, target->bytes[n]);
    return tick86_register_write(machine, cpu, target->numbers[n], full, sizeof full);
}
