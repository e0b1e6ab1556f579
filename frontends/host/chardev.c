/* chardev.c - byte streams to the host, and the terminal's modes. POSIX.1-2008 and Linux's and the BSDs' posix_openpt.
 *
 * Not implemented: telnet protocol, reconnecting clients, UDP. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "frontends/host/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 * 1024, SPEC_MAX = 512, WAIT_MS = 100 };

struct chardev {
    int in, out;  /* -1: none */
    int listener; /* -1: not a server */
    bool waits;   /* output is never dropped */
    bool is_stdio;
    bool is_socket;
    bool is_at_end;
    unsigned connections;
    char *unlink_path;
    size_t head, count; /* bytes waiting in output */
    uint8_t output[OUTPUT_MAX];
};

/* ---- the terminal ---- */

static struct termios terminal_saved;
static volatile sig_atomic_t terminal_is_raw;
static volatile sig_atomic_t signal_caught;
static void (*restore_hook)(void);

static void restore_modes(void)
{
    if (terminal_is_raw) {
        terminal_is_raw = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_saved);
    }
}

void terminal_restore(void)
{
    void (*hook)(void) = restore_hook;

    restore_hook = NULL;
    if (hook != NULL) {
        hook();
    }
    restore_modes();
}

void terminal_on_restore(void (*function)(void)) { restore_hook = function; }

void terminal_raw(bool has_signals)
{
    struct termios modes;

    if (terminal_is_raw || tcgetattr(STDIN_FILENO, &terminal_saved) != 0) {
        return; /* not a terminal */
    }
    modes = terminal_saved;
    modes.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    modes.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!has_signals) {
        modes.c_lflag &= ~(tcflag_t)ISIG;
    }
    modes.c_cflag = (modes.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0) {
        terminal_is_raw = 1;
        atexit(terminal_restore);
    }
}

static void on_polite_signal(int number)
{
    if (signal_caught != 0) { /* a second one: the main loop hangs */
        restore_modes();
        _exit(1);
    }
    signal_caught = number;
}

/* A bug (abort) or a crash: status 2, as documented, with the terminal usable. */
static void on_deadly_signal(int number)
{
    static const char text[] = "\r\ntick86: bug: caught a deadly signal\r\n";

    restore_modes();
    if (number != SIGABRT && write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        _exit(2);
    }
    _exit(2);
}

void terminal_catch_signals(void)
{
    static const int polite[] = {SIGINT, SIGTERM, SIGHUP};
    static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action;

    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_polite_signal;
    for (size_t n = 0; n < sizeof polite / sizeof polite[0]; n++) {
        sigaction(polite[n], &action, NULL);
    }
    action.sa_handler = on_deadly_signal;
    action.sa_flags = (int)SA_RESETHAND;
    for (size_t n = 0; n < sizeof deadly / sizeof deadly[0]; n++) {
#if !defined(__SANITIZE_ADDRESS__)
        sigaction(deadly[n], &action, NULL);
#else
        if (deadly[n] == SIGABRT) {
            sigaction(deadly[n], &action, NULL);
        }
#endif
    }
    signal(SIGPIPE, SIG_IGN);
}

int terminal_signal(void) { return signal_caught; }

/* ---- opening ---- */

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static bool open_file(struct chardev *dev, const char *path, const char *what, struct error *err)
{
    dev->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    dev->waits = true;
    if (dev->out < 0) {
        error_set(err, "cannot write %s to '%s': %s", what, path, strerror(errno));
        return error_hint(err, "check that the folder exists and you may write there");
    }
    return true;
}

static bool open_pty(struct chardev *dev, const char *what, struct error *err)
{
    struct termios modes;
    int fd = posix_openpt(O_RDWR | O_NOCTTY);

    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0) {
        error_set(err, "cannot open a pseudo terminal for %s: %s", what, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return error_hint(err, "use unix:PATH,server,nowait instead");
    }
    const char *name = ptsname(fd);
    int other = open(name, O_RDWR | O_NOCTTY); /* raw, so that nothing is echoed back */
    if (other >= 0) {
        if (tcgetattr(other, &modes) == 0) {
            modes.c_lflag = 0;
            modes.c_iflag = 0;
            modes.c_oflag = 0;
            tcsetattr(other, TCSANOW, &modes);
        }
        close(other);
    }
    fprintf(stderr, "tick86: %s is on %s\n", what, name);
    set_nonblocking(fd);
    dev->in = dev->out = fd;
    return true;
}

/* Splits "ADDRESS[,server[=on|off]][,nowait|,wait=on|off]". */
struct socket_spec {
    char address[SPEC_MAX];
    bool is_server;
    bool waits;
};

static bool split_socket(const char *text, struct socket_spec *spec, struct error *err)
{
    const char *comma = strchr(text, ',');
    size_t length = comma != NULL ? (size_t)(comma - text) : strlen(text);

    memset(spec, 0, sizeof *spec);
    spec->waits = true;
    if (length >= sizeof spec->address) {
        return error_set(err, "socket name too long: '%s'", text);
    }
    memcpy(spec->address, text, length);
    while (comma != NULL) {
        const char *item = comma + 1;
        comma = strchr(item, ',');
        length = comma != NULL ? (size_t)(comma - item) : strlen(item);
#define IS(word) (length == sizeof(word) - 1 && memcmp(item, word, length) == 0)
        if (IS("server") || IS("server=on")) {
            spec->is_server = true;
        } else if (IS("nowait") || IS("wait=off")) {
            spec->waits = false;
        } else if (!IS("wait") && !IS("wait=on") && !IS("server=off")) {
            error_set(err, "unknown setting '%.*s' of socket '%s'", (int)length, item, spec->address);
            return error_hint(err, "there are server and nowait");
        }
#undef IS
    }
    return true;
}

static void drop_client(struct chardev *dev)
{
    if (dev->in >= 0) {
        close(dev->in);
    }
    dev->in = dev->out = -1;
    dev->count = 0;
}

static void accept_client(struct chardev *dev)
{
    int fd = accept(dev->listener, NULL, NULL);

    if (fd >= 0) {
        set_nonblocking(fd);
        dev->in = dev->out = fd;
        dev->head = dev->count = 0;
        dev->connections++;
    }
}

static bool finish_socket(struct chardev *dev, int fd, const struct socket_spec *spec, const char *what)
{
    set_nonblocking(fd);
    dev->is_socket = true;
    if (!spec->is_server) {
        dev->in = dev->out = fd;
        return true;
    }
    dev->listener = fd;
    if (spec->waits) {
        fprintf(stderr, "tick86: waiting for a connection to %s on %s\n", what, spec->address);
        while (dev->in < 0 && terminal_signal() == 0) {
            struct pollfd waiting = {fd, POLLIN, 0};
            if (poll(&waiting, 1, WAIT_MS) > 0) {
                accept_client(dev);
            }
        }
    }
    return true;
}

static bool open_unix(struct chardev *dev, const char *text, const char *what, struct error *err)
{
    struct socket_spec spec;
    struct sockaddr_un address;
    struct stat status;

    if (!split_socket(text, &spec, err)) {
        return false;
    }
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (strlen(spec.address) >= sizeof address.sun_path) {
        return error_set(err, "socket name too long for this host: '%s'", spec.address);
    }
    memcpy(address.sun_path, spec.address, strlen(spec.address));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool is_open = fd >= 0;
    if (is_open && spec.is_server) {
        if (lstat(spec.address, &status) == 0 && S_ISSOCK(status.st_mode)) {
            unlink(spec.address); /* left over from an earlier run */
        }
        is_open = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    } else if (is_open) {
        is_open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    }
    if (!is_open) {
        error_set(err, "cannot %s %s on '%s': %s", spec.is_server ? "offer" : "connect", what, spec.address,
                  strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return error_hint(err, spec.is_server ? "check that the folder exists" : "is the other side listening?");
    }
    dev->unlink_path = spec.is_server ? strdup(spec.address) : NULL;
    return finish_socket(dev, fd, &spec, what);
}

static int tcp_try(const struct addrinfo *info, bool is_server)
{
    int on = 1;
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (is_server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (is_server ? bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, 1) == 0
                  : connect(fd, info->ai_addr, info->ai_addrlen) == 0) {
        return fd;
    }
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static bool open_tcp(struct chardev *dev, const char *text, const char *what, struct error *err)
{
    struct socket_spec spec;
    struct addrinfo wanted, *found = NULL;
    char host[SPEC_MAX];
    int fd = -1;

    if (!split_socket(text, &spec, err)) {
        return false;
    }
    memcpy(host, spec.address, sizeof host);
    char *colon = strrchr(host, ':');
    if (colon == NULL || colon[1] == '\0') {
        error_set(err, "tcp:%s for %s has no port", spec.address, what);
        return error_hint(err, "write tcp:HOST:PORT");
    }
    *colon = '\0';
    memset(&wanted, 0, sizeof wanted);
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = spec.is_server ? AI_PASSIVE : 0;
    int failure = getaddrinfo(host[0] != '\0' ? host : NULL, colon + 1, &wanted, &found);
    if (failure != 0) {
        error_set(err, "cannot find '%s' for %s: %s", spec.address, what, gai_strerror(failure));
        return error_hint(err, "write tcp:HOST:PORT");
    }
    for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next) {
        fd = tcp_try(info, spec.is_server);
    }
    int why = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        error_set(err, "cannot %s %s on '%s': %s", spec.is_server ? "offer" : "connect", what, spec.address,
                  strerror(why));
        return error_hint(err, spec.is_server ? "is the port taken?" : "is the other side listening?");
    }
    return finish_socket(dev, fd, &spec, what);
}

struct chardev *chardev_open(const char *spec, const char *what, struct error *err)
{
    bool is_open = true;
    struct chardev *dev = calloc(1, sizeof *dev);

    if (dev == NULL) {
        error_set(err, "out of memory for %s", what);
        return NULL;
    }
    dev->in = dev->out = dev->listener = -1;
    if (strcmp(spec, "stdio") == 0) {
        dev->in = STDIN_FILENO;
        dev->out = STDOUT_FILENO;
        dev->is_stdio = dev->waits = true;
    } else if (strncmp(spec, "file:", 5) == 0) {
        is_open = open_file(dev, spec + 5, what, err);
    } else if (strcmp(spec, "pty") == 0) {
        is_open = open_pty(dev, what, err);
    } else if (strncmp(spec, "unix:", 5) == 0) {
        is_open = open_unix(dev, spec + 5, what, err);
    } else if (strncmp(spec, "tcp:", 4) == 0) {
        is_open = open_tcp(dev, spec + 4, what, err);
    } else if (strcmp(spec, "null") != 0 && strcmp(spec, "none") != 0) {
        error_set(err, "'%s' for %s names nothing to connect to", spec, what);
        is_open = error_hint(err, "use stdio, file:PATH, pty, unix:PATH, tcp:HOST:PORT, null or none");
    }
    if (!is_open) {
        free(dev);
        return NULL;
    }
    if (dev->listener < 0) {
        dev->connections = 1;
    }
    return dev;
}

void chardev_close(struct chardev *dev)
{
    if (dev == NULL) {
        return;
    }
    chardev_flush(dev);
    if (!dev->is_stdio) {
        if (dev->out >= 0) {
            close(dev->out);
        }
        if (dev->listener >= 0) {
            close(dev->listener);
        }
    }
    if (dev->unlink_path != NULL) {
        unlink(dev->unlink_path);
        free(dev->unlink_path);
    }
    free(dev);
}

/* ---- moving bytes ---- */

/* Writes one piece from the queue. False when nothing more goes now. */
static bool send_piece(struct chardev *dev)
{
    size_t size = dev->count < OUTPUT_MAX - dev->head ? dev->count : OUTPUT_MAX - dev->head;
    struct pollfd ready = {dev->out, POLLOUT, 0};

    if (dev->count == 0 || dev->out < 0) {
        return false;
    }
    if (dev->is_stdio) { /* stays in blocking mode, which its other users expect: ask first, then a piece that fits */
        if (poll(&ready, 1, 0) <= 0) {
            return false;
        }
        size = size < 512 ? size : 512;
    }
    ssize_t sent = write(dev->out, dev->output + dev->head, size);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            return false;
        }
        if (dev->is_socket) {
            drop_client(dev);
        }
        dev->count = 0; /* nobody reads, or the disk is full: the guest cannot be told */
        return false;
    }
    dev->head = (dev->head + (size_t)sent) % OUTPUT_MAX;
    dev->count -= (size_t)sent;
    return dev->count != 0;
}

void chardev_flush(struct chardev *dev)
{
    while (send_piece(dev)) {
    }
    for (int tries = 0; dev->waits && dev->count != 0 && tries < 10 && terminal_signal() == 0;) {
        struct pollfd ready = {dev->out, POLLOUT, 0};
        size_t before = dev->count;
        poll(&ready, 1, WAIT_MS);
        while (send_piece(dev)) {
        }
        tries = dev->count < before ? 0 : tries + 1;
    }
}

void chardev_write(struct chardev *dev, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    if (dev->out < 0) {
        return;
    }
    for (size_t n = 0; n < size; n++) {
        if (dev->count == OUTPUT_MAX) {
            while (send_piece(dev)) {
            }
            while (dev->count == OUTPUT_MAX && dev->waits && terminal_signal() == 0) {
                struct pollfd ready = {dev->out, POLLOUT, 0};
                poll(&ready, 1, WAIT_MS);
                send_piece(dev);
            }
            if (dev->count == OUTPUT_MAX) {
                return;
            }
        }
        dev->output[(dev->head + dev->count++) % OUTPUT_MAX] = from[n];
    }
}

/* A guest that is always busy leaves no time to wait for clients: they are looked for at every turn. */
static void accept_waiting(struct chardev *dev)
{
    struct pollfd waiting = {dev->listener, POLLIN, 0};

    if (dev->listener >= 0 && dev->in < 0 && poll(&waiting, 1, 0) > 0) {
        accept_client(dev);
    }
}

size_t chardev_read(struct chardev *dev, void *bytes, size_t size)
{
    accept_waiting(dev);
    struct pollfd ready = {dev->in, POLLIN, 0};

    if (dev->in < 0 || dev->is_at_end || size == 0 || poll(&ready, 1, 0) <= 0) {
        return 0;
    }
    ssize_t got = read(dev->in, bytes, size);
    if (got > 0) {
        return (size_t)got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EIO)) {
        return 0; /* EIO: nobody has the other end of the pseudo terminal open */
    }
    if (dev->is_socket) {
        drop_client(dev);
        dev->is_at_end = dev->listener < 0;
    } else {
        dev->is_at_end = true;
    }
    return 0;
}

bool chardev_is_at_end(const struct chardev *dev) { return dev->is_at_end; }

bool chardev_is_connected(const struct chardev *dev) { return dev->in >= 0 && !dev->is_at_end; }

unsigned chardev_connections(const struct chardev *dev) { return dev->connections; }

bool chardev_is_interactive(const struct chardev *dev)
{
    return !dev->is_stdio || isatty(STDIN_FILENO);
}

unsigned chardev_poll_fds(struct chardev *dev, struct pollfd *fds)
{
    accept_waiting(dev);
    if (dev->listener >= 0 && dev->in < 0) {
        fds[0] = (struct pollfd){dev->listener, POLLIN, 0};
        return 1;
    }
    if (dev->in < 0 || dev->is_at_end) {
        return 0;
    }
    struct pollfd state = {dev->in, POLLIN, 0};
    if (!dev->is_socket && !dev->is_stdio && poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0) {
        return 0; /* a pseudo terminal nobody has open would be ready all the time */
    }
    fds[0] = (struct pollfd){dev->in, POLLIN, 0};
    if (!dev->waits && dev->count != 0) {
        fds[0].events |= POLLOUT;
    }
    return 1;
}
