/* memory.c - guest RAM and whole files in host memory, by POSIX mmap. */
#define _DEFAULT_SOURCE
#include "frontends/host/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint8_t *host_memory_map(uint64_t size, struct error *err)
{
    void *memory = MAP_FAILED;

    if (size <= SIZE_MAX) {
        memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (memory == MAP_FAILED) {
        error_set(err, "the host has no %llu MiB of memory for the guest: %s", (unsigned long long)(size >> 20),
                  size <= SIZE_MAX ? strerror(errno) : "more than it can address");
        error_hint(err, "give the guest less with -m");
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    /* Large pages where the host has them: a guest that jumps about in its memory misses the host's TLB less. Only advice. */
    (void)madvise(memory, (size_t)size, MADV_HUGEPAGE);
#endif
    return memory;
}

void host_memory_unmap(uint8_t *memory, uint64_t size)
{
    if (memory != NULL) {
        munmap(memory, (size_t)size);
    }
}

bool host_file_map(struct tick86_blob *blob, const char *path, const char *what, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(err, "cannot open %s '%s': %s", what, path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return error_hint(err, "check the name and that you may read it");
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        close(fd);
        error_set(err, "%s '%s' is %s", what, path, S_ISREG(status.st_mode) ? "empty" : "not a file");
        return error_hint(err, "name a file that holds the %s", what);
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int why = errno;
    close(fd);
    if (bytes == MAP_FAILED) {
        error_set(err, "cannot read %s '%s': %s", what, path, strerror(why));
        return error_hint(err, "check that it is on a disk that works");
    }
    *blob = (struct tick86_blob){path, bytes, (size_t)status.st_size};
    return true;
}

/* munmap and madvise take a pointer to non-const, though they do not write. */
static void *address_of(const struct tick86_blob *blob)
{
    void *address;

    memcpy(&address, &blob->bytes, sizeof address);
    return address;
}

void host_file_unmap(struct tick86_blob *blob)
{
    if (blob->bytes != NULL) {
        munmap(address_of(blob), blob->size);
        memset(blob, 0, sizeof *blob);
    }
}

void host_file_relax(const struct tick86_blob *blob)
{
    if (blob->bytes != NULL) {
        madvise(address_of(blob), blob->size, MADV_DONTNEED);
    }
}
