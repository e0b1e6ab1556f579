/* block_raw.c - raw disk images, read and written in place.
 *
 * POSIX pread, pwrite, fsync with 64-bit offsets; flock against a second writer (it belongs to the open file, so two
 * machines in one process exclude each other too). Holes of sparse files stay until they are written. The last sector
 * of an image whose size is no multiple of 512 is padded with zeros, and the file grows to the multiple once it is
 * written.
 *
 * Not implemented: O_DIRECT, asynchronous I/O, discard. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "frontends/host/block_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "disk images need 64-bit file offsets");

struct raw {
    int fd;
};

/* ---- Host files ---- */

/* What makes a path useless whatever the rights are. */
static bool check_kind(const char *path, const struct stat *st, struct error *err)
{
    const char *kind = NULL;

    if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) {
        return true;
    }
    if (S_ISDIR(st->st_mode)) {
        error_set(err, "cannot open disk image '%s': it is a directory", path);
        return error_hint(err, "name an image file, for example '%s/disk.img'", path);
    }
    kind = S_ISFIFO(st->st_mode) ? "a pipe" : S_ISSOCK(st->st_mode) ? "a socket" : "a character device";
    error_set(err, "cannot open disk image '%s': it is %s", path, kind);
    return error_hint(err, "copy its content to a file and name that");
}

static bool open_failed(const char *path, int error, struct error *err)
{
    error_set(err, "cannot open disk image '%s': %s", path, strerror(error));
    switch (error) {
    case ENOENT: return error_hint(err, "check the name, or create one with: truncate -s 2G %s", path);
    case EACCES:
    case EPERM: return error_hint(err, "look at its permissions with: ls -l %s", path);
    case ENOTDIR: return error_hint(err, "a directory in that path is a file");
    default: return error_hint(err, "check the name and that the file can be read");
    }
}

int host_file_open(const char *path, bool *is_readonly, uint64_t *size, struct error *err)
{
    struct stat st;
    int fd = -1;

    if (stat(path, &st) != 0) {
        open_failed(path, errno, err);
        return -1;
    }
    if (!check_kind(path, &st, err)) {
        return -1;
    }
    if (!*is_readonly) {
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 && errno != EACCES && errno != EPERM && errno != EROFS && errno != ETXTBSY) {
            open_failed(path, errno, err);
            return -1;
        }
    }
    if (fd < 0) {
        *is_readonly = true;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (fd < 0) {
        open_failed(path, errno, err);
        return -1;
    }
    off_t end = lseek(fd, 0, SEEK_END); /* a block device's stat has no size */
    if (end <= 0) {
        if (end < 0) {
            open_failed(path, errno, err);
        } else {
            error_set(err, "cannot open disk image '%s': the file is empty", path);
            error_hint(err, "give it a size with: truncate -s 2G %s", path);
        }
        close(fd);
        return -1;
    }
    *size = (uint64_t)end;
    return fd;
}

bool host_file_read(int fd, uint64_t offset, void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size != 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        if (got == 0) {
            memset(at, 0, size);
            return true;
        }
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

bool host_file_write(int fd, uint64_t offset, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size != 0) {
        ssize_t put = pwrite(fd, at, size, (off_t)offset);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        at += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return true;
}

/* ---- The driver ---- */

/* One writer, or any number of readers. A host file system without locks is no reason to refuse. */
static bool lock(struct block_image *image, int fd, struct error *err)
{
    bool is_writer = !image->backend.is_readonly;

    if (flock(fd, (is_writer ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        return true;
    }
    error_set(err, "cannot open disk image '%s' for %s: another program is using it", image->path,
              is_writer ? "writing" : "reading, as it is being written");
    return error_hint(err, is_writer ? "close the other emulator, or use -snapshot if it only reads the image"
                                     : "close the emulator that writes it, or work with a copy");
}

static bool raw_open(struct block_image *image, struct error *err)
{
    bool is_readonly = image->options.is_readonly;
    uint64_t size = 0;
    struct raw *raw = malloc(sizeof *raw);

    if (raw == NULL) {
        error_set(err, "cannot open disk image '%s': out of memory", image->path);
        return error_hint(err, "close other programs");
    }
    raw->fd = host_file_open(image->path, &is_readonly, &size, err);
    if (raw->fd < 0) {
        free(raw);
        return false;
    }
    if (is_readonly && !image->options.is_readonly) {
        snprintf(image->notice, sizeof image->notice,
                 "disk image '%.200s' is write-protected: opened read-only, what the guest writes fails", image->path);
    }
    image->backend.is_readonly = is_readonly;
    if (!lock(image, raw->fd, err)) {
        close(raw->fd);
        free(raw);
        return false;
    }
    image->state = raw;
    image->backend.sectors = size / SECTOR_SIZE + (size % SECTOR_SIZE != 0);
    return true;
}

static void raw_close(struct block_image *image)
{
    struct raw *raw = image->state;

    close(raw->fd); /* gives up the lock */
    free(raw);
}

static bool raw_read(struct block_image *image, uint64_t sector, uint32_t count, void *bytes)
{
    const struct raw *raw = image->state;

    return host_file_read(raw->fd, sector * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE) ||
           block_host_error(image, "cannot read");
}

static bool raw_write(struct block_image *image, uint64_t sector, uint32_t count, const void *bytes)
{
    const struct raw *raw = image->state;

    return host_file_write(raw->fd, sector * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE) ||
           block_host_error(image, "cannot write");
}

static bool raw_flush(struct block_image *image)
{
    const struct raw *raw = image->state;
#if defined(F_FULLFSYNC)
    bool is_done = fcntl(raw->fd, F_FULLFSYNC) == 0 || fsync(raw->fd) == 0;
#elif defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
    bool is_done = fdatasync(raw->fd) == 0;
#else
    bool is_done = fsync(raw->fd) == 0;
#endif

    return is_done || errno == EINVAL || block_host_error(image, "cannot flush");
}

const struct block_driver block_raw_driver = {
    .name = "raw",
    .content = CONTENT_DISK,
    .open = raw_open,
    .read = raw_read,
    .write = raw_write,
    .flush = raw_flush,
    .close = raw_close,
};
