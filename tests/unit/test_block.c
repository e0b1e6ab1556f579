/* test_block.c - disk images of the host: raw files, overlays, locks, contents and errors, on temporary files. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "frontends/host/block.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char path[128];

static void setup(void)
{
    snprintf(directory, sizeof directory, "/tmp/tick86-block-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/disk.img", directory);
}

static void teardown(void)
{
    chmod(path, 0600);
    unlink(path);
    rmdir(path);
    rmdir(directory);
}

static void make(uint64_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

static void poke(uint64_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR);

    ck_assert_int_eq(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

static void peek(uint64_t offset, void *bytes, size_t size)
{
    int fd = open(path, O_RDONLY);

    ck_assert_int_eq(pread(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

static struct block_backend *must_open(const struct block_options *options)
{
    struct error err = {"", ""};
    struct block_backend *disk = block_open(path, options, &err);

    ck_assert_msg(disk != NULL, "%s", err.message);
    return disk;
}

static void must_fail(const struct block_options *options, const char *why)
{
    struct error err = {"", ""};

    ck_assert_ptr_null(block_open(path, options, &err));
    ck_assert_msg(strstr(err.message, why) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, path) != NULL, "%s", err.message);
    ck_assert_msg(err.hint[0] != '\0', "no hint: %s", err.message);
}

START_TEST(reads_and_writes_in_place)
{
    uint8_t bytes[1024], back[1024];
    struct stat st;

    make(UINT64_C(3) << 30);
    struct block_backend *disk = must_open(NULL);
    ck_assert_uint_eq(disk->sectors, UINT64_C(3) << 21);
    ck_assert(!disk->is_readonly);
    ck_assert_ptr_null(block_notice(disk));
    memset(bytes, 0x5a, sizeof bytes);
    uint64_t last = disk->sectors - 2;
    ck_assert(disk->write(disk->context, last, 2, bytes));
    ck_assert(!disk->write(disk->context, last + 1, 2, bytes));
    ck_assert(!disk->read(disk->context, UINT64_MAX, 1, back));
    ck_assert(disk->read(disk->context, last, 2, back));
    ck_assert_mem_eq(bytes, back, sizeof bytes);
    ck_assert(disk->read(disk->context, 0, 2, back));
    ck_assert_uint_eq(back[0], 0);
    ck_assert(disk->flush(disk->context));
    block_close(disk);
    peek((UINT64_C(3) << 30) - 1024, back, sizeof back);
    ck_assert_mem_eq(bytes, back, sizeof bytes);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_msg(st.st_blocks < 1024, "holes must stay");
}
END_TEST

START_TEST(odd_size_is_padded)
{
    uint8_t sector[512];

    make(0);
    memset(sector, 0x11, sizeof sector);
    poke(0, sector, 512);
    poke(512, sector, 100);
    struct block_backend *disk = must_open(NULL);
    ck_assert_uint_eq(disk->sectors, 2);
    ck_assert(disk->read(disk->context, 1, 1, sector));
    ck_assert_uint_eq(sector[99], 0x11);
    ck_assert_uint_eq(sector[100], 0);
    ck_assert_uint_eq(sector[511], 0);
    block_close(disk);
}
END_TEST

START_TEST(one_writer)
{
    struct block_options readonly = {.is_readonly = true};
    struct block_options snapshot = {.is_snapshot = true};

    make(4096);
    struct block_backend *disk = must_open(NULL);
    must_fail(NULL, "another program");
    must_fail(&readonly, "another program");
    must_fail(&snapshot, "another program");
    block_close(disk);
    disk = must_open(&readonly);
    struct block_backend *second = must_open(&snapshot);
    must_fail(NULL, "another program");
    block_close(second);
    block_close(disk);
    block_close(must_open(NULL));
}
END_TEST

START_TEST(readonly)
{
    struct block_options options = {.is_readonly = true};
    uint8_t sector[512] = {1};

    make(4096);
    struct block_backend *disk = must_open(&options);
    ck_assert(disk->is_readonly);
    ck_assert(!disk->write(disk->context, 0, 1, sector));
    ck_assert(disk->read(disk->context, 0, 1, sector));
    ck_assert_uint_eq(sector[0], 0);
    block_close(disk);
    if (geteuid() != 0) {
        chmod(path, 0400);
        disk = must_open(NULL);
        ck_assert(disk->is_readonly);
        ck_assert_ptr_nonnull(block_notice(disk));
        block_close(disk);
        chmod(path, 0);
        must_fail(NULL, "Permission denied");
    }
}
END_TEST

START_TEST(errors)
{
    struct block_options qed = {.format = "qed"};

    must_fail(NULL, "No such file");
    make(0);
    must_fail(NULL, "empty");
    make(4096);
    must_fail(&qed, "format qed is not supported");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    must_fail(NULL, "pipe");
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    must_fail(NULL, "directory");
}
END_TEST

/* Random writes with -snapshot against a model; the image stays as it was. */
START_TEST(snapshot)
{
    enum { SECTORS = 5000 };
    struct block_options options = {.is_snapshot = true};
    uint8_t *model = malloc(SECTORS * 512), *original = malloc(SECTORS * 512), *back = malloc(SECTORS * 512);
    uint32_t seed = 1;

    make(SECTORS * 512 - 100);
    for (unsigned n = 0; n < SECTORS * 512; n++) {
        original[n] = n < SECTORS * 512 - 100 ? (uint8_t)(n * 31 >> 4) : 0;
    }
    poke(0, original, SECTORS * 512 - 100);
    memcpy(model, original, SECTORS * 512);
    struct block_backend *disk = must_open(&options);
    ck_assert(!disk->is_readonly);
    for (unsigned n = 0; n < 2000; n++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t sector = (seed >> 8) % SECTORS, count = 1 + (seed >> 4) % 80;
        count = count < SECTORS - sector ? count : SECTORS - sector;
        if (n % 10 == 0) {
            memset(model + sector * 512, 0, count * 512);
            ck_assert(disk->discard(disk->context, sector, count));
        } else if (n % 3 != 0) {
            memset(back, (int)(n & 0xff), count * 512);
            memcpy(model + sector * 512, back, count * 512);
            ck_assert(disk->write(disk->context, sector, count, back));
        } else {
            ck_assert(disk->read(disk->context, sector, count, back));
            ck_assert_mem_eq(back, model + sector * 512, count * 512);
        }
    }
    ck_assert(disk->flush(disk->context));
    ck_assert(disk->read(disk->context, 0, SECTORS, back));
    ck_assert_mem_eq(back, model, SECTORS * 512);
    block_close(disk);
    peek(0, back, SECTORS * 512 - 100);
    ck_assert_mem_eq(back, original, SECTORS * 512 - 100);
    free(model);
    free(original);
    free(back);
}
END_TEST

/* What a guest discards reads as zeros and takes no space any more. */
START_TEST(discard)
{
    enum { SECTORS = 2048 };
    uint8_t *bytes = malloc(SECTORS * 512);
    struct stat before, after;

    make(SECTORS * 512);
    memset(bytes, 0x5a, SECTORS * 512);
    struct block_backend *disk = must_open(NULL);
    ck_assert(disk->write(disk->context, 0, SECTORS, bytes));
    ck_assert(disk->flush(disk->context));
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert(disk->discard(disk->context, 9, SECTORS - 20));
    ck_assert(!disk->discard(disk->context, 9, SECTORS));
    ck_assert(disk->read(disk->context, 0, SECTORS, bytes));
    for (unsigned n = 0; n < SECTORS * 512; n++) {
        ck_assert_uint_eq(bytes[n], n >= 9 * 512 && n < (SECTORS - 11) * 512 ? 0 : 0x5a);
    }
    block_close(disk);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(after.st_size, SECTORS * 512);
    ck_assert_msg(after.st_blocks < before.st_blocks / 2, "%ld blocks, %ld before", (long)after.st_blocks, (long)before.st_blocks);
    struct block_options options = {.is_readonly = true};
    disk = must_open(&options);
    ck_assert(!disk->discard(disk->context, 0, 8));
    block_close(disk);
    free(bytes);
}
END_TEST

/* Many clusters: the table grows. */
START_TEST(snapshot_grows)
{
    struct block_options options = {.is_snapshot = true};
    uint8_t sector[512];

    make(UINT64_C(8) << 40);
    struct block_backend *disk = must_open(&options);
    for (uint32_t n = 0; n < 3000; n++) {
        memset(sector, (int)(n % 251), sizeof sector);
        ck_assert(disk->write(disk->context, (uint64_t)n * 5000011, 1, sector));
    }
    for (uint32_t n = 0; n < 3000; n++) {
        ck_assert(disk->read(disk->context, (uint64_t)n * 5000011, 1, sector));
        ck_assert_uint_eq(sector[100], n % 251);
    }
    block_close(disk);
}
END_TEST

START_TEST(contents)
{
    static const struct {
        uint64_t size;
        struct {
            uint32_t offset;
            const char *bytes;
            uint32_t size;
        } put[2];
        enum file_content content;
        bool is_opened;
    } rows[] = {
        {1 << 20, {{0, "", 0}}, CONTENT_DISK, true},
        {1 << 20, {{510, "\x55\xaa", 2}, {512, "\x02\xb0\xad\x1b\0\0\x01\0\xfe\x4f\x51\xe4", 12}}, CONTENT_DISK, true},
        {1 << 20, {{64, "\x02\xb0\xad\x1b\0\0\x01\0\xfe\x4f\x51\xe4", 12}}, CONTENT_MULTIBOOT, true},
        {1 << 20, {{0, "\x7f" "ELF", 4}, {4096, "\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4", 12}}, CONTENT_MULTIBOOT, true},
        {1 << 20, {{0, "\x7f" "ELF", 4}, {4096, "\x02\xb0\xad\x1b\0\0\0\0\xff\x4f\x52\xe4", 12}}, CONTENT_ELF, true},
        {1 << 20, {{510, "\x55\xaa", 2}, {514, "HdrS", 4}}, CONTENT_BZIMAGE, true},
        {1 << 20, {{510, "\x55\xaa", 2}, {32769, "CD001", 5}}, CONTENT_ISO9660, true},
        {1474560, {{0, "", 0}}, CONTENT_FLOPPY, true},
        {163840, {{510, "\x55\xaa", 2}}, CONTENT_FLOPPY, true},
        {100, {{0, "x", 1}}, CONTENT_DISK, true},
        {1 << 20, {{0, "QFI\xfb\0\0\0\3", 8}}, CONTENT_QCOW2, false},
        {1 << 20, {{64, "\x7f\x10\xda\xbe", 4}}, CONTENT_VDI, false},
        {1 << 20, {{0, "KDMV", 4}}, CONTENT_VMDK, false},
        {300, {{0, "# Disk DescriptorFile\n", 22}}, CONTENT_VMDK, false},
        {1 << 20, {{(1 << 20) - 512, "conectix", 8}}, CONTENT_VHD, false},
        {1 << 20, {{0, "vhdxfile", 8}}, CONTENT_VHDX, false},
        {1 << 20, {{0, "\x1f\x8b\x08", 3}}, CONTENT_COMPRESSED, false},
    };
    struct error err = {"", ""};
    struct block_options raw = {.format = "raw"};

    make(rows[_i].size);
    for (unsigned n = 0; n < 2; n++) {
        poke(rows[_i].put[n].offset, rows[_i].put[n].bytes, rows[_i].put[n].size);
    }
    enum file_content content = block_probe(path, &err);
    ck_assert_str_eq(block_content_name(content), block_content_name(rows[_i].content));
    if (rows[_i].is_opened) {
        block_close(must_open(NULL));
    } else {
        must_fail(NULL, content == CONTENT_COMPRESSED ? "compressed" : content == CONTENT_QCOW2 ? "damaged" : "cannot open");
    }
    block_close(must_open(&raw));
}
END_TEST

/* A guest cannot turn a raw image into another format, which the next start would open with all that its header names. */
START_TEST(guest_cannot_write_headers)
{
    static const uint64_t sizes[] = {1 << 20, 1440 << 10}; /* a disk, a floppy disk */
    struct block_options raw = {.format = "raw"};
    uint8_t sector[512] = {'Q', 'F', 'I', 0xfb}, footer[1024] = {0};

    make(sizes[_i]);
    memcpy(footer + 512, "conectix", 8);
    struct block_backend *disk = must_open(NULL);
    ck_assert(!disk->write(disk->context, 0, 1, sector));
    ck_assert(disk->write(disk->context, 1, 1, sector));
    ck_assert(!disk->write(disk->context, disk->sectors - 2, 2, footer));
    ck_assert(disk->write(disk->context, disk->sectors - 3, 2, footer));
    block_close(disk);
    disk = must_open(&raw);
    ck_assert(disk->write(disk->context, 0, 1, sector));
    block_close(disk);
    must_fail(NULL, "cannot open");
}
END_TEST

START_TEST(no_medium)
{
    struct error err = {"", ""};
    uint8_t sector[512];
    struct block_backend *empty = block_open_empty(&err);

    ck_assert_ptr_nonnull(empty);
    ck_assert_uint_eq(empty->sectors, 0);
    ck_assert(!empty->read(empty->context, 0, 1, sector));
    block_close(empty);
    block_close(NULL);
    ck_assert_uint_eq(block_probe("/nonexistent/file", &err), CONTENT_UNREADABLE);
    ck_assert(err.hint[0] != '\0');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block");
    TCase *tc = tcase_create("block");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reads_and_writes_in_place);
    tcase_add_test(tc, odd_size_is_padded);
    tcase_add_test(tc, one_writer);
    tcase_add_test(tc, readonly);
    tcase_add_test(tc, errors);
    tcase_add_test(tc, snapshot);
    tcase_add_test(tc, discard);
    tcase_add_test(tc, snapshot_grows);
    tcase_add_loop_test(tc, contents, 0, 17);
    tcase_add_loop_test(tc, guest_cannot_write_headers, 0, 2);
    tcase_add_test(tc, no_medium);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
