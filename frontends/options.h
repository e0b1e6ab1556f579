/* options.h - the command line, from one table: parser, --help, the man page and the nearest name for a wrong one. */
#ifndef FRONTENDS_OPTIONS_H
#define FRONTENDS_OPTIONS_H

#include "frontends/display.h"
#include "frontends/net_options.h"
#include "machine/tick86.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { OPTIONS_DIRS = 8, OPTIONS_FILES = 16, OPTIONS_COPIES = 96 };

enum display_kind { DISPLAY_DEFAULT, DISPLAY_NONE, DISPLAY_CURSES, DISPLAY_SDL, DISPLAY_VNC };
enum rtc_base { RTC_DEFAULT, RTC_UTC, RTC_LOCALTIME, RTC_DATE };

enum drive_cache { DRIVE_WRITEBACK, DRIVE_WRITETHROUGH, DRIVE_UNSAFE };

struct drive_option {
    bool is_used;
    bool is_cdrom;
    bool is_readonly;
    bool is_snapshot;
    bool is_floppy;
    const char *path; /* NULL: empty drive */
    const char *format;  /* NULL: told from the content */
    const char *overlay; /* a layer that takes the writes */
    enum drive_cache cache;
    unsigned disk; /* which one of an appliance */
};

struct options {
    uint64_t ram_bytes; /* 0: not given */
    const char *bios;
    const char *dirs[OPTIONS_DIRS];
    unsigned dir_count;
    const char *cpu_model; /* NULL: the default */
    bool wants_cpu_help;
    const char *kernel, *initrd, *append;
    struct drive_option drives[TICK86_DISKS];
    struct drive_option floppies[TICK86_FLOPPIES];
    const char *boot_order; /* letters, or NULL */
    bool boot_menu;
    bool is_snapshot;
    const char *serial[TICK86_SERIAL_PORTS]; /* NULL: not given */
    unsigned serial_count;
    const char *monitor;
    const char *debugcon;
    bool is_nographic;
    enum display_kind display;
    struct display_settings display_settings;
    bool has_vga;
    bool has_debug_exit;
    bool has_vmmouse;
    uint32_t debug_exit_port;
    enum rtc_base rtc_base;
    uint64_t rtc_seconds; /* for RTC_DATE: since 1970 */
    uint64_t random_seed;
    unsigned cpus; /* 0: not given */
    uint64_t schedule_seed;
    bool is_time_virtual;
    uint64_t ns_per_insn_q16; /* 0: default */
    bool no_reboot, no_shutdown;
    const char *script; /* --script */
    const char *audio;  /* NULL: none */
    const char *video;  /* -record-video */
    const char *name;
    const char *log_items; /* -d */
    const char *log_path;  /* -D */
    const char *pidfile;
    bool starts_stopped;
    const char *symbols[4]; /* -symbols */
    unsigned symbols_count;
    const char *plugins[4]; /* -plugin */
    unsigned plugin_count;
    const char *trace_filter; /* -trace */
    const char *trace_print, *trace_diff;
    const char *gdb; /* -gdb; NULL: none */
    bool serves_gdb; /* -s */
    bool is_slow; /* --self-check=slow */
    uint64_t stop_insns; /* UINT64_MAX: not set */
    uint64_t stop_ns;
    bool serial_true_rate;
    const char *loadvm, *record, *replay, *checkpoint; /* NULL: not given */
    bool has_checkpoints;
    uint64_t checkpoint_bytes;
    bool print_hash;
    bool wants_profile;
    const char *profile_path; /* NULL: no JSON */
    const char *files[OPTIONS_FILES]; /* bare arguments */
    unsigned file_count;
    struct net_options net;
    bool wants_help, wants_version, wants_man, wants_isa;
    char *copies[OPTIONS_COPIES];
    unsigned copy_count;
};

/* Fills `options` from the arguments. False with `err` set for anything wrong, with what to do. End with options_free. */
bool options_parse(struct options *options, int argc, char *const *argv, struct error *err);
void options_free(struct options *options);

/* Whether the command line says what the machine is made of, apart from -snapshot. */
bool options_make_machine(int argc, char *const *argv);
/* The arguments that do, each ended by NUL, files with their whole paths; to be freed. NULL: out of memory. */
char *options_collect(int argc, char *const *argv, size_t *size);
/* A copy that lives as long as the options. */
const char *options_keep(struct options *options, const char *text);

/* --help, and the OPTIONS section of the man page (roff). */
void options_print_help(FILE *out);
void options_print_man(FILE *out);
void options_print_version(FILE *out);

/* One key=value of a comma separated list; a doubled comma stands for one. `*list` moves behind it. False at its end. */
struct pair {
    char key[64];
    char value[1024];
    bool has_value;
};
bool options_next_pair(const char **list, struct pair *pair);

/* Reads "512", "512M", "2G" as bytes; a bare number is in units of `default_unit`. */
bool options_parse_size(const char *text, uint64_t default_unit, uint64_t *bytes);

#endif
