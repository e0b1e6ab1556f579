/* audio_sdl.c - sound through SDL 2.26: samples are queued; what is far ahead of the ear (fast-forward, a host that stood still) is
 * thrown away. */
#include "frontends/audio.h"
#include "frontends/module.h"

#include <SDL.h>
#include <stdlib.h>

enum { BUFFER_SAMPLES = 1024, QUEUE_MS_MAX = 250, QUEUE_MS_START = 60 };

struct device {
    SDL_AudioDeviceID id;
};

static void *open(struct error *err)
{
    SDL_AudioSpec wanted = {.freq = AUDIO_RATE, .format = AUDIO_S16SYS, .channels = 1, .samples = BUFFER_SAMPLES};
    struct device *device = calloc(1, sizeof *device);

    if (device == NULL || SDL_InitSubSystem(SDL_INIT_AUDIO) != 0) {
        error_set(err, "cannot play sound: %s", device != NULL ? SDL_GetError() : "out of memory");
        error_hint(err, "use -audio wav:FILE or -audio none");
        free(device);
        return NULL;
    }
    device->id = SDL_OpenAudioDevice(NULL, 0, &wanted, NULL, 0);
    if (device->id == 0) {
        error_set(err, "cannot play sound: %s", SDL_GetError());
        error_hint(err, "use -audio wav:FILE or -audio none");
        SDL_QuitSubSystem(SDL_INIT_AUDIO);
        free(device);
        return NULL;
    }
    SDL_PauseAudioDevice(device->id, 0);
    return device;
}

static void put(void *context, const int16_t *samples, size_t count)
{
    static const int16_t silence[AUDIO_RATE * QUEUE_MS_START / 1000];
    struct device *device = context;
    Uint32 queued = SDL_GetQueuedAudioSize(device->id);

    if (queued == 0) { /* some room before the next gap */
        SDL_QueueAudio(device->id, silence, sizeof silence);
    } else if (queued > (Uint32)(AUDIO_RATE * 2 * QUEUE_MS_MAX / 1000)) {
        return;
    }
    SDL_QueueAudio(device->id, samples, (Uint32)(count * sizeof samples[0]));
}

static void close_device(void *context)
{
    struct device *device = context;

    SDL_CloseAudioDevice(device->id);
    SDL_QuitSubSystem(SDL_INIT_AUDIO);
    free(device);
}

static const struct audio_module offer = {open, put, close_device};
MODULE(audio_sdl, &offer);
