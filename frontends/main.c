/* main.c - the program tick86: options in, a machine built and run at the right pace, host and guest connected.
 *
 * Exit status: 0 when the guest powers off (or resets with -no-reboot, or the user quits), (v << 1) | 1 when it writes v to
 * isa-debug-exit, 1 for an error of the user or the host, 2 for a bug of ours. */
#define _GNU_SOURCE 1 /* ppoll */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "frontends/audio.h"
#include "frontends/curses.h"
#include "frontends/display.h"
#include "frontends/gdb_stub.h"
#include "frontends/host/block.h"
#include "frontends/host/chardev.h"
#include "frontends/host/firmware.h"
#include "frontends/host/memory.h"
#include "frontends/host/net.h"
#include "frontends/host/pacer.h"
#include "frontends/images.h"
#include "frontends/module.h"
#include "frontends/monitor.h"
#include "frontends/mux.h"
#include "frontends/options.h"
#include "frontends/plugin.h"
#include "frontends/profile.h"
#include "frontends/script.h"
#include "frontends/session.h"
#include "frontends/video.h"
#include "frontends/symbols.h"
#include "frontends/trace.h"
#include "frontends/travel.h"
#include "machine/tick86_cpu.h"
#include "machine/tick86_isa.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_NS = 33000000,          /* between pictures in the terminal */
    IDLE_FRAME_NS = 50000000,
    DISPLAY_FRAME_NS = 16000000,  /* and in a window */
    DISPLAY_POLL_NS = 8000000,    /* between looks for the window's events */
    FAST_SLICE_NS = 20000000,     /* fast-forward: guest time and instructions of a slice */
    FAST_SLICE_INSNS = 2000000,
    ANSWER_NS = 2000000,
    POLL_FDS = 12,
    STOPPED_POLL_MS = 50,
    VRAM_BYTES = 16 << 20,
    STATUS_ERROR = 1
};
#define VIRTUAL_RTC_SECONDS UINT64_C(1767225600) /* 2026-01-01 00:00:00 UTC */

/* A serial port's output: to its stream, if it has one, and to the script. */
struct serial_tap {
    struct mux *mux;
    struct script *const *script;
    unsigned port;
};

/* Everything main owns. */
struct program {
    struct options options;
    struct images images;
    struct tick86_config config;
    struct tick86_blob bios, vga_bios, loader;
    struct session session;
    struct pacer pacer;
    struct net *net; /* NULL: no network card */
    struct curses *curses;
    const struct display_module *display; /* NULL: curses or nothing */
    void *display_context;
    struct script *script;
    struct audio *audio; /* NULL: nobody listens */
    struct video *video;
    FILE *log;
    FILE *profile; /* NULL: not asked for */
    bool is_log_silent; /* the terminal shows the guest's screen */
    /* Streams. A mux serves each serial port; the monitor may share one or have its own stream. */
    struct chardev *serial_dev[TICK86_SERIAL_PORTS];
    struct mux mux[TICK86_SERIAL_PORTS];
    struct serial_tap serial_tap[TICK86_SERIAL_PORTS];
    struct byte_sink serial_sink[TICK86_SERIAL_PORTS];
    struct chardev *monitor_dev;
    struct chardev *debugcon_dev;
    struct byte_sink debugcon_sink;
    struct gdb_stub *gdb;
    struct trace *trace;
    struct plugin *plugins[PLUGINS_MAX];
    struct monitor monitor;
    unsigned monitor_greeted; /* connections that have seen the prompt */
    uint64_t last_frame_ns;
    bool has_died;
    bool is_started;
    struct travel *travel;
};

static void print_error(const struct error *err)
{
    fprintf(stderr, "tick86: %s%s%s\n", err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
}

/* ---- sinks ---- */

static void put_serial(void *context, uint8_t byte)
{
    const struct serial_tap *tap = context;

    if (tap->mux != NULL) {
        mux_put_serial(tap->mux, byte);
    }
    if (*tap->script != NULL) {
        script_serial(*tap->script, tap->port, byte);
    }
}

static void put_debugcon(void *context, uint8_t byte)
{
    chardev_write(context, &byte, 1);
}

static void put_monitor(void *context, const char *bytes, size_t size)
{
    chardev_write(context, bytes, size);
}

static void put_log(void *context, const char *channel, enum log_level level, const char *text)
{
    static const char *const levels[] = {"error", "guest", "trace"};
    const struct program *program = context;

    if (program->log != stderr || !program->is_log_silent) {
        fprintf(program->log, "%s: %s: %s\n", channel, levels[level], text);
    }
}

static void put_disk_error(void *context, const char *text)
{
    put_log(context, "disk", LOG_ERROR, text);
}

/* ---- from options to a configuration ---- */

static bool is_on_stdio(const char *spec)
{
    return spec != NULL && (strcmp(spec, "stdio") == 0 || strcmp(spec, "mon:stdio") == 0);
}

static bool has_window_system(void)
{
    return getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL;
}

/* What QEMU's defaults and -nographic mean for who uses the terminal. */
static bool choose_streams(struct options *options, struct error *err)
{
    unsigned users = 0;

    if (options->is_nographic) {
        options->display = DISPLAY_NONE;
        if (options->serial_count == 0) {
            options->serial[0] = "mon:stdio";
            options->serial_count = 1;
        } else if (options->monitor == NULL && !is_on_stdio(options->serial[0]) && !is_on_stdio(options->serial[1])) {
            options->monitor = "stdio";
        }
    }
    users = (unsigned)is_on_stdio(options->serial[0]) + is_on_stdio(options->serial[1]) +
            is_on_stdio(options->monitor) + is_on_stdio(options->debugcon) + is_on_stdio(options->gdb);
    if (users > 1) {
        error_set(err, "the terminal is wanted by %u of -serial, -monitor, -debugcon and -gdb", users);
        return error_hint(err, "-serial mon:stdio shares it between a serial port and the monitor");
    }
    bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (options->display == DISPLAY_DEFAULT && !has_window_system()) {
        options->display = is_terminal && users == 0 ? DISPLAY_CURSES : DISPLAY_NONE;
    }
    if (options->display == DISPLAY_CURSES) {
        if (users != 0) {
            error_set(err, "-display curses and a stdio stream both want the terminal");
            return error_hint(err, "use -serial pty or unix:PATH,server,nowait; the monitor is on Alt-2");
        }
        if (!is_terminal) {
            error_set(err, "-display curses needs a terminal for input and output");
            return error_hint(err, "use -nographic or -display none");
        }
    }
    return true;
}

static uint64_t rtc_seconds(const struct options *options)
{
    time_t now = time(NULL);

    switch (options->rtc_base) {
    case RTC_DATE:
        return options->rtc_seconds;
    case RTC_LOCALTIME: {
        struct tm local;
        localtime_r(&now, &local);
        return (uint64_t)timegm(&local);
    }
    case RTC_DEFAULT:
        if (options->is_time_virtual) {
            return VIRTUAL_RTC_SECONDS;
        }
        break;
    default:
        break;
    }
    return (uint64_t)now;
}

static bool load_firmware(struct program *program, struct error *err)
{
    static const char *const bios_names[] = {"bios-256k.bin", "bios.bin", NULL};
    static const char *const vga_names[] = {"vgabios-stdvga.bin", NULL};
    static const char *const loader_names[] = {"loader.bin", NULL};
    const struct options *options = &program->options;

    if (options->bios != NULL && access(options->bios, F_OK) != 0 && strchr(options->bios, '/') == NULL) {
        const char *const names[] = {options->bios, NULL}; /* QEMU looks for a bare name in -L, too */
        if (!firmware_map(&program->bios, names, options->dirs, options->dir_count, err)) {
            return false;
        }
    } else if (options->bios != NULL) {
        if (!host_file_map(&program->bios, options->bios, "firmware", err)) {
            return false;
        }
    } else if (!firmware_map(&program->bios, bios_names, options->dirs, options->dir_count, err)) {
        return false;
    }
    if (options->has_vga && !firmware_map(&program->vga_bios, vga_names, options->dirs, options->dir_count, err)) {
        return false;
    }
    return program->images.kernel.size == 0 ||
           firmware_map(&program->loader, loader_names, options->dirs, options->dir_count, err);
}

static bool open_drives(struct program *program, struct error *err)
{
    static const enum block_cache caches[] = {CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_UNSAFE};

    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        const struct drive_option *drive = &program->options.drives[n];
        struct block_options options = {.is_readonly = drive->is_readonly,
                                        .is_snapshot = program->options.is_snapshot || drive->is_snapshot ||
                                                       (program->options.checkpoint != NULL && !drive->is_readonly),
                                        .format = drive->format,
                                        .overlay = drive->overlay,
                                        .cache = caches[drive->cache],
                                        .disk = drive->disk,
                                        .log = put_disk_error,
                                        .log_context = program};
        if (!drive->is_used) {
            continue;
        }
        struct block_backend *medium =
            drive->path != NULL ? block_open(drive->path, &options, err) : block_open_empty(err);
        if (medium == NULL) {
            return false;
        }
        const char *notice = drive->is_cdrom ? NULL : block_notice(medium);
        if (notice != NULL) {
            fprintf(stderr, "tick86: %s\n", notice);
        }
        program->session.media[n] = medium;
        program->session.media_paths[n] = drive->path;
        program->session.is_cdrom[n] = drive->is_cdrom;
        program->config.drives[n] =
            (struct tick86_drive){drive->is_cdrom ? DRIVE_CDROM : DRIVE_DISK, medium};
    }
    return true;
}

static bool open_floppies(struct program *program, struct error *err)
{
    for (unsigned n = 0; n < TICK86_FLOPPIES; n++) {
        const struct drive_option *drive = &program->options.floppies[n];
        struct block_options options = {.is_readonly = drive->is_readonly,
                                        .is_snapshot = program->options.is_snapshot || drive->is_snapshot ||
                                                       (program->options.checkpoint != NULL && !drive->is_readonly),
                                        .format = drive->format,
                                        .overlay = drive->overlay,
                                        .log = put_disk_error,
                                        .log_context = program};
        if (!drive->is_used) {
            continue;
        }
        struct block_backend *medium =
            drive->path != NULL ? block_open(drive->path, &options, err) : block_open_empty(err);
        if (medium == NULL) {
            return false;
        }
        program->session.floppies[n] = medium;
        program->session.floppy_paths[n] = drive->path;
        program->config.floppies[n] = (struct tick86_drive){DRIVE_FLOPPY, medium};
    }
    return true;
}

static bool open_streams(struct program *program, struct error *err)
{
    const struct options *options = &program->options;

    for (unsigned n = 0; n < options->serial_count; n++) {
        bool has_monitor = strncmp(options->serial[n], "mon:", 4) == 0;
        const char *what = n == 0 ? "serial port 1" : "serial port 2";
        struct chardev *dev = chardev_open(options->serial[n] + (has_monitor ? 4 : 0), what, err);
        if (dev == NULL) {
            return false;
        }
        program->serial_dev[n] = dev;
        mux_init(&program->mux[n], dev, &program->session, n, has_monitor ? &program->monitor : NULL);
        if (has_monitor) {
            monitor_init(&program->monitor, &program->session, mux_put_monitor, &program->mux[n]);
        }
    }
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        bool has_stream = program->serial_dev[n] != NULL;
        program->serial_tap[n] = (struct serial_tap){has_stream ? &program->mux[n] : NULL, &program->script, n};
        program->serial_sink[n] = (struct byte_sink){&program->serial_tap[n], put_serial};
        if (has_stream || options->script != NULL) {
            program->config.serial[n] = &program->serial_sink[n];
        }
    }
    if (options->monitor != NULL) {
        program->monitor_dev = chardev_open(options->monitor, "the monitor", err);
        if (program->monitor_dev == NULL) {
            return false;
        }
        monitor_init(&program->monitor, &program->session, put_monitor, program->monitor_dev);
        program->monitor.echoes = chardev_is_interactive(program->monitor_dev) && strcmp(options->monitor, "stdio") == 0;
    }
    if (options->debugcon != NULL) {
        program->debugcon_dev = chardev_open(options->debugcon, "the debug console", err);
        if (program->debugcon_dev == NULL) {
            return false;
        }
        program->debugcon_sink = (struct byte_sink){program->debugcon_dev, put_debugcon};
        program->config.debugcon = &program->debugcon_sink;
    }
    return true;
}

static bool open_net(struct program *program, struct error *err)
{
    struct options *options = &program->options;

    if (!net_options_finish(&options->net, false, err)) {
        return false;
    }
    if (options->net.nic_count == 0) {
        return true;
    }
    program->net = net_open(&options->net, &program->config, options->dirs, options->dir_count,
                            options->replay != NULL, err); /* in a replay the frames come from the recording */
    program->session.net = program->net;
    return program->net != NULL;
}

static bool build_machine(struct program *program, struct error *err)
{
    struct tick86_config *config = &program->config;
    const struct options *options = &program->options;

    config->ram_bytes = options->ram_bytes;
    config->vram_bytes = VRAM_BYTES;
    config->bios = program->bios;
    config->vga_bios = program->vga_bios;
    config->boot_order = options->boot_order;
    config->boot_menu = options->boot_menu;
    config->serial_true_rate = options->serial_true_rate;
    config->kernel = program->images.kernel;
    if (program->images.module_count != 0) {
        config->initrd = program->images.modules[0];
        config->more_modules = &program->images.modules[1];
        config->more_module_count = program->images.module_count - 1;
    }
    config->loader_rom = program->loader;
    config->kernel_append = options->append;
    config->debug_exit = options->has_debug_exit;
    config->speaker = program->audio != NULL ? audio_speaker(program->audio) : NULL;
    config->vmmouse = options->has_vmmouse;
    config->debug_exit_port = options->debug_exit_port;
    config->rtc_base_seconds = rtc_seconds(options);
    config->random_seed = options->random_seed;
    config->cpus = options->cpus;
    config->schedule_seed = options->schedule_seed;
    config->cpu_model = options->cpu_model;
    pacer_init(&program->pacer, options->is_time_virtual, options->ns_per_insn_q16);
    config->ns_per_insn_q16 = program->pacer.ratio_q16;
    config->use_block_cache = !options->is_slow;
    config->log_sink = put_log;
    config->log_context = program;
    config->log_level = LOG_ERROR;
    if (!travel_configure(program->travel, config, err)) {
        return false;
    }
    program->pacer.ratio_q16 = config->ns_per_insn_q16;
    config->ram = config->ram != NULL ? config->ram : host_memory_map(config->ram_bytes, err);
    config->vram = config->vram != NULL || config->ram == NULL ? config->vram : host_memory_map(config->vram_bytes, err);
    if (config->vram == NULL) {
        return false;
    }
    program->session.machine = tick86_create(config, err);
    images_relax(&program->images);
    if (program->session.machine != NULL && program->net != NULL) {
        net_attach(program->net, program->session.machine);
    }
    return program->session.machine != NULL &&
           (!options->wants_profile || tick86_profile(program->session.machine, err));
}

static void add_recorded(struct recorded_file *files, unsigned *count, const char *role, const char *path,
                         const struct tick86_blob *blob)
{
    if (path != NULL && path[0] != '\0' && *count < RECORDED_FILES) {
        files[*count].blob = blob;
        snprintf(files[*count].role, sizeof files->role, "%s", role);
        snprintf(files[*count].path, sizeof files->path, "%s", path);
        (*count)++;
    }
}

/* The machine becomes what a snapshot or a recording says; recording begins. */
static bool attach_travel(struct program *program, struct error *err)
{
    static struct recorded_file files[RECORDED_FILES];
    const struct session *session = &program->session;
    unsigned count = 0;
    char role[24];

    add_recorded(files, &count, "bios", program->bios.name, &program->bios);
    add_recorded(files, &count, "vga bios", program->vga_bios.name, &program->vga_bios);
    add_recorded(files, &count, "loader", program->loader.name, &program->loader);
    add_recorded(files, &count, "kernel", program->images.kernel.name, NULL);
    for (unsigned n = 0; n < program->images.module_count; n++) {
        snprintf(role, sizeof role, "module %u", n);
        add_recorded(files, &count, role, program->images.modules[n].name, NULL);
        if (access(files[count - 1].path, F_OK) != 0) { /* "FILE ARGUMENTS" */
            files[count - 1].path[strcspn(files[count - 1].path, " ")] = '\0';
        }
    }
    for (unsigned n = 0; n < TICK86_DISKS + TICK86_FLOPPIES; n++) {
        snprintf(role, sizeof role, "drive %u", n);
        add_recorded(files, &count, role,
                     n < TICK86_DISKS ? session->media_paths[n] : session->floppy_paths[n - TICK86_DISKS], NULL);
    }
    return travel_attach(program->travel, &program->session, files, count, err);
}

/* -d CHANNEL[=LEVEL],... */
static bool set_log_levels(struct program *program, struct error *err)
{
    char items[1024];
    bool wants_trace = false;

    if (program->options.log_items == NULL) {
        return true;
    }
    snprintf(items, sizeof items, "%s", program->options.log_items);
    for (char *item = strtok(items, ","); item != NULL; item = strtok(NULL, ",")) {
        if (trace_knows(item)) {
            wants_trace = true;
            continue;
        }
        enum log_level level = LOG_TRACE;
        char *equals = strchr(item, '=');
        if (equals != NULL) {
            *equals++ = '\0';
            if (strcmp(equals, "error") == 0) {
                level = LOG_ERROR;
            } else if (strcmp(equals, "guest") == 0) {
                level = LOG_GUEST;
            } else if (strcmp(equals, "trace") != 0) {
                error_set(err, "-d %s=%s: no such level", item, equals);
                return error_hint(err, "levels are error, guest and trace");
            }
        }
        if (!log_knows(tick86_log(program->session.machine), item)) {
            error_set(err, "-d has no channel '%s'", item);
            return error_hint(err, "all means all of them; the monitor's info log lists them");
        }
        log_set_level(tick86_log(program->session.machine), item, level);
    }
    if (wants_trace) {
        program->trace = trace_start(&program->session, program->options.log_items, program->options.trace_filter, program->log, err);
    }
    return !wants_trace || program->trace != NULL;
}

static bool load_debug_files(struct program *program, struct error *err)
{
    struct session *session = &program->session;
    const struct options *options = &program->options;

    if (options->symbols_count != 0 && (session->symbols = symbols_create()) == NULL) {
        return error_set(err, "out of memory for symbols");
    }
    for (unsigned n = 0; n < options->symbols_count; n++) {
        if (symbols_load(session->symbols, options->symbols[n], err) == 0) {
            return false;
        }
    }
    for (unsigned n = 0; n < options->plugin_count; n++) {
        program->plugins[n] = plugin_load(options->plugins[n], session->machine, err);
        if (program->plugins[n] == NULL) {
            return false;
        }
    }
    return true;
}

/* --trace-print and --trace-diff: no machine is built. */
static int read_traces(const struct options *options, struct error *err)
{
    int result = 0;

    if (options->trace_print != NULL) {
        result = trace_print(options->trace_print, stdout, err) ? 0 : 2;
    } else if (options->file_count != 1) {
        error_set(err, "--trace-diff needs two traces");
        error_hint(err, "write: tick86 --trace-diff A B");
        result = 2;
    } else {
        result = trace_diff(options->trace_diff, options->files[0], stdout, err);
    }
    if (result == 2) {
        print_error(err);
    }
    return result == 2 ? STATUS_ERROR : result;
}

static bool open_files(struct program *program, struct error *err)
{
    program->log = stderr;
    if (program->options.log_path != NULL) {
        program->log = fopen(program->options.log_path, "w");
        if (program->log == NULL) {
            program->log = stderr;
            error_set(err, "cannot write log '%s': %s", program->options.log_path, strerror(errno));
            return error_hint(err, "check that the folder exists and you may write there");
        }
    }
    if (program->options.profile_path != NULL) {
        program->profile = fopen(program->options.profile_path, "w");
        if (program->profile == NULL) {
            error_set(err, "cannot write profile '%s': %s", program->options.profile_path, strerror(errno));
            return error_hint(err, "check that the folder exists and you may write there");
        }
    }
    if (program->options.pidfile != NULL) {
        FILE *file = fopen(program->options.pidfile, "w");
        if (file == NULL || fprintf(file, "%ld\n", (long)getpid()) < 0 || fclose(file) != 0) {
            error_set(err, "cannot write pidfile '%s': %s", program->options.pidfile, strerror(errno));
            return error_hint(err, "check that the folder exists and you may write there");
        }
    }
    return true;
}

/* A window or a VNC server. With no -display and a window system that will not have us, the terminal will do. */
static bool open_display(struct program *program, struct error *err)
{
    struct options *options = &program->options;
    struct error why = {0};
    bool is_default = options->display == DISPLAY_DEFAULT;

    if (!is_default && options->display != DISPLAY_SDL && options->display != DISPLAY_VNC) {
        return true;
    }
    program->display = module_load(options->display == DISPLAY_VNC ? "vnc" : "sdl", &why);
    if (program->display != NULL) {
        program->display_context = program->display->open(&program->session, &options->display_settings, &why);
    }
    if (program->display_context != NULL) {
        return true;
    }
    if (!is_default) {
        *err = why;
        return why.hint[0] != '\0' && program->display != NULL ? false : error_hint(err, "there are %s", display_list());
    }
    program->display = NULL;
    options->display = DISPLAY_NONE;
    bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (is_terminal && !is_on_stdio(options->serial[0]) && !is_on_stdio(options->serial[1]) &&
        !is_on_stdio(options->monitor) && !is_on_stdio(options->debugcon)) {
        options->display = DISPLAY_CURSES;
    }
    return true;
}

static void stopped_outside(void *context, enum tick86_stop stop);

/* Sound and video. */
static bool open_recorders(struct program *program, struct error *err)
{
    const struct options *options = &program->options;

    if (options->audio != NULL) {
        program->audio = audio_open(options->audio, err);
        if (program->audio == NULL) {
            return false;
        }
    }
    if (options->video != NULL) {
        program->video = video_open(options->video, err);
        return program->video != NULL;
    }
    return true;
}

static void close_recorders(struct program *program)
{
    struct error err = {0};

    if (program->audio != NULL && program->is_started) {
        audio_finish(program->audio, tick86_now_ns(program->session.machine));
    }
    if (!audio_close(program->audio, &err)) {
        print_error(&err);
        program->session.exit_status = STATUS_ERROR;
    }
    if (!video_close(program->video, &err)) {
        print_error(&err);
        program->session.exit_status = STATUS_ERROR;
    }
}

static bool start(struct program *program, struct error *err)
{
    struct options *options = &program->options;

    if (!images_choose(options, err) || !choose_streams(options, err) || !open_files(program, err) ||
        !images_map(&program->images, options, err) || !load_firmware(program, err) || !open_drives(program, err) ||
        !open_floppies(program, err)) {
        return false;
    }
    terminal_catch_signals();
    if (!open_recorders(program, err) || !open_streams(program, err) || !open_net(program, err) || !build_machine(program, err) || !load_debug_files(program, err) || !set_log_levels(program, err) ||
        !attach_travel(program, err)) {
        return false;
    }
    if (options->script != NULL) {
        program->script = script_open(options->script, &program->session, err);
        if (program->script == NULL) {
            return false;
        }
    }
    program->session.on_stop = stopped_outside;
    program->session.on_stop_context = program;
    if (options->gdb != NULL || options->serves_gdb) {
        program->gdb = gdb_stub_open(options->gdb != NULL ? options->gdb : "tcp::1234", &program->session, err);
        if (program->gdb == NULL) {
            return false;
        }
    }
    program->session.name = options->name;
    program->session.is_stopped = options->starts_stopped;
    if (!open_display(program, err)) {
        return false;
    }
    if (options->display == DISPLAY_CURSES) {
        program->curses = curses_open(&program->session, err);
        program->is_log_silent = true;
        return program->curses != NULL;
    }
    bool has_mux = (options->serial[0] != NULL && strcmp(options->serial[0], "mon:stdio") == 0) ||
                   (options->serial[1] != NULL && strcmp(options->serial[1], "mon:stdio") == 0);
    if (has_mux || is_on_stdio(options->serial[0]) || is_on_stdio(options->serial[1]) || is_on_stdio(options->monitor)) {
        terminal_raw(!has_mux); /* Ctrl-C goes to the guest when Ctrl-A x can end us */
    }
    return true;
}

/* ---- running ---- */

static void poll_streams(struct program *program)
{
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        if (program->serial_dev[n] != NULL) {
            mux_poll(&program->mux[n]);
        }
    }
    if (program->debugcon_dev != NULL) {
        chardev_flush(program->debugcon_dev);
    }
    if (program->monitor_dev != NULL) {
        char bytes[256];
        if (chardev_connections(program->monitor_dev) != program->monitor_greeted) {
            program->monitor_greeted = chardev_connections(program->monitor_dev);
            monitor_greet(&program->monitor);
        }
        monitor_resume(&program->monitor);
        size_t room = monitor_room(&program->monitor);
        size_t size = chardev_read(program->monitor_dev, bytes, room < sizeof bytes ? room : sizeof bytes);
        monitor_input(&program->monitor, bytes, size);
        chardev_flush(program->monitor_dev);
    }
    if (program->gdb != NULL) {
        gdb_stub_poll(program->gdb);
    }
    if (program->curses != NULL) {
        curses_input(program->curses);
    }
    if (program->display != NULL) {
        program->display->input(program->display_context);
    }
}

static void update_display(struct program *program, uint64_t now_ns)
{
    if (program->display != NULL && now_ns - program->last_frame_ns >= DISPLAY_FRAME_NS) {
        program->last_frame_ns = now_ns;
        program->display->update(program->display_context);
    }
    if (program->curses != NULL && now_ns - program->last_frame_ns >= FRAME_NS) {
        program->last_frame_ns = now_ns;
        curses_update(program->curses);
    }
}

/* Waits until something is typed, or for `ns`. Opens waiting connections on the way. */
static void wait_for_input(struct program *program, uint64_t ns)
{
    struct pollfd fds[POLL_FDS];
    nfds_t count = 0;

    ns = program->display != NULL && ns > DISPLAY_POLL_NS ? DISPLAY_POLL_NS : ns; /* its events have no descriptor */
    struct timespec limit = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    (void)limit;
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        /* Bytes that the guest has not taken yet: more would not be read. */
        if (program->serial_dev[n] != NULL && program->mux[n].pending_count < sizeof program->mux[n].pending) {
            count += chardev_poll_fds(program->serial_dev[n], &fds[count]);
        }
    }
    if (program->monitor_dev != NULL) {
        count += chardev_poll_fds(program->monitor_dev, &fds[count]);
    }
    if (program->gdb != NULL) {
        count += gdb_stub_poll_fds(program->gdb, &fds[count]);
    }
    if (program->debugcon_dev != NULL) {
        count += chardev_poll_fds(program->debugcon_dev, &fds[count]);
    }
    if (program->curses != NULL && (program->session.held_count == 0 || program->session.is_stopped)) {
        fds[count++] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    }
    if (program->net != NULL) {
        net_wait(program->net, fds, count, ns);
        return;
    }
#if defined(__linux__)
    ppoll(fds, count, &limit, NULL);
#else
    if (ns < 1000000) { /* too short to be worth poll's millisecond */
        nanosleep(&limit, NULL);
    } else {
        poll(fds, count, (int)(ns / 1000000));
    }
#endif
}

/* The guest has come to its end; a script that wanted more makes a failure of it. */
static void end_guest(struct program *program, int status, const char *why)
{
    if (program->script == NULL || script_guest_ended(program->script, why)) {
        session_quit(&program->session, status);
    }
}

/* What a stop of the machine means for the program. */
static void handle_stop(struct program *program, enum tick86_stop stop)
{
    struct session *session = &program->session;
    const struct options *options = &program->options;

    switch (stop) {
    case STOP_POWEROFF:
        session->has_powered_off = true;
        if (options->no_shutdown && program->script == NULL) {
            session_stop(session, "powered off");
        } else {
            end_guest(program, 0, "the guest powered off");
        }
        break;
    case STOP_RESET:
    case STOP_TRIPLE_FAULT:
        if (options->no_reboot) {
            end_guest(program, 0, "the guest reset");
        } else {
            session_reset(session);
        }
        break;
    case STOP_DEBUG_EXIT:
        session->has_powered_off = true;
        end_guest(program, (int)(((tick86_debug_exit_value(session->machine) << 1) | 1) & 0xff),
                  "the guest wrote to isa-debug-exit");
        break;
    case STOP_DEAD:
        if (options->is_time_virtual) {
            program->has_died = true;
            end_guest(program, 0, "the guest halted with interrupts off");
        } else {
            session_stop(session, "halted with interrupts off");
        }
        break;
    case STOP_DEBUG:
        session_stop(session, "breakpoint");
        session->stop_count++;
        break;
    default:
        break;
    }
}

static void stopped_outside(void *context, enum tick86_stop stop) { handle_stop(context, stop); }

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Runs, and lets frames pass in between: what answers the guest at once must not wait for the end of the slice. */
static enum tick86_stop run_machine(struct program *program, uint64_t until, uint64_t insns)
{
    struct tick86 *machine = program->session.machine;
    uint64_t start = tick86_icount(machine), done = 0, took_ns = 0;
    enum tick86_stop stop;
    bool goes_on;

    do {
        uint64_t before = host_now_ns();
        stop = tick86_run(machine, until, insns - done);
        uint64_t after = host_now_ns();
        took_ns += after - before;
        done = tick86_icount(machine) - start;
        goes_on = stop == STOP_REQUESTED && program->net != NULL && net_took_stop(program->net) && program->script == NULL;
        if (goes_on) {
            net_exchange(program->net, after);
        }
    } while (goes_on && done < insns && tick86_now_ns(machine) < until);
    pacer_ran(&program->pacer, took_ns, done);
    return stop;
}

static void run_slice(struct program *program, const struct pacer_step *step)
{
    struct session *session = &program->session;
    const struct options *options = &program->options;
    uint64_t icount = tick86_icount(session->machine);
    uint64_t until = smaller(smaller(step->until_ns, options->stop_ns),
                             smaller(session_next_release(session), session_next_look(session)));
    until = program->video != NULL ? smaller(until, video_next(program->video)) : until;
    until = program->script != NULL ? smaller(until, script_next(program->script)) : until;
    uint64_t insns = step->max_insns;

    if (options->stop_insns != UINT64_MAX) {
        insns = smaller(insns, options->stop_insns > icount ? options->stop_insns - icount : 0);
    }
    if (step->sets_ratio) {
        tick86_set_ratio(session->machine, step->ratio_q16);
    }
    enum tick86_stop stop = run_machine(program, until, insns);
    session_release_due(session);
    session_look_due(session);
    if (program->audio != NULL) {
        audio_advance(program->audio, tick86_now_ns(session->machine));
    }
    if (program->video != NULL) {
        video_run(program->video, session->machine);
    }
    if (program->script != NULL) {
        script_run(program->script);
    }
    bool was_replay = travel_is_replay(program->travel);
    travel_poll(program->travel, stop);
    if (!session->wants_quit && !was_replay) {
        handle_stop(program, stop);
    }
    if (!session->wants_quit && (tick86_icount(session->machine) >= options->stop_insns ||
                                 tick86_now_ns(session->machine) >= options->stop_ns)) {
        end_guest(program, 0, "the limit of -stop-at is reached");
    }
}

/* Until when neither the guest nor the session has anything to do; 0: not at all. */
static uint64_t idle_until(const struct program *program)
{
    const struct session *session = &program->session;

    uint64_t script_ns = program->script != NULL ? script_next(program->script) : UINT64_MAX;

    return smaller(smaller(smaller(tick86_idle_until_ns(session->machine), program->options.stop_ns), script_ns),
                   smaller(session_next_release(session), session_next_look(session)));
}

/* Under -time virtual an idle guest skips time, and would be through all its timeouts before anybody outside can answer: while
 * somebody might, it waits in real time. */
static void wait_for_answer(struct program *program, struct pacer_step *step)
{
    uint64_t guest_ns = tick86_now_ns(program->session.machine);
    uint64_t idle_ns = idle_until(program);
    uint64_t before = host_now_ns();

    if (idle_ns <= guest_ns) {
        return;
    }
    wait_for_input(program, smaller(idle_ns - guest_ns, ANSWER_NS));
    step->until_ns = guest_ns + smaller(smaller(host_now_ns() - before, idle_ns - guest_ns), ANSWER_NS);
    if (step->until_ns == guest_ns) {
        step->until_ns++;
    }
}

static void run(struct program *program)
{
    struct session *session = &program->session;

    while (!session->wants_quit) {
        uint64_t now = host_now_ns();
        if (terminal_signal() != 0) {
            session_quit(session, program->script != NULL && !script_is_done(program->script));
            break;
        }
        poll_streams(program);
        update_display(program, now);
        if (session->wants_quit) {
            break;
        }
        if (session->is_stopped) {
            pacer_pause(&program->pacer);
            wait_for_input(program, STOPPED_POLL_MS * UINT64_C(1000000));
            continue;
        }
        if (program->net != NULL) {
            net_exchange(program->net, now);
        }
        program->pacer.is_virtual = program->options.is_time_virtual || travel_is_replay(program->travel);
        struct pacer_step step = pacer_next(&program->pacer, now, tick86_now_ns(session->machine), idle_until(program));
        if (program->net != NULL && program->options.is_time_virtual && net_is_live(program->net)) {
            wait_for_answer(program, &step);
        }
        if (step.runs) {
            run_slice(program, &step);
        } else {
            wait_for_input(program, program->curses != NULL ? smaller(step.sleep_ns, IDLE_FRAME_NS) : step.sleep_ns);
        }
        if (step.is_idle) {
            step = pacer_catch_up(&program->pacer, host_now_ns(), tick86_now_ns(session->machine));
            if (step.runs) {
                run_slice(program, &step);
            }
        }
    }
}

static void write_profile(struct program *program)
{
    if (!program->options.wants_profile) {
        return;
    }
    profile_print(program->session.machine, stderr);
    if (program->profile != NULL && (!profile_write(program->session.machine, program->profile) || ferror(program->profile))) {
        fprintf(stderr, "tick86: cannot write profile '%s' whole\n", program->options.profile_path);
        program->session.exit_status = STATUS_ERROR;
    }
}

static void finish(struct program *program)
{
    struct session *session = &program->session;

    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        chardev_close(program->serial_dev[n]);
    }
    gdb_stub_close(program->gdb);
    chardev_close(program->monitor_dev);
    chardev_close(program->debugcon_dev);
    curses_close(program->curses);
    close_recorders(program);
    if (program->display_context != NULL) {
        program->display->close(program->display_context);
    }
    terminal_restore();
    if (session->machine != NULL) {
        const struct options *options = &program->options;
        uint64_t icount = tick86_icount(session->machine), now = tick86_now_ns(session->machine);
        if (program->has_died) {
            fprintf(stderr, "tick86: the guest halted with interrupts off, for good\n");
        }
        if (program->is_started && (options->stop_insns != UINT64_MAX || options->stop_ns != UINT64_MAX)) {
            fprintf(stderr, "tick86: ended at icount=%" PRIu64 " time_ns=%" PRIu64 "\n", icount, now);
        }
        if (program->is_started && options->print_hash) {
            printf("icount=%" PRIu64 " time_ns=%" PRIu64 " hash=%016" PRIx64 "\n", icount, now,
                   tick86_hash(session->machine, true));
        }
        write_profile(program);
        trace_stop(program->trace);
        for (unsigned n = 0; n < PLUGINS_MAX; n++) {
            plugin_end(program->plugins[n], session->machine);
        }
        session_flush_disks(session);
        if (!travel_close(program->travel)) {
            session->exit_status = STATUS_ERROR;
        }
        program->travel = NULL;
        tick86_destroy(session->machine);
    }
    (void)travel_close(program->travel);
    net_close(program->net);
    script_close(program->script);
    session_close(session);
    host_memory_unmap(program->config.ram, program->config.ram_bytes);
    host_memory_unmap(program->config.vram, program->config.vram_bytes);
    host_file_unmap(&program->bios);
    host_file_unmap(&program->vga_bios);
    host_file_unmap(&program->loader);
    images_unmap(&program->images);
    options_free(&program->options);
    if (program->log != NULL && program->log != stderr) {
        fclose(program->log);
    }
    if (program->profile != NULL) {
        fclose(program->profile);
    }
}

static void put_stdout(void *context, const char *text)
{
    (void)context;
    fputs(text, stdout);
}

/* -cpu help: each model with the features it has. */
static void print_cpu_models(void)
{
    char features[2048];
    const char *name;

    for (size_t n = 0; tick86_cpu_describe(n, &name, features, sizeof features); n++) {
        printf("%-10s %s\n", name, features);
    }
}

int main(int argc, char **argv)
{
    static struct program program; /* large: lines and buffers of its parts */
    struct error err = {0};

    if (!options_parse(&program.options, argc, argv, &err)) {
        print_error(&err);
        return STATUS_ERROR;
    }
    if (program.options.trace_print != NULL || program.options.trace_diff != NULL) {
        int result = read_traces(&program.options, &err);
        options_free(&program.options);
        return result;
    }
    if (program.options.wants_cpu_help) {
        print_cpu_models();
        return fflush(stdout) == 0 ? 0 : STATUS_ERROR;
    }
    if (program.options.wants_isa) {
        tick86_print_isa(put_stdout, NULL);
        return fflush(stdout) == 0 ? 0 : STATUS_ERROR;
    }
    if (program.options.wants_help || program.options.wants_man || program.options.wants_version) {
        if (program.options.wants_version) {
            options_print_version(stdout);
        } else if (program.options.wants_man) {
            options_print_man(stdout);
        } else {
            options_print_help(stdout);
        }
        return fflush(stdout) == 0 ? 0 : STATUS_ERROR;
    }
    program.travel = travel_prepare(&program.options, argc, argv, &err);
    program.is_started = program.travel != NULL && start(&program, &err);
    if (program.is_started) {
        run(&program);
    }
    finish(&program);
    if (!program.is_started) {
        print_error(&err);
        return STATUS_ERROR;
    }
    return program.session.exit_status;
}
