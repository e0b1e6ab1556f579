/* video.c - the screen as a film: 25 frames a second of guest time, as PPM pictures to ffmpeg(1), which scales modes of other sizes into
 * one of 1024x768, or as PNG files. */
#define _DEFAULT_SOURCE
#include "frontends/video.h"
#include "frontends/frame.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAMES_PER_SECOND = 25, COMMAND_NOT_FOUND = 127 };
#define FRAME_NS (UINT64_C(1000000000) / FRAMES_PER_SECOND)

struct video {
    const char *path;
    bool is_directory;
    FILE *pipe; /* to ffmpeg */
    pid_t ffmpeg;
    uint64_t number;
    struct frame frame;
    struct error failed; /* message "" while all is well */
};

uint64_t video_next(const struct video *video)
{
    return video->failed.message[0] != '\0' ? UINT64_MAX : video->number * FRAME_NS;
}

static bool start_ffmpeg(struct video *video, struct error *err)
{
    static const char scale[] = "scale=1024:768:force_original_aspect_ratio=decrease,pad=1024:768:(ow-iw)/2:(oh-ih)/2,setsar=1";
    int ends[2];

    FILE *file = fopen(video->path, "ab"); /* ffmpeg's own message would come too late */
    if (file == NULL || fclose(file) != 0) {
        error_set(err, "cannot write video '%s': %s", video->path, strerror(errno));
        return error_hint(err, "check that the folder exists and you may write there");
    }
    if (pipe(ends) != 0) {
        return error_set(err, "cannot make a pipe to ffmpeg: %s", strerror(errno));
    }
    video->ffmpeg = fork();
    if (video->ffmpeg == 0) {
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        close(ends[1]);
        setpgid(0, 0); /* Ctrl-C is for us: it shall finish the file */
        execlp("ffmpeg", "ffmpeg", "-loglevel", "error", "-y", "-f", "image2pipe", "-c:v", "ppm", "-framerate", "25", "-i", "-",
               "-vf", scale, "-pix_fmt", "yuv420p", video->path, (char *)NULL);
        _exit(COMMAND_NOT_FOUND);
    }
    close(ends[0]);
    video->pipe = video->ffmpeg > 0 ? fdopen(ends[1], "wb") : NULL;
    if (video->pipe == NULL) {
        close(ends[1]);
        return error_set(err, "cannot start ffmpeg: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN);
    return true;
}

struct video *video_open(const char *path, struct error *err)
{
    struct video *video = calloc(1, sizeof *video);
    struct stat status;
    size_t length = strlen(path);

    if (video == NULL) {
        error_set(err, "out of memory for the video");
        return NULL;
    }
    video->path = path;
    video->is_directory = (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) || (length != 0 && path[length - 1] == '/');
    if (video->is_directory && mkdir(path, 0777) != 0 && errno != EEXIST) {
        error_set(err, "cannot make the folder '%s' for the video: %s", path, strerror(errno));
    } else if (frame_init(&video->frame, err) && (video->is_directory || start_ffmpeg(video, err))) {
        return video;
    }
    frame_free(&video->frame);
    free(video);
    return NULL;
}

static void write_ppm(struct video *video)
{
    const struct picture *picture = &video->frame.picture;
    uint8_t rgb[3 * PICTURE_WIDTH_MAX];
    bool is_good = fprintf(video->pipe, "P6\n%u %u\n255\n", picture->width, picture->height) > 0;

    for (unsigned y = 0; y < picture->height && is_good; y++) {
        const uint32_t *from = picture->pixels + (size_t)y * PICTURE_WIDTH_MAX;
        for (unsigned x = 0; x < picture->width; x++) {
            rgb[3 * x] = (uint8_t)(from[x] >> 16);
            rgb[3 * x + 1] = (uint8_t)(from[x] >> 8);
            rgb[3 * x + 2] = (uint8_t)from[x];
        }
        is_good = fwrite(rgb, 3, picture->width, video->pipe) == picture->width;
    }
    if (!is_good) {
        error_set(&video->failed, "ffmpeg takes no more frames of video '%s'", video->path);
        error_hint(&video->failed, "install ffmpeg, or give a folder: -record-video FRAMES/");
    }
}

void video_run(struct video *video, struct tick86 *machine)
{
    while (video_next(video) <= tick86_now_ns(machine)) {
        bool is_new = frame_update(&video->frame, machine);
        if (!video->is_directory) {
            write_ppm(video);
        } else if (is_new) {
            char path[4096];
            snprintf(path, sizeof path, "%s/frame-%06llu.png", video->path, (unsigned long long)video->number);
            picture_write(&video->frame.picture, path, &video->failed);
        }
        video->number++;
    }
}

bool video_close(struct video *video, struct error *err)
{
    int status = 0;

    if (video == NULL) {
        return true;
    }
    if (video->pipe != NULL) {
        fclose(video->pipe);
        waitpid(video->ffmpeg, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == COMMAND_NOT_FOUND) {
            error_set(&video->failed, "there is no ffmpeg to make the video '%s'", video->path);
            error_hint(&video->failed, "install ffmpeg, or give a folder: -record-video FRAMES/");
        } else if (status != 0 && video->failed.message[0] == '\0') {
            error_set(&video->failed, "ffmpeg could not make the video '%s'", video->path);
            error_hint(&video->failed, "its message is above; FILE.mkv and FILE.mp4 are names that it knows");
        }
    }
    bool is_good = video->failed.message[0] == '\0';
    *err = video->failed;
    frame_free(&video->frame);
    free(video);
    return is_good;
}
