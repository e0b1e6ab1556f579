/* log.h - one log per machine, with a channel per device class and CPU subsystem.
 *
 * Levels: error (the emulator could not do what it should), guest (the guest did something odd or used what is not
 * implemented) and trace (everything). The sink is the frontend's. Logging never changes guest-visible state. */
#ifndef MEM_LOG_H
#define MEM_LOG_H

#include "mem/error.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* what a shared libtick86 exports */
#endif

enum log_level { LOG_ERROR, LOG_GUEST, LOG_TRACE };

typedef void log_sink_fn(void *context, const char *channel, enum log_level level, const char *text);

enum { LOG_CHANNELS_MAX = 64, LOG_NAME_MAX = 24 };

struct log_channel {
    char name[LOG_NAME_MAX];
    uint8_t level; /* most verbose enum log_level that is passed on */
    uint8_t pad_[3];
    uint32_t guest_messages; /* how many guest-level messages were given, passed on or not */
};

struct log {
    log_sink_fn *sink; /* NULL drops all */
    void *sink_context;
    uint8_t default_level;
    uint32_t channel_count;
    struct log_channel channels[LOG_CHANNELS_MAX];
};

/* Prepares a log whose channels pass on `level` and more urgent messages. */
void log_init(struct log *log, log_sink_fn *sink, void *context, enum log_level level);

/* The channel of that name, created on first use. A full table returns the last one. Never NULL. */
struct log_channel *log_channel(struct log *log, const char *name);

/* Sets one channel's level, by name; "all" sets the default and every channel. */
void log_set_level(struct log *log, const char *name, enum log_level level);

void log_write(struct log *log, struct log_channel *channel, enum log_level level, const char *format, ...)
    PRINTF_LIKE(4, 5);

static inline bool log_wants(const struct log_channel *channel, enum log_level level)
{
    return level <= channel->level;
}

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
