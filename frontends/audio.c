/* audio.c - the PC speaker as samples: each is the mean of its 1/48000 s, the cone driven (+) or not (-), so that a tone has its pitch to
 * the nanosecond and speech by pulse width comes through. What stands still for a fortieth of a second, driven or not, is silence, from
 * its beginning: therefore samples are made that much later than the guest speaks. All arithmetic is in integers: the file is the same
 * on every host. What a guest that went back in time says again is not heard twice. */
#include "frontends/audio.h"
#include "frontends/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024, AMPLITUDE = 8000, WAV_HEADER = 44 };
#define NS_PER_SECOND UINT64_C(1000000000)
#define STILL_NS (NS_PER_SECOND / 40)

struct audio {
    struct speaker_sink sink;
    const struct audio_module *module;
    void *device;
    uint64_t sample;  /* number of the one in the making */
    uint64_t done_ns; /* guest time up to which there are samples, or a part of one */
    int64_t sum;      /* of the running sample: amplitude times nanoseconds */
    uint64_t edge_ns; /* the last change of level */
    bool level;
    size_t count;
    int16_t samples[BLOCK];
};

/* ---- WAV: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991) ---- */

struct wav {
    FILE *file;
    uint64_t bytes;
    bool has_failed;
    const char *path;
};

static void put_le(uint8_t *at, unsigned size, uint32_t value)
{
    for (unsigned n = 0; n < size; n++) {
        at[n] = (uint8_t)(value >> (8 * n));
    }
}

static bool write_header(struct wav *wav)
{
    uint8_t header[WAV_HEADER] = "RIFF....WAVEfmt ";
    uint32_t bytes = wav->bytes > UINT32_MAX - WAV_HEADER ? UINT32_MAX - WAV_HEADER : (uint32_t)wav->bytes;

    put_le(header + 4, 4, bytes + WAV_HEADER - 8);
    put_le(header + 16, 4, 16);
    put_le(header + 20, 2, 1); /* PCM */
    put_le(header + 22, 2, 1);
    put_le(header + 24, 4, AUDIO_RATE);
    put_le(header + 28, 4, AUDIO_RATE * 2);
    put_le(header + 32, 2, 2);
    put_le(header + 34, 2, 16);
    memcpy(header + 36, "data", 4);
    put_le(header + 40, 4, bytes);
    return fseek(wav->file, 0, SEEK_SET) == 0 && fwrite(header, 1, sizeof header, wav->file) == sizeof header;
}

static bool cannot_write(const char *path, struct error *err)
{
    error_set(err, "cannot write sound to '%s': %s", path, strerror(errno));
    return error_hint(err, "check that the folder exists and you may write there");
}

static void *wav_open(const char *path, struct error *err)
{
    struct wav *wav = calloc(1, sizeof *wav);

    if (wav == NULL) {
        error_set(err, "out of memory for sound");
        return NULL;
    }
    wav->path = path;
    wav->file = fopen(path, "wb");
    if (wav->file == NULL || !write_header(wav)) {
        cannot_write(path, err);
        free(wav);
        return NULL;
    }
    return wav;
}

static void wav_put(void *device, const int16_t *samples, size_t count)
{
    struct wav *wav = device;
    uint8_t bytes[BLOCK * 2];

    for (size_t n = 0; n < count; n++) {
        put_le(bytes + 2 * n, 2, (uint16_t)samples[n]);
    }
    wav->has_failed = fwrite(bytes, 2, count, wav->file) != count || wav->has_failed;
    wav->bytes += count * 2;
}

static bool wav_close(struct wav *wav, struct error *err)
{
    bool is_good = write_header(wav) && !wav->has_failed;

    is_good = fclose(wav->file) == 0 && is_good;
    if (!is_good) {
        cannot_write(wav->path, err);
    }
    free(wav);
    return is_good;
}

/* ---- samples ---- */

/* First nanosecond of a sample. */
static uint64_t start_of(uint64_t sample)
{
    return sample / AUDIO_RATE * NS_PER_SECOND + sample % AUDIO_RATE * NS_PER_SECOND / AUDIO_RATE;
}

static void flush(struct audio *audio)
{
    if (audio->count != 0 && audio->module != NULL) {
        audio->module->put(audio->device, audio->samples, audio->count);
    } else if (audio->count != 0) {
        wav_put(audio->device, audio->samples, audio->count);
    }
    audio->count = 0;
}

static void finish_sample(struct audio *audio, uint64_t length_ns)
{
    audio->samples[audio->count++] = (int16_t)(audio->sum / (int64_t)length_ns);
    audio->sample++;
    audio->sum = 0;
    if (audio->count == BLOCK) {
        flush(audio);
    }
}

/* Samples of that amplitude up to until_ns. */
static void produce(struct audio *audio, uint64_t until_ns, int amplitude)
{
    while (audio->done_ns < until_ns) {
        uint64_t end = start_of(audio->sample + 1);
        uint64_t until = end < until_ns ? end : until_ns;
        audio->sum += (int64_t)(until - audio->done_ns) * amplitude;
        audio->done_ns = until;
        if (until == end) {
            finish_sample(audio, end - start_of(audio->sample));
        }
    }
}

static void speaker(void *context, uint64_t now_ns, bool level)
{
    struct audio *audio = context;

    if (now_ns < audio->edge_ns) { /* the guest is in its past, which was heard already */
        return;
    }
    bool is_still = now_ns - audio->edge_ns >= STILL_NS;
    produce(audio, now_ns, is_still ? 0 : audio->level ? AMPLITUDE : -AMPLITUDE);
    audio->edge_ns = now_ns;
    audio->level = level;
}

void audio_advance(struct audio *audio, uint64_t now_ns)
{
    if (now_ns >= audio->edge_ns && now_ns - audio->edge_ns >= STILL_NS) {
        produce(audio, now_ns, 0);
    }
    if (audio->module != NULL) {
        flush(audio); /* what plays wants it soon */
    }
}

/* The end: nothing will come that tells more. */
void audio_finish(struct audio *audio, uint64_t now_ns)
{
    produce(audio, now_ns, 0);
}

/* ---- opening and closing ---- */

bool audio_check(const char *spec, struct error *err)
{
    if (strcmp(spec, "none") == 0 || strcmp(spec, "sdl") == 0 || (strncmp(spec, "wav:", 4) == 0 && spec[4] != '\0')) {
        return true;
    }
    error_set(err, "-audio does not take '%s'", spec);
    return error_hint(err, "use -audio sdl, -audio wav:FILE or -audio none");
}

struct audio *audio_open(const char *spec, struct error *err)
{
    struct audio *audio = calloc(1, sizeof *audio);

    if (audio == NULL) {
        error_set(err, "out of memory for sound");
        return NULL;
    }
    audio->sink = (struct speaker_sink){audio, speaker};
    if (strncmp(spec, "wav:", 4) == 0) {
        audio->device = wav_open(spec + 4, err);
    } else {
        audio->module = module_load("audio_sdl", err);
        audio->device = audio->module != NULL ? audio->module->open(err) : NULL;
    }
    if (audio->device == NULL) {
        free(audio);
        return NULL;
    }
    return audio;
}

bool audio_close(struct audio *audio, struct error *err)
{
    bool is_good = true;

    if (audio == NULL) {
        return true;
    }
    flush(audio);
    if (audio->module != NULL) {
        audio->module->close(audio->device);
    } else {
        is_good = wav_close(audio->device, err);
    }
    free(audio);
    return is_good;
}

struct speaker_sink *audio_speaker(struct audio *audio) { return &audio->sink; }
