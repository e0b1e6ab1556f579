/* options.c - the command line. Option names and arguments are QEMU's where QEMU has them (qemu-system-i386(1), 7.2).
 *
 * Every option is one row of `rows`. Not implemented: what is not in the table; a known QEMU option that is missing is
 * told apart from a spelling mistake by the list `known_elsewhere`. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "frontends/options.h"
#include "frontends/audio.h"

#include "machine/tick86_cpu.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct row;
typedef bool parse_fn(struct options *options, const struct row *row, const char *value, struct error *err);

struct row {
    const char *name;
    const char *argument; /* NULL: takes none */
    parse_fn *parse;
    size_t offset;   /* of the member that simple parsers set */
    unsigned number; /* for parsers shared by several rows */
    const char *doc;
};

/* ---- helpers ---- */

static char *copy_text(struct options *options, const char *text, size_t length)
{
    char *copy = malloc(length + 1);

    BUG_ON(copy == NULL || options->copy_count == OPTIONS_COPIES);
    memcpy(copy, text, length);
    copy[length] = '\0';
    options->copies[options->copy_count++] = copy;
    return copy;
}

bool options_parse_size(const char *text, uint64_t default_unit, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    uint64_t unit = default_unit;

    errno = 0;
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    uint64_t number = strtoull(text, &end, 10);
    if (*end != '\0') {
        const char *at = strchr(units, toupper((unsigned char)*end));
        if (at == NULL || (end[1] != '\0' && strcasecmp(end + 1, "B") != 0 && strcasecmp(end + 1, "iB") != 0)) {
            return false;
        }
        unit = UINT64_C(1) << (10 * (at - units + 1));
    }
    if (errno != 0 || number > UINT64_MAX / unit) {
        return false;
    }
    *bytes = number * unit;
    return true;
}

static bool next_pair(const char **list, struct pair *pair)
{
    const char *at = *list;
    size_t length = 0;
    bool in_value = false;

    if (*at == '\0') {
        return false;
    }
    memset(pair, 0, sizeof *pair);
    for (; *at != '\0'; at++) {
        if (*at == ',') {
            if (at[1] != ',') {
                at++;
                break;
            }
            at++;
        } else if (*at == '=' && !in_value) {
            in_value = pair->has_value = true;
            length = 0;
            continue;
        }
        char *into = in_value ? pair->value : pair->key;
        if (length + 1 < (in_value ? sizeof pair->value : sizeof pair->key)) {
            into[length++] = *at;
        }
    }
    *list = at;
    return true;
}

bool options_next_pair(const char **list, struct pair *pair)
{
    return next_pair(list, pair);
}

static bool bad_value(const struct row *row, const char *value, const char *hint, struct error *err)
{
    error_set(err, "-%s does not take '%s'", row->name, value);
    return error_hint(err, "%s", hint);
}

static bool parse_on_off(const struct row *row, const struct pair *pair, bool *flag, struct error *err)
{
    if (!pair->has_value || strcmp(pair->value, "on") == 0) {
        *flag = true;
    } else if (strcmp(pair->value, "off") == 0) {
        *flag = false;
    } else {
        error_set(err, "-%s %s=%s: not on or off", row->name, pair->key, pair->value);
        return error_hint(err, "write %s=on or %s=off", pair->key, pair->key);
    }
    return true;
}

static bool unknown_key(const struct row *row, const struct pair *pair, struct error *err)
{
    error_set(err, "-%s has no setting '%s'", row->name, pair->key);
    return error_hint(err, "-%s %s", row->name, row->argument);
}

static bool parse_number(const char *text, uint64_t limit, uint64_t *number)
{
    char *end;

    errno = 0;
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    *number = strtoull(text, &end, 0);
    return errno == 0 && *end == '\0' && *number <= limit;
}

/* ---- parsers ---- */

static bool parse_text(struct options *options, const struct row *row, const char *value, struct error *err)
{
    const char **member = (const char **)(void *)((char *)options + row->offset);

    (void)err;
    *member = value;
    return true;
}

static bool parse_flag(struct options *options, const struct row *row, const char *value, struct error *err)
{
    bool *member = (bool *)(void *)((char *)options + row->offset);

    (void)value;
    (void)err;
    *member = row->number == 0;
    return true;
}

static bool parse_memory(struct options *options, const struct row *row, const char *value, struct error *err)
{
    const char *size = strncmp(value, "size=", 5) == 0 ? value + 5 : value;
    const uint64_t mebibyte = UINT64_C(1) << 20;

    if (!options_parse_size(size, mebibyte, &options->ram_bytes) || options->ram_bytes < mebibyte ||
        options->ram_bytes > UINT64_C(64) << 30 || options->ram_bytes % mebibyte != 0) {
        return bad_value(row, value, "guest RAM is 1M to 64G in whole mebibytes, such as -m 512M", err);
    }
    return true;
}

static bool parse_cpu(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    options->cpu_model = value;
    options->wants_cpu_help = strcmp(value, "help") == 0;
    return options->wants_cpu_help || tick86_cpu_check(value, err);
}

/* QEMU's topology is taken as far as it gives a number: sockets * cores * threads. */
static bool parse_smp(struct options *options, const struct row *row, const char *value, struct error *err)
{
    static const char hint[] = "1 to 32 processors, such as -smp 4";
    static const char *const keys[] = {"cpus", "sockets", "cores", "threads", "maxcpus"};
    uint64_t numbers[5] = {0, 0, 0, 0, 0};
    struct pair pair;
    const char *list = value;

    while (next_pair(&list, &pair)) {
        const char *key = pair.has_value ? pair.key : "cpus", *text = pair.has_value ? pair.value : pair.key;
        unsigned n = 0;
        while (n < 5 && strcmp(key, keys[n]) != 0) {
            n++;
        }
        if (n == 5) {
            return unknown_key(row, &pair, err);
        }
        if (!parse_number(text, TICK86_CPUS_MAX, &numbers[n]) || numbers[n] == 0) {
            return bad_value(row, value, hint, err);
        }
    }
    uint64_t product = (numbers[1] != 0 ? numbers[1] : 1) * (numbers[2] != 0 ? numbers[2] : 1) *
                       (numbers[3] != 0 ? numbers[3] : 1);
    uint64_t cpus = numbers[0] != 0 ? numbers[0] : product;
    if (cpus > TICK86_CPUS_MAX || (product > 1 && product != cpus)) {
        return bad_value(row, value, product > 1 && product != cpus ? "cpus is sockets * cores * threads" : hint, err);
    }
    if (numbers[4] != 0 && numbers[4] != cpus) {
        return bad_value(row, value, "processors cannot be plugged in later: leave maxcpus out", err);
    }
    options->cpus = (unsigned)cpus;
    return true;
}

static bool parse_sched(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (strncmp(value, "seed=", 5) != 0 || !parse_number(value + 5, UINT64_MAX, &options->schedule_seed)) {
        return bad_value(row, value, "use -sched seed=N; seed=0 is equal turns in order", err);
    }
    return true;
}

static bool parse_dir(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (options->dir_count == OPTIONS_DIRS) {
        return error_set(err, "-%s given more than %d times", row->name, OPTIONS_DIRS);
    }
    options->dirs[options->dir_count++] = value;
    return true;
}

static const char *drive_name(unsigned index)
{
    static const char *const names[] = {"-hda", "-hdb", "-hdc (where -cdrom is)", "-hdd"};

    return names[index];
}

static bool take_drive(struct options *options, unsigned index, const struct drive_option *drive, struct error *err)
{
    if (options->drives[index].is_used) {
        error_set(err, "two images for one drive, %s: '%s' and '%s'", drive_name(index),
                  options->drives[index].path != NULL ? options->drives[index].path : "(empty)",
                  drive->path != NULL ? drive->path : "(empty)");
        return error_hint(err, "there are -hda, -hdb, -hdc and -hdd; -cdrom is -hdc");
    }
    options->drives[index] = *drive;
    options->drives[index].is_used = true;
    return true;
}

static bool parse_disk(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct drive_option drive = {.path = value};

    return take_drive(options, row->number, &drive, err);
}

static bool parse_cdrom(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct drive_option drive = {.path = value[0] != '\0' ? value : NULL, .is_cdrom = true, .is_readonly = true};

    return take_drive(options, row->number, &drive, err);
}

static bool parse_cache(const struct row *row, const char *value, enum drive_cache *cache, struct error *err)
{
    static const char *const names[] = {"writeback", "writethrough", "unsafe", "none", "directsync"};
    static const enum drive_cache modes[] = {DRIVE_WRITEBACK, DRIVE_WRITETHROUGH, DRIVE_UNSAFE, DRIVE_WRITEBACK,
                                             DRIVE_WRITETHROUGH};

    for (unsigned n = 0; n < sizeof names / sizeof names[0]; n++) {
        if (strcmp(names[n], value) == 0) {
            *cache = modes[n];
            return true;
        }
    }
    return bad_value(row, value, "use cache=writeback, cache=writethrough or cache=unsafe", err);
}

/* One setting of -drive; `index` is UINT64_MAX until it is given. */
static bool set_drive(struct options *options, const struct row *row, const struct pair *pair, struct drive_option *drive,
                      uint64_t *index, struct error *err)
{
    const char *key = pair->key, *value = pair->value;
    uint64_t disk = 0;

    if (strcmp(key, "file") == 0) {
        drive->path = copy_text(options, value, strlen(value));
    } else if (strcmp(key, "format") == 0) {
        drive->format = copy_text(options, value, strlen(value));
    } else if (strcmp(key, "overlay") == 0) {
        drive->overlay = copy_text(options, value, strlen(value));
    } else if (strcmp(key, "cache") == 0) {
        return parse_cache(row, value, &drive->cache, err);
    } else if (strcmp(key, "disk") == 0) {
        if (!parse_number(value, 64, &disk)) {
            return bad_value(row, value, "disk=0 is the first disk of an appliance", err);
        }
        drive->disk = (unsigned)disk;
    } else if (strcmp(key, "if") == 0) {
        drive->is_floppy = strcmp(value, "floppy") == 0;
        if (!drive->is_floppy && strcmp(value, "ide") != 0) {
            error_set(err, "-drive if=%s is not implemented", value);
            return error_hint(err, "use if=ide or if=floppy");
        }
    } else if (strcmp(key, "index") == 0) {
        if (!parse_number(value, TICK86_DISKS - 1, index)) {
            error_set(err, "-drive index=%s: not 0 to %d", value, TICK86_DISKS - 1);
            return error_hint(err, "0 is -hda, 3 is -hdd");
        }
    } else if (strcmp(key, "media") == 0) {
        if (strcmp(value, "cdrom") != 0 && strcmp(value, "disk") != 0) {
            return bad_value(row, value, "use media=disk or media=cdrom", err);
        }
        drive->is_cdrom = strcmp(value, "cdrom") == 0;
    } else if (strcmp(key, "readonly") == 0) {
        return parse_on_off(row, pair, &drive->is_readonly, err);
    } else if (strcmp(key, "snapshot") == 0) {
        return parse_on_off(row, pair, &drive->is_snapshot, err);
    } else {
        return unknown_key(row, pair, err);
    }
    return true;
}

static bool take_floppy(struct options *options, uint64_t index, const struct drive_option *drive, struct error *err)
{
    if (index == UINT64_MAX) {
        index = options->floppies[0].is_used ? 1 : 0;
    }
    if (index >= TICK86_FLOPPIES || options->floppies[index].is_used) {
        error_set(err, "there is no room for the floppy disk '%s'", drive->path != NULL ? drive->path : "(empty)");
        return error_hint(err, "there are -fda and -fdb");
    }
    options->floppies[index] = *drive;
    options->floppies[index].is_used = true;
    return true;
}

static bool parse_floppy(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct drive_option drive = {.path = value[0] != '\0' ? value : NULL};

    return take_floppy(options, row->number, &drive, err);
}

static bool parse_drive(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct drive_option drive = {0};
    struct pair pair;
    const char *list = value;
    uint64_t index = UINT64_MAX;

    while (next_pair(&list, &pair)) {
        if (!set_drive(options, row, &pair, &drive, &index, err)) {
            return false;
        }
    }
    if (drive.is_floppy) {
        return take_floppy(options, index, &drive, err);
    }
    if (drive.path == NULL && !drive.is_cdrom) {
        error_set(err, "-drive '%s' names no file", value);
        return error_hint(err, "-drive file=disk.img,format=raw");
    }
    if (drive.overlay != NULL && (drive.is_readonly || drive.is_cdrom)) {
        error_set(err, "-drive overlay=%s: nothing is written to that drive", drive.overlay);
        return error_hint(err, "leave readonly=on out");
    }
    drive.is_readonly = drive.is_readonly || drive.is_cdrom;
    if (index == UINT64_MAX) {
        for (index = drive.is_cdrom ? 2 : 0; index < TICK86_DISKS - 1 && options->drives[index].is_used; index++) {
        }
    }
    return take_drive(options, (unsigned)index, &drive, err);
}

static bool parse_boot(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct pair pair;
    const char *list = value;

    while (next_pair(&list, &pair)) {
        const char *letters = NULL;
        if (!pair.has_value && strcmp(pair.key, "menu") != 0) {
            letters = pair.key;
        } else if (strcmp(pair.key, "order") == 0 || strcmp(pair.key, "once") == 0) {
            letters = pair.value;
        } else if (strcmp(pair.key, "menu") == 0) {
            if (!parse_on_off(row, &pair, &options->boot_menu, err)) {
                return false;
            }
        } else {
            return unknown_key(row, &pair, err);
        }
        if (letters != NULL) {
            if (letters[0] == '\0' || letters[strspn(letters, "abcdn")] != '\0') {
                return bad_value(row, letters, "the order is made of c (disk), d (CD-ROM), a (floppy), n (network)", err);
            }
            options->boot_order = copy_text(options, letters, strlen(letters));
        }
    }
    return true;
}

static bool is_chardev(const char *value)
{
    static const char *const exact[] = {"stdio", "pty", "null", "none", "mon:stdio"};
    static const char *const prefixes[] = {"file:", "unix:", "tcp:", "mon:stdio"};

    for (size_t n = 0; n < sizeof exact / sizeof exact[0]; n++) {
        if (strcmp(value, exact[n]) == 0) {
            return true;
        }
    }
    for (size_t n = 0; n < sizeof prefixes / sizeof prefixes[0]; n++) {
        if (strncmp(value, prefixes[n], strlen(prefixes[n])) == 0 && value[strlen(prefixes[n])] != '\0') {
            return true;
        }
    }
    return false;
}

static bool parse_serial(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (options->serial_count == TICK86_SERIAL_PORTS) {
        return error_set(err, "-serial given more than %d times: there are COM1 and COM2", TICK86_SERIAL_PORTS);
    }
    if (!is_chardev(value)) {
        return bad_value(row, value, "use stdio, mon:stdio, file:PATH, pty, unix:PATH, tcp:HOST:PORT, null or none", err);
    }
    options->serial[options->serial_count++] = value;
    return true;
}

static bool parse_parallel(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)options;
    if (strcmp(value, "none") != 0) {
        return bad_value(row, value, "there is no parallel port; use -parallel none", err);
    }
    return true;
}

static bool parse_monitor(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (!is_chardev(value) || strncmp(value, "mon:", 4) == 0 || strncmp(value, "file:", 5) == 0) {
        return bad_value(row, value, "use stdio, unix:PATH,server,nowait, tcp:HOST:PORT,server,nowait, pty or none", err);
    }
    options->monitor = value;
    return true;
}

static bool parse_symbols(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (options->symbols_count == sizeof options->symbols / sizeof options->symbols[0]) {
        return bad_value(row, value, "there is room for four files", err);
    }
    options->symbols[options->symbols_count++] = value;
    return true;
}

static bool parse_plugin(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (options->plugin_count == sizeof options->plugins / sizeof options->plugins[0]) {
        return bad_value(row, value, "there is room for four plugins", err);
    }
    options->plugins[options->plugin_count++] = value;
    return true;
}

static bool parse_gdb(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (strncmp(value, "tcp:", 4) != 0 && strncmp(value, "unix:", 5) != 0 && strcmp(value, "stdio") != 0 &&
        strcmp(value, "pty") != 0) {
        return bad_value(row, value, "use tcp:[HOST]:PORT, unix:PATH or stdio", err);
    }
    options->gdb = value;
    return true;
}

static bool parse_debugcon(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (!is_chardev(value) || strncmp(value, "mon:", 4) == 0) {
        return bad_value(row, value, "use stdio, file:PATH, pty, unix:PATH, tcp:HOST:PORT or null", err);
    }
    options->debugcon = value;
    return true;
}

static bool parse_global(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)options;
    if (strcmp(value, "isa-debugcon.iobase=0x402") != 0) {
        return bad_value(row, value, "only isa-debugcon.iobase=0x402, where the debug console is", err);
    }
    return true;
}

/* What follows the comma of -display sdl. */
static bool set_window(struct display_settings *settings, const struct row *row, const struct pair *pair, struct error *err)
{
    static const char *const scalings[] = {"linear", "nearest", "integer"};
    uint64_t number;

    if (strcmp(pair->key, "scaling") == 0) {
        for (unsigned n = 0; n < 3; n++) {
            if (strcmp(pair->value, scalings[n]) == 0) {
                settings->scaling = n == 0 ? SCALING_LINEAR : n == 1 ? SCALING_NEAREST : SCALING_INTEGER;
                return true;
            }
        }
        return bad_value(row, pair->value, "scaling=linear, scaling=nearest or scaling=integer", err);
    }
    if (strcmp(pair->key, "zoom") == 0) {
        if (!parse_number(pair->value, 8, &number) || number == 0) {
            return bad_value(row, pair->value, "zoom=1 to zoom=8", err);
        }
        settings->zoom = (unsigned)number;
        return true;
    }
    if (strcmp(pair->key, "aspect") == 0) {
        bool keeps = true;
        bool is_good = parse_on_off(row, pair, &keeps, err);
        settings->ignores_aspect = !keeps;
        return is_good;
    }
    if (strcmp(pair->key, "full-screen") == 0) {
        return parse_on_off(row, pair, &settings->is_full_screen, err);
    }
    return unknown_key(row, pair, err);
}

/* HOST:N[,password=TEXT] */
static bool set_vnc(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct display_settings *settings = &options->display_settings;
    struct pair pair;
    const char *list = value;
    uint64_t number;

    const char *colon = next_pair(&list, &pair) ? strrchr(pair.key, ':') : NULL;
    if (colon == NULL || pair.has_value || !parse_number(colon + 1, 65535 - 5900, &number)) {
        return bad_value(row, value, "use vnc=HOST:N[,password=TEXT]; :0 is port 5900 of this machine alone, 0.0.0.0:0 that of all its addresses", err);
    }
    settings->vnc_address = copy_text(options, pair.key, strlen(pair.key));
    while (next_pair(&list, &pair)) {
        if (strcmp(pair.key, "password") != 0) {
            return unknown_key(row, &pair, err);
        }
        if (strlen(pair.value) == 0 || strlen(pair.value) > 8) {
            return bad_value(row, "password", "the protocol's passwords have 1 to 8 characters", err);
        }
        settings->vnc_password = copy_text(options, pair.value, strlen(pair.value));
    }
    options->display = options->display == DISPLAY_DEFAULT ? DISPLAY_VNC : options->display;
    return true;
}

static bool parse_vnc(struct options *options, const struct row *row, const char *value, struct error *err)
{
    return set_vnc(options, row, value, err);
}

static bool parse_display(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct pair pair;
    const char *list = value;

    if (strncmp(value, "vnc=", 4) == 0) {
        options->display = DISPLAY_VNC;
        return set_vnc(options, row, value + 4, err);
    }
    if (next_pair(&list, &pair) && strcmp(pair.key, "sdl") == 0 && !pair.has_value) {
        options->display = DISPLAY_SDL;
        while (next_pair(&list, &pair)) {
            if (!set_window(&options->display_settings, row, &pair, err)) {
                return false;
            }
        }
        return true;
    }
    if (strcmp(value, "none") == 0) {
        options->display = DISPLAY_NONE;
    } else if (strcmp(value, "curses") == 0) {
        options->display = DISPLAY_CURSES;
    } else {
        error_set(err, "-display does not take '%s'", value);
        return error_hint(err, "there are %s", display_list());
    }
    return true;
}

static bool parse_audio(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    options->audio = strcmp(value, "none") == 0 ? NULL : value;
    return audio_check(value, err);
}

static bool parse_vga(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (strcmp(value, "std") != 0 && strcmp(value, "none") != 0) {
        return bad_value(row, value, "use -vga std or -vga none", err);
    }
    options->has_vga = strcmp(value, "std") == 0;
    return true;
}

static bool parse_device(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct pair pair;
    const char *list = value;
    uint64_t number;

    if (strcmp(value, "vmmouse") == 0) {
        options->has_vmmouse = true;
        return true;
    }
    if (net_is_device(value)) {
        return net_parse_device(&options->net, value, err);
    }
    if (!next_pair(&list, &pair) || strcmp(pair.key, "isa-debug-exit") != 0) {
        return bad_value(row, value, "there are e1000, rtl8139, ne2k_pci, ne2k_isa, vmmouse and isa-debug-exit[,iobase=PORT][,iosize=N]", err);
    }
    options->has_debug_exit = true;
    while (next_pair(&list, &pair)) {
        if (strcmp(pair.key, "iobase") == 0 && parse_number(pair.value, 0xffff, &number)) {
            options->debug_exit_port = (uint32_t)number;
        } else if (strcmp(pair.key, "iosize") != 0 || !parse_number(pair.value, 8, &number)) {
            return unknown_key(row, &pair, err);
        }
    }
    return true;
}

static bool parse_nic(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    return net_parse_nic(&options->net, value, err);
}

static bool parse_netdev(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    return net_parse_netdev(&options->net, value, err);
}

static bool parse_net(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    return net_parse_net(&options->net, value, err);
}

static bool parse_object(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    return net_parse_object(&options->net, value, err);
}

/* Seconds since 1970 of a date and time in UTC. */
static bool parse_date(const char *text, uint64_t *seconds)
{
    struct tm date = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);

    if (end == NULL) {
        memset(&date, 0, sizeof date);
        end = strptime(text, "%Y-%m-%d", &date);
    }
    if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0)) {
        return false;
    }
    time_t value = timegm(&date);
    *seconds = (uint64_t)value;
    return value >= 0;
}

static bool parse_rtc(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct pair pair;
    const char *list = value;

    while (next_pair(&list, &pair)) {
        if (strcmp(pair.key, "base") == 0) {
            if (strcmp(pair.value, "utc") == 0) {
                options->rtc_base = RTC_UTC;
            } else if (strcmp(pair.value, "localtime") == 0) {
                options->rtc_base = RTC_LOCALTIME;
            } else if (parse_date(pair.value, &options->rtc_seconds)) {
                options->rtc_base = RTC_DATE;
            } else {
                return bad_value(row, pair.value, "use utc, localtime or a date such as 2026-01-31T12:00:00", err);
            }
        } else if (strcmp(pair.key, "clock") == 0) {
            if (strcmp(pair.value, "vm") != 0) {
                return bad_value(row, pair.value, "the clock always runs in guest time: clock=vm", err);
            }
        } else {
            return unknown_key(row, &pair, err);
        }
    }
    return true;
}

static bool parse_seed(struct options *options, const struct row *row, const char *value, struct error *err)
{
    return parse_number(value, UINT64_MAX, &options->random_seed) ||
           bad_value(row, value, "a whole number is needed, such as -seed 42", err);
}

/* A decimal number of nanoseconds, as 16.16 fixed point. */
static bool parse_ratio(const char *text, uint64_t *q16)
{
    char *end;

    errno = 0;
    double ns = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(ns >= 0.001) || ns > 10000.0) {
        return false;
    }
    *q16 = (uint64_t)(ns * 65536.0 + 0.5);
    return true;
}

static bool parse_time(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct pair pair;
    const char *list = value;

    while (next_pair(&list, &pair)) {
        if (!pair.has_value && (strcmp(pair.key, "wall") == 0 || strcmp(pair.key, "virtual") == 0)) {
            options->is_time_virtual = strcmp(pair.key, "virtual") == 0;
        } else if (strcmp(pair.key, "ratio") == 0) {
            if (!parse_ratio(pair.value, &options->ns_per_insn_q16)) {
                return bad_value(row, pair.value, "the ratio is nanoseconds per instruction, 0.001 to 10000", err);
            }
        } else {
            return bad_value(row, pair.key, "use -time wall or -time virtual[,ratio=NS]", err);
        }
    }
    return true;
}

static bool parse_stop_at(struct options *options, const struct row *row, const char *value, struct error *err)
{
    struct pair pair;
    const char *list = value;

    while (next_pair(&list, &pair)) {
        char *end;
        if (strcmp(pair.key, "insns") == 0 && parse_number(pair.value, UINT64_MAX - 1, &options->stop_insns)) {
            continue;
        }
        double seconds = strtod(pair.value, &end);
        if (strcmp(pair.key, "time") != 0 || end == pair.value || *end != '\0' || !(seconds >= 0) || seconds > 1e9) {
            return bad_value(row, value, "use -stop-at insns=N or -stop-at time=SECONDS (guest time)", err);
        }
        options->stop_ns = (uint64_t)(seconds * 1e9);
    }
    return true;
}

static bool parse_serial_rate(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    if (strcmp(value, "fast") != 0 && strcmp(value, "true") != 0) {
        error_set(err, "unknown serial rate '%s'", value);
        return error_hint(err, "-serial-rate fast or -serial-rate true");
    }
    options->serial_true_rate = strcmp(value, "true") == 0;
    return true;
}

/* mem=SIZE|off */
static bool parse_checkpoints(struct options *options, const struct row *row, const char *value, struct error *err)
{
    const char *size = strncmp(value, "mem=", 4) == 0 ? value + 4 : value;

    options->has_checkpoints = true;
    options->checkpoint_bytes = 0;
    if (strcmp(value, "off") != 0 && (!options_parse_size(size, UINT64_C(1) << 20, &options->checkpoint_bytes) ||
                                      options->checkpoint_bytes < UINT64_C(1) << 20)) {
        return bad_value(row, value, "give the memory for checkpoints, 1M at least, such as mem=256M, or off", err);
    }
    return true;
}

static bool parse_self_check(struct options *options, const struct row *row, const char *value, struct error *err)
{
    if (strcmp(value, "slow") != 0) {
        return bad_value(row, value, "use --self-check=slow", err);
    }
    options->is_slow = true;
    return true;
}

static bool parse_profile(struct options *options, const struct row *row, const char *value, struct error *err)
{
    (void)row;
    (void)err;
    options->wants_profile = true;
    options->profile_path = value;
    return true;
}

/* ---- the table ---- */

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
    {"m", "SIZE", parse_memory, 0, 0, "guest RAM, 1M to 64G; a bare number is in mebibytes (default 128M; 512M for bare FILEs)"},
    {"cpu", "MODEL", parse_cpu, 0, 0,
     "processor, with features added and taken away: MODEL[,+FEATURE,-FEATURE] (default max); -cpu help lists them"},
    {"smp", "N", parse_smp, 0, 0, "number of processors, 1 to 32 (default 1); cores=N and the like are taken for their number"},
    {"sched", "seed=N", parse_sched, 0, 0,
     "processors take turns of a length and in an order that the seed chooses; the same seed is the same schedule "
     "(default: equal turns in order)"},
    {"bios", "FILE", parse_text, AT(bios), 0, "system firmware (default: bios-256k.bin of the package seabios)"},
    {"L", "DIR", parse_dir, 0, 0, "look for firmware in DIR first; may be repeated"},
    {"kernel", "FILE", parse_text, AT(kernel), 0, "boot a Linux bzImage or a Multiboot kernel"},
    {"initrd", "FILE", parse_text, AT(initrd), 0,
     "initial RAM disk; for a Multiboot kernel \"FILE ARGS,FILE ARGS\" gives its modules"},
    {"append", "TEXT", parse_text, AT(append), 0, "kernel command line"},
    {"fda", "FILE", parse_floppy, 0, 0, "floppy disk image, 160K to 2.88M; an empty name is an empty drive"},
    {"fdb", "FILE", parse_floppy, 0, 1, "the same for the second drive"},
    {"hda", "FILE", parse_disk, 0, 0, "disk image, primary master"},
    {"hdb", "FILE", parse_disk, 0, 1, "disk image, primary slave"},
    {"hdc", "FILE", parse_disk, 0, 2, "disk image, secondary master"},
    {"hdd", "FILE", parse_disk, 0, 3, "disk image, secondary slave"},
    {"cdrom", "FILE", parse_cdrom, 0, 2, "CD-ROM image, secondary master; an empty name is an empty drive"},
    {"drive", "file=FILE[,format=FORMAT][,if=ide|floppy][,index=N][,media=disk|cdrom][,readonly=on|off][,snapshot=on|off]"
     "[,overlay=FILE][,cache=MODE][,disk=N]",
     parse_drive, 0, 0, "a drive in full; overlay: a layer that takes all writes; disk: of an appliance"},
    {"boot", "[order=]LETTERS[,menu=on|off]", parse_boot, 0, 0,
     "boot order: c disk, d CD-ROM, a floppy, n network (default: cd); the firmware's boot menu"},
    {"snapshot", NULL, parse_flag, AT(is_snapshot), 0, "never write to disk images; what the guest writes is thrown away"},
    {"serial", "DEV", parse_serial, 0, 0,
     "COM1, given again COM2: stdio, mon:stdio (with the monitor), file:PATH, pty, unix:PATH[,server][,nowait], "
     "tcp:HOST:PORT[,server][,nowait], null, none"},
    {"serial-rate", "fast|true", parse_serial_rate, 0, 0,
     "fast: a serial character takes at most a microsecond of guest time (default); true: what the guest sets"},
    {"parallel", "none", parse_parallel, 0, 0, "there is no parallel port"},
    {"monitor", "DEV", parse_monitor, 0, 0, "the monitor: stdio, unix:PATH[,server][,nowait], tcp:HOST:PORT[,server][,nowait], pty, none"},
    {"nographic", NULL, parse_flag, AT(is_nographic), 0, "no display; COM1 and the monitor share the terminal (Ctrl-A h for help)"},
    {"display", "sdl[,scaling=linear|nearest|integer][,zoom=N][,aspect=on|off][,full-screen=on|off]|"
     "vnc=HOST:N[,password=TEXT]|curses|none", parse_display, 0, 0,
     "show the screen in a window, to VNC viewers (display N is port 5900 + N; no HOST: this machine alone), as text in the terminal, or "
     "nothing (default: a window where there is a window system, else curses on a terminal, else none)"},
    {"vnc", "HOST:N[,password=TEXT]", parse_vnc, 0, 0, "the same as -display vnc="},
    {"audio", "sdl|wav:FILE|none", parse_audio, 0, 0, "the PC speaker: played, or as a sound file in guest time (default: none)"},
    {"record-video", "FILE", parse_text, AT(video), 0,
     "the screen as a film in guest time, made by ffmpeg; a folder (FILE ends in a slash) gets its changes as PNG files"},
    {"vga", "std|none", parse_vga, 0, 0, "video adapter (none: without VGA BIOS)"},
    {"debugcon", "DEV", parse_debugcon, 0, 0, "where bytes written to port 402h go; SeaBIOS logs there. DEV as for -serial"},
    {"global", "isa-debugcon.iobase=0x402", parse_global, 0, 0, "accepted for QEMU command lines; it is so anyway"},
    {"device", "isa-debug-exit[,iobase=PORT][,iosize=N]|vmmouse", parse_device, 0, 0,
     "vmmouse: VMware's absolute pointing device; isa-debug-exit: a write of V to PORT (default 0x501) ends tick86 with status (V << 1) | 1"},
    {"device", "e1000|rtl8139|rtl8139c|ne2k_pci|ne2k_isa[,netdev=ID][,mac=MAC][,addr=SLOT][,romfile=FILE][,iobase=PORT][,irq=N]",
     parse_device, 0, 0, "a network card on the network ID of -netdev"},
    {"nic", "user|stream|dgram|socket|none[,model=CARD][,mac=MAC][,SETTING=VALUE]...", parse_nic, 0, 0,
     "a network and a card on it (default model=e1000); settings as for -netdev. none: no network"},
    {"netdev", "user|stream|dgram|socket|none,id=ID[,SETTING=VALUE]...", parse_netdev, 0, 0,
     "a network. user: hostfwd=tcp:127.0.0.1:2222-:22, guestfwd=tcp:10.0.2.100:80-tcp:HOST:PORT, tftp=DIR, bootfile=FILE, "
     "restrict=on, hostloopback=on, net=ADDRESS/BITS, ipv6=off...; stream: server=on, addr.host, addr.port or addr.path; "
     "dgram: local.host, local.port, remote.host, remote.port. All: capture=FILE writes pcapng (docs/network.md)"},
    {"net", "none", parse_net, 0, 0, "no network"},
    {"object", "filter-dump,id=ID,netdev=ID,file=FILE", parse_object, 0, 0, "the same as capture=FILE of that network"},
    {"rtc", "base=utc|localtime|DATE[,clock=vm]", parse_rtc, 0, 0,
     "calendar clock at power-on (default utc; under -time virtual 2026-01-01)"},
    {"seed", "N", parse_seed, 0, 0, "start of the sequence that RDRAND and RDSEED read (default 0)"},
    {"time", "wall|virtual[,ratio=NS]", parse_time, 0, 0,
     "wall: guest time follows the host's (default); virtual: every instruction takes NS nanoseconds (default 1), "
     "nothing sleeps, and runs with equal input are identical"},
    {"no-reboot", NULL, parse_flag, AT(no_reboot), 0, "end when the guest resets"},
    {"no-shutdown", NULL, parse_flag, AT(no_shutdown), 0, "stop instead of ending when the guest powers off"},
    {"name", "TEXT", parse_text, AT(name), 0, "name of the machine, shown by the monitor"},
    {"S", NULL, parse_flag, AT(starts_stopped), 0, "do not start; the monitor command cont does"},
    {"gdb", "DEV", parse_gdb, 0, 0,
     "serve gdb on tcp:[HOST]:PORT (only on this machine unless HOST says otherwise), unix:PATH or stdio (docs/debugging.md)"},
    {"symbols", "FILE[@BASE]", parse_symbols, 0, 0,
     "names for addresses, from an ELF file, System.map or kallsyms list, moved by BASE; may be given four times"},
    {"plugin", "FILE[,ARGUMENTS]", parse_plugin, 0, 0, "load a plugin (docs/debugging.md); may be given four times"},
    {"trace", "FILTER", parse_text, AT(trace_filter), 0,
     "of what -d traces, only addr=FIRST-LAST,cpl=N,cr3=N,cpu=N,from=ICOUNT,to=ICOUNT; format=text|binary"},
    {"trace-print", "FILE", parse_text, AT(trace_print), 0, "print a binary trace as text"},
    {"trace-diff", "A B", parse_text, AT(trace_diff), 0, "print the first difference of two traces; status 0 when there is none"},
    {"s", NULL, parse_flag, AT(serves_gdb), 0, "the same as -gdb tcp::1234"},
    {"d", "CHANNEL[=LEVEL],...", parse_text, AT(log_items), 0,
     "trace in_asm, exec, int, mmu, io, mem, mode (-trace narrows it); log channels (chips, cpu, all) at level error, guest or trace (default trace)"},
    {"D", "FILE", parse_text, AT(log_path), 0, "log to FILE instead of stderr"},
    {"pidfile", "FILE", parse_text, AT(pidfile), 0, "write the process number to FILE"},
    {"loadvm", "NAME", parse_text, AT(loadvm), 0,
     "start from a snapshot: a file, or a name given to savevm; without machine options it is the machine that was saved"},
    {"record", "FILE[,last=60s][,embed=on]", parse_text, AT(record), 0,
     "record all input; last: only so much of the past is kept; embed: with the files that the machine depends on"},
    {"replay", "FILE", parse_text, AT(replay), 0,
     "run a recording again, checked; status 3 when the run differs"},
    {"checkpoint", "FILE[,every=10s]", parse_text, AT(checkpoint), 0,
     "keep memory and disks of one moment in FILE; when tick86 was killed, the same command line goes on from there"},
    {"checkpoints", "mem=SIZE|off", parse_checkpoints, 0, 0,
     "keep a history in so much memory, to go backwards in (default: 256M during a replay, else off)"},
    {"stop-at", "insns=N|time=SECONDS", parse_stop_at, 0, 0, "end after N instructions or SECONDS of guest time, with status 0"},
    {"print-hash", NULL, parse_flag, AT(print_hash), 0, "at the end print icount, guest time and a hash of CPU, RAM and devices"},
    {"self-check", "slow", parse_self_check, 0, 0, "slow: no block cache; the result must be the same"},
    {"profile", "[=FILE]", parse_profile, 0, 0,
     "at the end print what the interpreter did: its counts, the hottest guest code, the handlers; FILE gets the whole profile as JSON"},
    {"script", "FILE", parse_text, AT(script), 0,
     "wait for what the guest shows, type, click and take pictures as FILE says (docs/script.md); status 0 when all came"},
    {"help", NULL, parse_flag, AT(wants_help), 0, "this list"},
    {"help-man", NULL, parse_flag, AT(wants_man), 0, "this list for the man page"},
    {"isa", NULL, parse_flag, AT(wants_isa), 0,
     "print the instructions, the CPUID feature each belongs to and the number of test cases that execute it"},
    {"version", NULL, parse_flag, AT(wants_version), 0, "version"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* QEMU options that are real but not implemented, and the nearest that is. */
static const struct {
    const char *name, *instead;
} known_elsewhere[] = {
    {"qmp", "monitor"},     {"machine", NULL},      {"M", NULL},          {"accel", NULL},
    {"enable-kvm", NULL},   {"usb", NULL},          {"sdl", "display"},   {"curses", "display"},
    {"icount", "time"},     {"chardev", "serial"},  {"mon", "monitor"},       {"k", NULL},
    {"daemonize", NULL},    {"fw_cfg", NULL},       {"option-rom", NULL}, {"blockdev", "drive"}, {"dtb", NULL},
    {"full-screen", "display"}, {"startdate", "rtc"}, {"localtime", "rtc"}, {"pflash", "bios"}, {"sda", "hda"},
};

/* Levenshtein distance, cut at 31 characters. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[32];
    size_t columns = strlen(b) < 31 ? strlen(b) : 31;

    for (unsigned n = 0; n <= columns; n++) {
        row[n] = n;
    }
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned n = 1; n <= columns; n++) {
            unsigned best = diagonal + (a[i - 1] != b[n - 1]);
            diagonal = row[n];
            if (row[n] + 1 < best) {
                best = row[n] + 1;
            }
            if (row[n - 1] + 1 < best) {
                best = row[n - 1] + 1;
            }
            row[n] = best;
        }
    }
    return row[columns];
}

static const struct row *nearest_row(const char *name)
{
    const struct row *best = &rows[0];
    unsigned best_distance = UINT32_MAX;

    for (size_t n = 0; n < ROWS; n++) {
        unsigned distance = 2 * edit_distance(name, rows[n].name);
        if (strlen(name) > 2 && strncmp(name, rows[n].name, strlen(name)) == 0) {
            distance = 1;
        }
        if (distance < best_distance) {
            best = &rows[n];
            best_distance = distance;
        }
    }
    return best;
}

static bool unknown_option(const char *given, const char *name, struct error *err)
{
    for (size_t n = 0; n < sizeof known_elsewhere / sizeof known_elsewhere[0]; n++) {
        if (strcmp(name, known_elsewhere[n].name) == 0) {
            error_set(err, "option '%s' is not implemented", given);
            if (known_elsewhere[n].instead != NULL) {
                return error_hint(err, "the nearest is -%s; see tick86 --help", known_elsewhere[n].instead);
            }
            return error_hint(err, "the nearest is -%s; see tick86 --help", nearest_row(name)->name);
        }
    }
    error_set(err, "unknown option '%s'", given);
    return error_hint(err, "did you mean -%s? See tick86 --help", nearest_row(name)->name);
}

static const struct row *find_row(const char *name, size_t length)
{
    for (size_t n = 0; n < ROWS; n++) {
        if (strlen(rows[n].name) == length && memcmp(rows[n].name, name, length) == 0) {
            return &rows[n];
        }
    }
    return NULL;
}

bool options_parse(struct options *options, int argc, char *const *argv, struct error *err)
{
    memset(options, 0, sizeof *options);
    options->has_vga = true;
    options->stop_insns = options->stop_ns = UINT64_MAX;
    for (int n = 1; n < argc; n++) {
        const char *given = argv[n];
        if (given[0] != '-' || given[1] == '\0') {
            if (options->file_count == OPTIONS_FILES) {
                return error_set(err, "more than %d files", OPTIONS_FILES);
            }
            options->files[options->file_count++] = given;
            continue;
        }
        const char *name = given + (given[1] == '-' ? 2 : 1);
        const char *value = given[1] == '-' ? strchr(name, '=') : NULL;
        size_t length = value != NULL ? (size_t)(value - name) : strlen(name);
        const struct row *row = find_row(name, length);
        if (row == NULL && strcmp(name, "h") == 0) {
            row = find_row("help", 4);
        }
        if (row == NULL) {
            return unknown_option(given, name, err);
        }
        if (row->argument == NULL && value != NULL) {
            return error_set(err, "option '-%s' takes no value", row->name);
        }
        if (row->argument != NULL && strncmp(row->argument, "[=", 2) == 0) {
            value = value != NULL ? value + 1 : NULL; /* only as --name=VALUE */
        } else if (row->argument != NULL) {
            value = value != NULL ? value + 1 : ++n < argc ? argv[n] : NULL;
            if (value == NULL) {
                error_set(err, "option '%s' needs a value", given);
                return error_hint(err, "-%s %s", row->name, row->argument);
            }
        }
        if (!row->parse(options, row, value, err)) {
            return false;
        }
    }
    return true;
}

void options_free(struct options *options)
{
    for (unsigned n = 0; n < options->copy_count; n++) {
        free(options->copies[n]);
    }
    options->copy_count = 0;
}

/* ---- what makes the machine ---- */

/* Options that only say how to show, drive or end it. */
static bool is_about_host(const char *name)
{
    static const char *const names[] = {
        "serial", "parallel", "monitor", "qmp", "nographic", "display", "no-reboot", "no-shutdown", "name", "S", "d", "D",
        "pidfile", "stop-at", "print-hash", "self-check", "profile", "script", "symbols", "trace-print", "trace-diff", "help", "help-man", "help-isa", "version",
        "loadvm", "record", "replay", "checkpoints", "checkpoint", "s", "gdb", "vnc", "sdl", "curses", "k", "full-screen",
        "audio", "audiodev", "plugin", "trace", "report", "isa", "daemonize", "snapshot", "time", "h",
    };

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        if (strcmp(names[n], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The option at argv[n], and how many arguments it has. NULL: a bare file. */
static const struct row *option_at(int argc, char *const *argv, int n, int *count)
{
    const char *given = argv[n], *name = given + (given[0] == '-' && given[1] == '-' ? 2 : 1);
    const char *equals = given[0] == '-' && given[1] == '-' ? strchr(name, '=') : NULL;

    *count = 1;
    if (given[0] != '-' || given[1] == '\0') {
        return NULL;
    }
    const struct row *row = find_row(name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    if (row != NULL && row->argument != NULL && equals == NULL && strncmp(row->argument, "[=", 2) != 0 && n + 1 < argc) {
        *count = 2;
    }
    return row;
}

bool options_make_machine(int argc, char *const *argv)
{
    for (int n = 1, count; n < argc; n += count) {
        const struct row *row = option_at(argc, argv, n, &count);
        if (row == NULL || !is_about_host(row->name)) {
            return true;
        }
    }
    return false;
}

/* Appends a value; where `may_be_file` and it, or what is behind "file=" in it, is a file, with its whole path. */
static bool collect(char **text, size_t *size, const char *value, bool may_be_file)
{
    const char *file = strncmp(value, "file=", 5) == 0 ? value + 5 : value;
    size_t length = file != value ? strcspn(file, ",") : strlen(file);
    char path[4096], *whole = NULL;

    if (may_be_file && length != 0 && length < sizeof path) {
        snprintf(path, sizeof path, "%.*s", (int)length, file);
        whole = strchr(path, '/') != NULL || path[0] != '-' ? realpath(path, NULL) : NULL;
    }
    size_t added = (size_t)(file - value) + (whole != NULL ? strlen(whole) + strlen(file + length) : strlen(file)) + 1;
    char *grown = realloc(*text, *size + added);
    if (grown != NULL) {
        snprintf(grown + *size, added, "%.*s%s%s", (int)(file - value), value, whole != NULL ? whole : file,
                 whole != NULL ? file + length : "");
        *text = grown;
        *size += added;
    }
    free(whole);
    return grown != NULL;
}

char *options_collect(int argc, char *const *argv, size_t *size)
{
    char *text = calloc(1, 1);
    bool is_good = text != NULL;

    *size = 0;
    for (int n = 1, count; is_good && n < argc; n += count) {
        const struct row *row = option_at(argc, argv, n, &count);
        /* These two change what is there, but do not replace it. */
        bool is_kept = row != NULL && (strcmp(row->name, "snapshot") == 0 || strcmp(row->name, "time") == 0);
        if (row != NULL && is_about_host(row->name) && !is_kept) {
            continue;
        }
        if (row != NULL && strcmp(row->name, "debugcon") == 0) { /* a device, wherever its bytes go */
            is_good = collect(&text, size, "-debugcon", false) && collect(&text, size, "null", false);
            continue;
        }
        bool names_file = row == NULL || (row->argument != NULL &&
                                          (strstr(row->argument, "FILE") != NULL || strstr(row->argument, "DIR") != NULL));
        is_good = collect(&text, size, argv[n], row == NULL) &&
                  (count == 1 || collect(&text, size, argv[n + 1], names_file));
    }
    if (!is_good) {
        free(text);
    }
    return is_good ? text : NULL;
}

const char *options_keep(struct options *options, const char *text)
{
    return copy_text(options, text, strlen(text));
}

/* ---- help ---- */

static const char *dashes(const struct row *row)
{
    return strcmp(row->name, "help") == 0 || strcmp(row->name, "version") == 0 || strcmp(row->name, "self-check") == 0 ||
                   strcmp(row->name, "profile") == 0 || strcmp(row->name, "isa") == 0 || strcmp(row->name, "script") == 0 ||
                   strncmp(row->name, "trace-", 6) == 0
               ? "--"
               : "-";
}

/* `text` in lines of at most 100 columns, indented by 8. */
static void print_wrapped(FILE *out, const char *text)
{
    unsigned column = 0;

    while (*text != '\0') {
        unsigned length = (unsigned)strcspn(text, " ");
        if (column == 0 || column + 1 + length > 92) {
            fprintf(out, "%s        ", column == 0 ? "" : "\n");
            column = 0;
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, length, out);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void options_print_help(FILE *out)
{
    fputs("usage: tick86 [OPTION]... [FILE]...\n"
          "An x86 PC that interprets every instruction. FILE: a kernel (an initrd may follow), CD, disk or floppy\n"
          "image, told apart by content.\n\n",
          out);
    for (size_t n = 0; n < ROWS; n++) {
        if (rows[n].parse == parse_flag && rows[n].offset == AT(wants_man)) {
            continue;
        }
        fprintf(out, "  %s%s%s%s\n", dashes(&rows[n]), rows[n].name,
                rows[n].argument == NULL || strncmp(rows[n].argument, "[=", 2) == 0 ? "" : strcmp(dashes(&rows[n]), "--") == 0 ? "=" : " ",
                rows[n].argument != NULL ? rows[n].argument : "");
        print_wrapped(out, rows[n].doc);
    }
    fputs("\nExit status: 0 the guest powered off; (V << 1) | 1 it wrote V to isa-debug-exit; 1 error; 2 bug in tick86.\n",
          out);
}

void options_print_version(FILE *out)
{
    fprintf(out, "tick86 %s\n", TICK86_VERSION);
}

/* roff: a hyphen that is meant as one is \-, and a line must not begin with a dot or quote. */
static void print_roff(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == '\\') {
            fputc('\\', out);
        }
        fputc(*text == '\\' ? 'e' : *text, out);
    }
}

void options_print_man(FILE *out)
{
    for (size_t n = 0; n < ROWS; n++) {
        if (rows[n].offset == AT(wants_man) && rows[n].parse == parse_flag) {
            continue;
        }
        fputs(".TP\n.B ", out);
        print_roff(out, dashes(&rows[n]));
        print_roff(out, rows[n].name);
        if (rows[n].argument != NULL) {
            fputs(strcmp(dashes(&rows[n]), "--") == 0 ? "=" : " ", out);
            print_roff(out, rows[n].argument);
        }
        fputc('\n', out);
        print_roff(out, rows[n].doc);
        fputs(".\n", out);
    }
}
