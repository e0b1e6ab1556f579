/* capture.h - frames in a pcapng file. */
#ifndef FRONTENDS_HOST_CAPTURE_H
#define FRONTENDS_HOST_CAPTURE_H

#include "mem/error.h"

#include <stddef.h>
#include <stdint.h>

struct capture;

/* `name` is the interface's. NULL with `err` set. */
struct capture *capture_open(const char *path, const char *name, const uint8_t mac[6], struct error *err);
/* False when the file could not be written whole. */
bool capture_close(struct capture *capture);
void capture_frame(struct capture *capture, uint64_t time_ns, bool is_from_guest, const uint8_t *frame, size_t size);
void capture_flush(struct capture *capture);

#endif
