/* audio.h - what the guest is heard with: samples made of the PC speaker's level over guest time. */
#ifndef FRONTENDS_AUDIO_H
#define FRONTENDS_AUDIO_H

#include "machine/tick86.h"

enum { AUDIO_RATE = 48000 };

struct audio;

/* Where samples go (16 bits, one channel, AUDIO_RATE a second); offered by the module audio_sdl, too. */
struct audio_module {
    void *(*open)(struct error *err);
    void (*put)(void *device, const int16_t *samples, size_t count);
    void (*close)(void *device);
};

/* "none", "sdl" or "wav:FILE". False with `err` set for anything else. */
bool audio_check(const char *spec, struct error *err);
/* NULL with `err` set. */
struct audio *audio_open(const char *spec, struct error *err);
/* Makes the samples up to guest time now_ns, as far as they can be known (finish: all of them), and hands them out. */
void audio_advance(struct audio *audio, uint64_t now_ns);
void audio_finish(struct audio *audio, uint64_t now_ns);
/* False when something could not be written, which `err` tells. */
bool audio_close(struct audio *audio, struct error *err);
/* For struct tick86_config. */
struct speaker_sink *audio_speaker(struct audio *audio);

#endif
