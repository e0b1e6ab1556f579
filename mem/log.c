/* log.c - see log.h. */
#include "mem/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void log_init(struct log *log, log_sink_fn *sink, void *context, enum log_level level)
{
    memset(log, 0, sizeof *log);
    log->sink = sink;
    log->sink_context = context;
    log->default_level = (uint8_t)level;
}

struct log_channel *log_channel(struct log *log, const char *name)
{
    struct log_channel *channel;

    /* Names are cut to LOG_NAME_MAX - 1 bytes, so compare as many. */
    for (uint32_t i = 0; i < log->channel_count; i++) {
        if (strncmp(log->channels[i].name, name, LOG_NAME_MAX - 1) == 0) {
            return &log->channels[i];
        }
    }
    if (log->channel_count == LOG_CHANNELS_MAX) {
        return &log->channels[LOG_CHANNELS_MAX - 1];
    }
    channel = &log->channels[log->channel_count++];
    snprintf(channel->name, sizeof channel->name, "%s", name);
    channel->level = log->default_level;
    return channel;
}

bool log_knows(const struct log *log, const char *name)
{
    bool is_known = strcmp(name, "all") == 0;

    for (uint32_t i = 0; i < log->channel_count; i++) {
        is_known = is_known || strcmp(log->channels[i].name, name) == 0;
    }
    return is_known;
}

void log_set_level(struct log *log, const char *name, enum log_level level)
{
    if (strcmp(name, "all") != 0) {
        log_channel(log, name)->level = (uint8_t)level;
        return;
    }
    log->default_level = (uint8_t)level;
    for (uint32_t i = 0; i < log->channel_count; i++) {
        log->channels[i].level = (uint8_t)level;
    }
}

void log_write(struct log *log, struct log_channel *channel, enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (log == NULL || channel == NULL) {
        return;
    }
    if (level == LOG_GUEST && channel->guest_messages != UINT32_MAX) {
        channel->guest_messages++;
    }
    if (log->sink == NULL || !log_wants(channel, level)) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log->sink(log->sink_context, channel->name, level, text);
}
