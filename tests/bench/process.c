/* process.c - starts tick86, Bochs or QEMU on a guest, reads its serial port and its clocks. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool process_cpu_time(const struct process *process, struct cpu_time *time)
{
    struct timespec total;
    char path[64], text[1024];
    unsigned long system_ticks;

    if (clock_gettime(process->clock, &total) != 0) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)process->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *after_name = strrchr(text, ')'); /* proc(5): stime is field 15, the name is field 2 */
    if (after_name == NULL ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %lu", &system_ticks) != 1) {
        return false;
    }
    time->total_ns = (int64_t)total.tv_sec * 1000000000 + total.tv_nsec;
    time->user_ns = time->total_ns - (int64_t)system_ticks * (1000000000 / sysconf(_SC_CLK_TCK));
    return true;
}

/* ---- command lines ---- */

enum { ARGUMENTS_MAX = 40 };

struct command {
    const char *words[ARGUMENTS_MAX];
    unsigned count;
    char ram[16];
};

static void add(struct command *command, const char *word)
{
    if (command->count < ARGUMENTS_MAX - 1) {
        command->words[command->count++] = word;
        command->words[command->count] = NULL;
    }
}

static void add_all(struct command *command, const char *const *words)
{
    while (*words != NULL) {
        add(command, *words++);
    }
}

/* Bochs takes a file. The display is the terminal's: the only one of the package that needs no window system. */
static bool write_bochs_files(const struct process *process, const struct guest *guest, const struct options *options)
{
    char path[128];

    snprintf(path, sizeof path, "%s/bochsrc", process->work);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    fprintf(file,
            "display_library: term\n"
            "romimage: file=/usr/share/bochs/BIOS-bochs-latest\n"
            "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n"
            "megs: %u\n"
            "cpu: model=%s, ips=100000000\n"
            "clock: sync=none\n"
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
            "ata0-master: type=cdrom, path=\"%s\", status=inserted\n"
            "boot: cdrom\n"
            "com1: enabled=1, mode=file, dev=\"%s/serial\"\n"
            "log: %s/log\n"
            "panic: action=fatal\nerror: action=ignore\ninfo: action=ignore\ndebug: action=ignore\n",
            guest->ram_mib, strcmp(options->arch, "amd64") == 0 ? "core2_penryn_t9600" : "p2_klamath", guest->iso,
            process->work, process->work);
    bool is_ok = fclose(file) == 0;
    /* The package has the debugger built in, which waits for a command. */
    snprintf(path, sizeof path, "%s/commands", process->work);
    file = fopen(path, "w");
    return file != NULL && fputs("c\n", file) >= 0 && fclose(file) == 0 && is_ok;
}

static void make_command(struct command *command, enum peer peer, const struct guest *guest,
                         const struct options *options)
{
    static const char *const common[] = {"-display",   "none",    "-monitor", "none",
                                         "-no-reboot", "-serial", "stdio",    NULL};
    static const char *const bochs[] = {"bochs", "-q", "-f", "bochsrc", "-rc", "commands", NULL};

    snprintf(command->ram, sizeof command->ram, "%uM", guest->ram_mib);
    if (peer == PEER_BOCHS) {
        add_all(command, bochs);
        return;
    }
    if (peer == PEER_QEMU) {
        add(command, strcmp(options->arch, "amd64") == 0 ? "qemu-system-x86_64" : "qemu-system-i386");
        add(command, "-accel");
        add(command, "tcg");
        add(command, "-net");
        add(command, "none");
    } else {
        add(command, options->tick86);
        add(command, "-time");
        add(command, guest->tick86_time);
        if (strcmp(options->arch, "amd64") == 0) {
            add(command, "-cpu");
            add(command, "max");
        }
    }
    add(command, "-m");
    add(command, command->ram);
    add(command, strstr(guest->iso, ".iso") != NULL ? "-cdrom" : "-hda");
    add(command, guest->iso);
    add(command, "-boot");
    add(command, strstr(guest->iso, ".iso") != NULL ? "d" : "c");
    add_all(command, common);
}

/* ---- starting and ending ---- */

/* In the child: standard input, output and errors, then the program. Never returns. */
static void become(const struct process *process, struct command *command, int input, int output, int terminal)
{
    char path[128];

    if (terminal >= 0) {
        setsid();
        if (dup2(terminal, 0) < 0 || dup2(terminal, 1) < 0 || dup2(terminal, 2) < 0) {
            _exit(126);
        }
        setenv("TERM", "xterm", 1);
        if (chdir(process->work) != 0) {
            _exit(126);
        }
    } else {
        snprintf(path, sizeof path, "%s/errors", process->work);
        int errors = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || errors < 0 || dup2(errors, 2) < 0) {
            _exit(126);
        }
    }
    for (int fd = 3; fd < 256; fd++) {
        close(fd);
    }
    execvp(command->words[0], (char *const *)(uintptr_t)command->words);
    _exit(127);
}

static int open_terminal(int *slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    const char *name;

    *slave = -1;
    if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 && (name = ptsname(master)) != NULL) {
        *slave = open(name, O_RDWR | O_NOCTTY);
    }
    return master;
}

static bool fails(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    return false;
}

bool process_start(struct process *process, enum peer peer, const struct guest *guest, const struct options *options)
{
    struct command command = {.count = 0};
    int in[2] = {-1, -1}, out[2] = {-1, -1}, terminal = -1;
    char path[128];

    *process = (struct process){.peer = peer, .serial = -1, .terminal = -1, .screen = -1, .input = -1};
    process->deadline_ns = wall_ns() + (int64_t)options->timeout_s * 1000000000;
    strcpy(process->work, "/tmp/bench.XXXXXX");
    if (mkdtemp(process->work) == NULL) {
        return fails("cannot make a scratch directory");
    }
    make_command(&command, peer, guest, options);
    if (peer == PEER_BOCHS) {
        snprintf(path, sizeof path, "%s/serial", process->work);
        if (!write_bochs_files(process, guest, options) || mkfifo(path, 0600) != 0) {
            return fails("cannot write Bochs' configuration");
        }
        process->serial = open(path, O_RDONLY | O_NONBLOCK);
        process->terminal = open_terminal(&terminal);
        if (process->serial < 0 || terminal < 0) {
            return fails("cannot make a terminal for Bochs");
        }
    } else {
        if (pipe(in) != 0 || pipe(out) != 0) {
            return fails("cannot make a pipe");
        }
        process->serial = out[0];
        process->input = in[1];
    }
    fflush(NULL);
    process->pid = fork();
    if (process->pid == 0) {
        become(process, &command, in[0], out[1], terminal);
    }
    if (in[0] >= 0) {
        close(in[0]);
        close(out[1]);
    }
    if (terminal >= 0) {
        close(terminal);
    }
    if (process->pid < 0 || clock_getcpuclockid(process->pid, &process->clock) != 0) {
        return fails("cannot start an emulator");
    }
    return true;
}

void process_end(struct process *process)
{
    static const char *const files[] = {"bochsrc", "commands", "serial", "log", "errors"};
    char path[128];

    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
    }
    int *const open_files[] = {&process->serial, &process->terminal, &process->screen, &process->input};
    for (size_t n = 0; n < sizeof open_files / sizeof open_files[0]; n++) {
        if (*open_files[n] >= 0) {
            close(*open_files[n]);
        }
        *open_files[n] = -1;
    }
    for (size_t n = 0; n < sizeof files / sizeof files[0]; n++) {
        snprintf(path, sizeof path, "%s/%s", process->work, files[n]);
        unlink(path);
    }
    rmdir(process->work);
    process->pid = 0;
}

/* ---- listening ---- */

/* Bochs with its debugger draws on a pseudo-terminal of its own, which it names, and stops when nobody reads it. */
static void open_screen(struct process *process, const char *text, size_t size)
{
    static const char naming[] = "connected to screen \"";
    struct termios mode;

    if (process->screen >= 0 || process->said_size + size >= sizeof process->said) {
        return;
    }
    memcpy(process->said + process->said_size, text, size);
    process->said_size += size;
    process->said[process->said_size] = '\0';
    char *name = strstr(process->said, naming);
    char *end = name != NULL ? strchr(name + sizeof naming - 1, '"') : NULL;
    if (end == NULL) {
        return;
    }
    *end = '\0';
    process->screen = open(name + sizeof naming - 1, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (process->screen >= 0 && tcgetattr(process->screen, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(process->screen, TCSANOW, &mode);
    }
}

/* Reads and forgets what is drawn. */
static void drain(int fd, struct process *process)
{
    char drawn[4096];
    ssize_t size = read(fd, drawn, sizeof drawn);

    if (size > 0 && fd == process->terminal) {
        open_screen(process, drawn, (size_t)size);
    }
}

/* Waits for serial output. False when there will be none, or none before `until_ns`. */
static bool more_serial(struct process *process, int64_t until_ns)
{
    for (;;) {
        /* poll(2) ignores descriptors below 0. */
        struct pollfd fds[3] = {
            {process->serial, POLLIN, 0}, {process->terminal, POLLIN, 0}, {process->screen, POLLIN, 0}};
        int64_t left = until_ns - wall_ns();
        if (left <= 0 || poll(fds, 3, (int)(left / 1000000 < 1000 ? left / 1000000 + 1 : 1000)) < 0) {
            return false;
        }
        for (unsigned n = 1; n < 3; n++) {
            if (fds[n].revents & POLLIN) {
                drain(fds[n].fd, process);
            }
        }
        if (fds[0].revents & POLLIN) {
            ssize_t size = read(process->serial, process->pending, sizeof process->pending);
            process->pending_at = 0;
            process->pending_size = size > 0 ? (size_t)size : 0;
            if (size > 0) {
                return true;
            }
        }
        /* A FIFO has no writer before Bochs opens it, and none after it has ended. */
        int status;
        bool is_over =
            process->terminal >= 0 ? (fds[1].revents & (POLLHUP | POLLERR)) != 0 : (fds[0].revents & POLLHUP) != 0;
        if (is_over) {
            if (waitpid(process->pid, &status, 0) == process->pid) {
                process->pid = 0;
            }
            return false;
        }
    }
}

bool process_wait_text(struct process *process, const char *text, bool partial)
{
    for (;;) {
        while (process->pending_at < process->pending_size) {
            char byte = process->pending[process->pending_at++];
            bool is_end = byte == '\n' || process->line_size == LINE_BYTES - 1;
            process->line[process->line_size] = '\0';
            if (is_end) {
                process->line_size = 0;
                if (strstr(process->line, text) != NULL) {
                    return true;
                }
            } else if (byte != '\0') {
                process->line[process->line_size++] = byte;
            }
        }
        process->line[process->line_size] = '\0';
        if (partial && strstr(process->line, text) != NULL) {
            return true;
        }
        if (!more_serial(process, process->deadline_ns)) {
            return false;
        }
    }
}

void process_let_run(struct process *process, int64_t ns)
{
    int64_t until = wall_ns() + ns;

    while (wall_ns() < until && more_serial(process, until)) {
    }
    process->pending_size = process->pending_at = process->line_size = 0;
}

bool process_memory(const struct process *process, uint64_t ram_bytes, uint64_t *resident, uint64_t *guest_ram)
{
    char path[64], line[512];
    unsigned long long first, last, kilobytes;
    uint64_t size = 0;

    *resident = *guest_ram = 0;
    snprintf(path, sizeof path, "/proc/%ld/smaps", (long)process->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%llx-%llx ", &first, &last) == 2) {
            size = last - first;
        } else if (sscanf(line, "Rss: %llu kB", &kilobytes) == 1) {
            *resident += kilobytes * 1024;
            *guest_ram += size >= ram_bytes && size < ram_bytes + (64u << 20) ? kilobytes * 1024 : 0;
        }
    }
    fclose(file);
    return *resident != 0;
}
