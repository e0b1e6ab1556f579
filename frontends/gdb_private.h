/* gdb_private.h - what the files of the gdb stub share. */
#ifndef FRONTENDS_GDB_PRIVATE_H
#define FRONTENDS_GDB_PRIVATE_H

#include "frontends/gdb_stub.h"
#include "frontends/gdb_target.h"
#include "frontends/monitor.h"

enum { GDB_PACKET_MAX = 16384, GDB_REPLY_MAX = 2 * GDB_PACKET_MAX + 64 };

/* A breakpoint of gdb's: one of ours, or one for each condition. */
struct gdb_point {
    unsigned type; /* of Z: 0 software, 1 hardware, 2 write, 3 read, 4 access */
    uint64_t address, kind;
    bool is_physical;
    int *ids;
    unsigned id_count;
};

enum gdb_parse { GDB_IDLE, GDB_DATA, GDB_ESCAPE, GDB_SUM1, GDB_SUM2 };
enum gdb_motion { GDB_HALTED, GDB_RUNNING, GDB_RANGE };

struct gdb_stub {
    struct session *session;
    struct chardev *dev; /* NULL under test */
    gdb_stub_put_fn *put;
    void *put_context;
    unsigned connections; /* that were greeted */
    bool is_attached;
    /* The packet that comes in. */
    enum gdb_parse parse;
    uint8_t packet[GDB_PACKET_MAX + 1];
    size_t length;
    bool is_too_long;
    uint8_t sum, sum_digit;
    bool has_acks;
    /* The reply that goes out, and the last one for a negative acknowledge. */
    char reply[GDB_REPLY_MAX];
    size_t reply_length;
    char last[GDB_REPLY_MAX + 8];
    size_t last_length;
    /* What was agreed on. */
    bool has_swbreak, has_hwbreak;
    struct gdb_target target;
    int wanted_architecture; /* -1: what fits the machine */
    /* State of the conversation. */
    unsigned thread_g, thread_c; /* processor numbers */
    unsigned thread_list_at;
    bool is_physical; /* addresses of m, M, X and Z */
    bool masks_interrupts_in_steps;
    enum gdb_motion motion;
    bool wants_break; /* Ctrl-C */
    unsigned range_cpu;
    uint64_t range_start, range_end;
    char stop_reply[160];
    struct gdb_point *points;
    size_t point_count, point_capacity;
    struct monitor monitor;
    char *console; /* output of a monitor command */
    size_t console_length, console_capacity;
};

/* gdb_stub.c */
void gdb_say(struct gdb_stub *stub, const char *format, ...) PRINTF_LIKE(2, 3); /* appends to the reply */
void gdb_say_hex(struct gdb_stub *stub, const void *bytes, size_t size);
void gdb_send(struct gdb_stub *stub); /* sends the reply, and empties it */
void gdb_console(struct gdb_stub *stub, const char *text); /* an O packet; only while gdb waits for a stop */
void gdb_choose_target(struct gdb_stub *stub);
/* The stop that the next reply tells: a trap of a processor for a reason, or a debug event. */
void gdb_set_stop(struct gdb_stub *stub, unsigned cpu, const char *reason);
void gdb_set_event_stop(struct gdb_stub *stub, const struct tick86_debug_event *event);

/* gdb_reverse.c: back by an instruction, or to the last breakpoint; sets the stop. False: it cannot be done. */
bool gdb_reverse(struct gdb_stub *stub, bool is_step);

/* gdb_commands.c: the packets that neither run the machine nor end the session. False: not known, answer nothing. */
bool gdb_command(struct gdb_stub *stub, char *packet, size_t length);
/* Removes all breakpoints of gdb's. */
void gdb_forget_points(struct gdb_stub *stub);
/* The point that has our breakpoint `id`; NULL when it is another's. */
const struct gdb_point *gdb_point_of(const struct gdb_stub *stub, int id);

/* Parsing: moves *at on; false when no digit is there. */
bool gdb_take_hex(const char **at, uint64_t *value);
bool gdb_take_char(const char **at, char c);
bool gdb_take_thread(const char **at, int *cpu); /* -1: all, else a processor (0 for any) */
int gdb_hex_digit(char c);
/* Decodes pairs of digits; returns how many bytes. */
size_t gdb_unhex(const char *text, size_t length, uint8_t *bytes, size_t size);

#endif
