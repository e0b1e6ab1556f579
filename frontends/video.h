/* video.h - -record-video: the screen as a film in guest time. */
#ifndef FRONTENDS_VIDEO_H
#define FRONTENDS_VIDEO_H

#include "machine/tick86.h"

struct video;

/* A film in whatever container FILE's name asks for, made by ffmpeg at the end of a pipe; or, when FILE is a directory or ends in a slash, a
 * PNG file for each frame that differs from the one before, frame-NNNNNN.png, NNNNNN counting 25ths of a second. NULL with `err` set. */
struct video *video_open(const char *path, struct error *err);
/* Guest time of the next frame, and that frame. */
uint64_t video_next(const struct video *video);
void video_run(struct video *video, struct tick86 *machine);
/* False when a frame could not be written, which `err` tells. */
bool video_close(struct video *video, struct error *err);

#endif
