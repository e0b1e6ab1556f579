/* block_file.c - files of the host that hold disk images.
 *
 * POSIX pread, pwrite, fsync with 64-bit offsets; flock against a second writer (it belongs to the open file, so two
 * machines in one process exclude each other too); Linux fallocate and SEEK_HOLE where there are.
 *
 * Not implemented: O_DIRECT, asynchronous I/O, the byte-range locks of QEMU. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "frontends/host/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "disk images need 64-bit file offsets");

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

static struct host_file *open_failed(const char *path, int error, struct error *err)
{
    error_set(err, "cannot open disk image '%s': %s", path, strerror(error));
    switch (error) {
    case ENOENT: error_hint(err, "check the name, or create one with: tick86-img create %s 2G", path); break;
    case EACCES:
    case EPERM: error_hint(err, "look at its permissions with: ls -l %s", path); break;
    case ENOTDIR: error_hint(err, "a directory in that path is a file"); break;
    default: error_hint(err, "check the name and that the file can be read"); break;
    }
    return NULL;
}

static struct host_file *new_file(int fd, const char *path, struct error *err)
{
    struct host_file *file = calloc(1, sizeof *file);
    size_t length = strlen(path) + 1;
    char *copy = malloc(length);

    if (file == NULL || copy == NULL) {
        free(file);
        free(copy);
        close(fd);
        error_set(err, "cannot open disk image '%s': out of memory", path);
        error_hint(err, "close other programs");
        return NULL;
    }
    memcpy(copy, path, length);
    file->fd = fd;
    file->path = copy;
    return file;
}

struct host_file *host_file_open(const char *path, bool is_readonly, struct error *err)
{
    struct stat st;
    int fd = -1;

    if (stat(path, &st) != 0) {
        return open_failed(path, errno, err);
    }
    if (!check_kind(path, &st, err)) {
        return NULL;
    }
    if (!is_readonly) {
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 && errno != EACCES && errno != EPERM && errno != EROFS && errno != ETXTBSY) {
            return open_failed(path, errno, err);
        }
    }
    if (fd < 0) {
        is_readonly = true;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (fd < 0) {
        return open_failed(path, errno, err);
    }
    off_t end = lseek(fd, 0, SEEK_END); /* a block device's stat has no size */
    if (end <= 0) {
        if (end < 0) {
            open_failed(path, errno, err);
        } else {
            error_set(err, "cannot open disk image '%s': the file is empty", path);
            error_hint(err, "give it a size with: tick86-img create %s 2G", path);
        }
        close(fd);
        return NULL;
    }
    struct host_file *file = new_file(fd, path, err);
    if (file != NULL) {
        file->size = (uint64_t)end;
        file->is_readonly = is_readonly;
        file->is_device = S_ISBLK(st.st_mode);
    }
    return file;
}

struct host_file *host_file_open_part(const char *path, uint64_t base, uint64_t size, struct error *err)
{
    struct host_file *file = host_file_open(path, true, err);

    if (file != NULL && (base > file->size || size > file->size - base || size == 0)) {
        error_set(err, "cannot open the disk in '%s': it is empty or cut off", path);
        error_hint(err, "copy the file again");
        host_file_close(file);
        return NULL;
    }
    if (file != NULL) {
        file->base = base;
        file->size = size;
    }
    return file;
}

struct host_file *host_file_create(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) == 0 && !check_kind(path, &st, err)) {
        return NULL;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0) {
        error_set(err, "cannot create '%s': %s", path, strerror(errno));
        error_hint(err, "check that its folder exists and can be written");
        return NULL;
    }
    struct host_file *file = new_file(fd, path, err);
    if (file == NULL || !host_file_lock(file, err)) {
        host_file_close(file);
        return NULL;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    file->is_device = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
    file->size = file->is_device && end > 0 ? (uint64_t)end : 0;
    if (!file->is_device && ftruncate(fd, 0) != 0) {
        error_set(err, "cannot create '%s': %s", path, strerror(errno));
        error_hint(err, "check that it can be written");
        host_file_close(file);
        return NULL;
    }
    return file;
}

void host_file_close(struct host_file *file)
{
    if (file != NULL) {
        close(file->fd); /* gives up the lock */
        free(file->path);
        free(file);
    }
}

bool host_file_lock(struct host_file *file, struct error *err)
{
    bool is_writer = !file->is_readonly;

    if (flock(file->fd, (is_writer ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        return true;
    }
    error_set(err, "cannot open disk image '%s' for %s: another program is using it", file->path,
              is_writer ? "writing" : "reading, as it is being written");
    return error_hint(err, is_writer ? "close the other emulator, or use -snapshot if it only reads the image"
                                     : "close the emulator that writes it, or work with a copy");
}

bool host_file_read(struct host_file *file, uint64_t offset, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    uint64_t rest = file->base != 0 && offset < file->size ? file->size - offset : 0; /* a part ends before the file does */

    if (file->base != 0 && rest < size) {
        memset(at + rest, 0, size - (size_t)rest);
        size = (size_t)rest;
    }
    offset = offset <= UINT64_MAX - file->base ? offset + file->base : UINT64_MAX;
    while (size != 0) {
        ssize_t got = offset <= INT64_MAX - size ? pread(file->fd, at, size, (off_t)offset) : 0;
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

bool host_file_write(struct host_file *file, uint64_t offset, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    if (offset > INT64_MAX - size) {
        errno = EFBIG;
        return false;
    }
    while (size != 0) {
        ssize_t put = pwrite(file->fd, at, size, (off_t)offset);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        at += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
        file->size = offset > file->size ? offset : file->size;
    }
    return true;
}

bool host_file_resize(struct host_file *file, uint64_t size)
{
    if (file->is_device) {
        errno = EFBIG;
        return size <= file->size;
    }
    if (size > INT64_MAX) {
        errno = EFBIG;
        return false;
    }
    while (ftruncate(file->fd, (off_t)size) != 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    file->size = size;
    return true;
}

bool host_file_sync(struct host_file *file)
{
    if (file->is_unsafe) {
        return true;
    }
#if defined(F_FULLFSYNC)
    bool is_done = fcntl(file->fd, F_FULLFSYNC) == 0 || fsync(file->fd) == 0;
#elif defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
    bool is_done = fdatasync(file->fd) == 0;
#else
    bool is_done = fsync(file->fd) == 0;
#endif

    return is_done || errno == EINVAL;
}

bool host_file_punch(struct host_file *file, uint64_t offset, uint64_t size)
{
#if defined(__linux__)
    return size != 0 && offset <= (uint64_t)INT64_MAX - size &&
           fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) == 0;
#else
    (void)file, (void)offset, (void)size;
    return false;
#endif
}

bool host_file_is_hole(struct host_file *file, uint64_t offset, uint64_t *end)
{
    *end = file->size;
    if (offset >= file->size) {
        return true;
    }
    if (file->base != 0) {
        return false;
    }
#if defined(SEEK_HOLE) && defined(SEEK_DATA)
    off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
        return true; /* a hole to the end */
    }
    if (data > (off_t)offset) {
        *end = (uint64_t)data;
        return true;
    }
    if (data >= 0) {
        off_t hole = lseek(file->fd, (off_t)offset, SEEK_HOLE);
        *end = hole > (off_t)offset ? (uint64_t)hole : file->size;
    }
#endif
    return false;
}

uint64_t host_file_allocated(const struct host_file *file)
{
    struct stat st;

    return fstat(file->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

void block_make_uuid(const struct host_file *file, uint8_t uuid[16])
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool is_random = fd >= 0 && read(fd, uuid, 16) == 16;

    if (fd >= 0) {
        close(fd);
    }
    for (unsigned n = 0; !is_random && n < 16; n++) { /* unique enough: the file, and when it was made */
        uint64_t seed = (host_file_mtime_ns(file) ^ (uint64_t)getpid() << 32) * UINT64_C(0x9e3779b97f4a7c15);
        uuid[n] = (uint8_t)(seed >> (n % 8 * 8)) ^ (uint8_t)(n * 0x35);
    }
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

uint64_t host_file_mtime_ns(const struct host_file *file)
{
    struct stat st;

    if (fstat(file->fd, &st) != 0) {
        return 0;
    }
#if defined(__APPLE__)
    return (uint64_t)st.st_mtimespec.tv_sec * 1000000000u + (uint64_t)st.st_mtimespec.tv_nsec;
#else
    return (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
#endif
}
