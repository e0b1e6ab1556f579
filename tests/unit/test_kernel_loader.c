/* test_kernel_loader.c - the host's half of -kernel, on made-up kernel files. */
#include "machine/kernel_loader.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { SETUP_SECTS = 4, SETUP = (SETUP_SECTS + 1) * 512, CODE = 8192 };
#define RAM (UINT64_C(64) << 20)

static uint8_t file[SETUP + CODE];
static struct kernel_load load;
static struct error err;

static void put32(size_t at, uint32_t value)
{
    for (unsigned n = 0; n < 4; n++) {
        file[at + n] = (uint8_t)(value >> (8 * n));
    }
}

static uint32_t get32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* A bzImage of the given protocol version. */
static struct kernel_request linux_request(unsigned version, bool is_high)
{
    memset(file, 0, sizeof file);
    memset(&err, 0, sizeof err);
    file[0x1f1] = SETUP_SECTS;
    put32(0x1f4, CODE / 16);
    file[0x1fe] = 0x55;
    file[0x1ff] = 0xaa;
    memcpy(file + 0x202, "HdrS", 4);
    file[0x206] = (uint8_t)version;
    file[0x207] = (uint8_t)(version >> 8);
    file[0x211] = is_high;
    if (version >= 0x203) {
        put32(0x22c, 0x37ffffff);
    }
    if (version >= 0x206) {
        put32(0x238, 2047);
    }
    if (version >= 0x20a) {
        put32(0x258, 0x1000000);
        put32(0x260, 0x800000);
    }
    file[SETUP] = 0xeb;
    return (struct kernel_request){
        .kernel = {"bzImage", file, sizeof file}, .command_line = "console=ttyS0", .ram_below_4g = RAM};
}

static const struct kernel_item *item(uint16_t key)
{
    for (unsigned n = 0; n < load.item_count; n++) {
        if (load.items[n].key == key) {
            return &load.items[n];
        }
    }
    ck_abort_msg("no fw_cfg item %02x", key);
    return NULL;
}

static uint32_t number(uint16_t key) { return get32(item(key)->bytes); }

START_TEST(new_kernel_goes_high_with_its_command_line_anywhere)
{
    struct kernel_request request = linux_request(0x20f, true);

    ck_assert(kernel_load_prepare(&load, &request, &err));
    ck_assert_uint_eq(number(0x07), 0x100000);
    ck_assert_uint_eq(number(0x08), CODE);
    ck_assert_uint_eq(item(0x11)->bytes[0], 0xeb);
    ck_assert_uint_eq(number(0x16), 0x10000);
    ck_assert_uint_eq(number(0x17), SETUP);
    ck_assert_uint_eq(number(0x13), 0x20000);
    ck_assert_uint_eq(number(0x14), sizeof "console=ttyS0");
    ck_assert_str_eq((const char *)item(0x15)->bytes, "console=ttyS0");
    const uint8_t *setup = item(0x18)->bytes;
    ck_assert_uint_eq(setup[0x210], 0xff);
    ck_assert_uint_eq(setup[0x211], 0x81);
    ck_assert_uint_eq(get32(setup + 0x228), 0x20000);
    ck_assert_uint_eq(get32(setup + 0x224) & 0xffff, 0xfe00);
    kernel_load_free(&load);
}
END_TEST

/* boot.rst, protocol 2.00 and 2.01: command line by magic A33Fh, all below 9a000h. */
START_TEST(old_zimage_stays_low)
{
    struct kernel_request request = linux_request(0x201, false);

    ck_assert(kernel_load_prepare(&load, &request, &err));
    ck_assert_uint_eq(number(0x07), 0x10000);
    ck_assert_uint_eq(number(0x16), 0x90000);
    uint32_t line = number(0x13);
    ck_assert_uint_ge(line, 0x99000);
    ck_assert_uint_le(line + number(0x14), 0x9a000);
    const uint8_t *setup = item(0x18)->bytes;
    ck_assert_uint_eq(get32(setup + 0x20) & 0xffff, 0xa33f);
    ck_assert_uint_eq(get32(setup + 0x22) & 0xffff, line - 0x90000);
    kernel_load_free(&load);
}
END_TEST

START_TEST(initrd_goes_as_high_as_it_may)
{
    static const uint8_t initrd[5000];
    struct tick86_blob module = {"initrd", initrd, sizeof initrd};
    struct kernel_request request = linux_request(0x20f, true);

    request.modules = &module;
    request.module_count = 1;
    ck_assert(kernel_load_prepare(&load, &request, &err));
    ck_assert_uint_eq(number(0x0a), (RAM - 5000) & ~UINT64_C(4095));
    ck_assert_uint_eq(number(0x0b), 5000);
    ck_assert_ptr_eq(item(0x12)->bytes, initrd);
    kernel_load_free(&load);

    put32(0x22c, 0x2ffffff); /* the protocol's limit, below the end of RAM */
    ck_assert(kernel_load_prepare(&load, &request, &err));
    ck_assert_uint_eq(number(0x0a), (0x3000000 - 5000) & ~4095U);
    kernel_load_free(&load);

    request.module_count = 2;
    ck_assert(!kernel_load_prepare(&load, &request, &err));
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    static uint8_t initrd[1 << 20];
    struct tick86_blob module = {"initrd", initrd, 48 << 20}; /* refused before it is read */
    struct kernel_request request = linux_request(0x20f, true);

    request.modules = &module;
    request.module_count = 1;
    ck_assert(!kernel_load_prepare(&load, &request, &err));
    ck_assert_ptr_nonnull(strstr(err.hint, "-m"));

    request = linux_request(0x20f, true);
    request.ram_below_4g = 16 << 20;
    ck_assert(!kernel_load_prepare(&load, &request, &err));
}
END_TEST

START_TEST(command_line_has_the_kernels_limit)
{
    static char line[3000];
    struct kernel_request request = linux_request(0x20f, true);

    memset(line, 'a', 2047);
    request.command_line = line;
    ck_assert(kernel_load_prepare(&load, &request, &err));
    kernel_load_free(&load);
    line[2047] = 'a';
    ck_assert(!kernel_load_prepare(&load, &request, &err));
    request = linux_request(0x205, true);
    memset(line, 0, sizeof line);
    memset(line, 'a', 256);
    request.command_line = line;
    ck_assert(!kernel_load_prepare(&load, &request, &err));
}
END_TEST

START_TEST(video_mode_comes_from_the_command_line)
{
    static const struct {
        const char *line;
        unsigned mode;
    } rows[] = {{"quiet vga=ask", 0xfffd}, {"vga=normal quiet", 0xffff}, {"vga=ext", 0xfffe}, {"vga=0x301", 0x301},
                {"notvga=5", 0},           {"vga=788", 788}};
    struct kernel_request request = linux_request(0x20f, true);

    request.command_line = rows[_i].line;
    ck_assert(kernel_load_prepare(&load, &request, &err));
    ck_assert_uint_eq(get32(item(0x18)->bytes + 0x1fa) & 0xffff, rows[_i].mode);
    kernel_load_free(&load);
}
END_TEST

/* Every length of a truncated file is refused and reads nothing behind its end (the sanitizer watches). */
START_TEST(truncated_files_are_refused)
{
    struct kernel_request request = linux_request(0x20f, true);

    for (size_t size = 0; size < sizeof file - 32; size += 7) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, file, size);
        request.kernel.bytes = cut;
        request.kernel.size = size;
        ck_assert(!kernel_load_prepare(&load, &request, &err));
        ck_assert_uint_gt(strlen(err.message), 10);
        free(cut);
    }
}
END_TEST

/* A Multiboot image with every word of header and ELF program header replaced by hostile values. */
START_TEST(hostile_multiboot_headers_never_hurt)
{
    static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000, 0xfffff000, 52};
    struct kernel_request request = linux_request(0x20f, true);
    uint32_t flags = _i ? 0x10003 : 3;
    size_t header = 128;

    for (size_t at = 0; at < 160; at += 4) {
        for (size_t n = 0; n < sizeof values / sizeof values[0]; n++) {
            memset(file, 0, sizeof file);
            memcpy(file, "\177ELF\1\1\1", 7);
            put32(24, 0x100000);
            put32(28, 52);
            put32(42, 1U << 16 | 32);
            put32(52, 1);
            put32(60, 0xc0100000);
            put32(64, 0x100000);
            put32(68, 256);
            put32(72, 512);
            put32(header, 0x1badb002);
            put32(header + 4, flags);
            put32(header + 8, 0U - 0x1badb002U - flags);
            put32(header + 12, 0x100080);
            put32(header + 16, 0x100000);
            put32(header + 28, 0x100000);
            put32(at, values[n]);
            request.kernel.size = 256;
            uint8_t *cut = malloc(256);
            memcpy(cut, file, 256);
            request.kernel.bytes = cut;
            if (kernel_load_prepare(&load, &request, &err)) {
                kernel_load_free(&load);
            }
            free(cut);
        }
    }
}
END_TEST

START_TEST(what_is_no_kernel_is_named)
{
    struct kernel_request request = linux_request(0x20f, true);

    memset(file, 0, sizeof file);
    ck_assert(!kernel_load_prepare(&load, &request, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "not a kernel"));
    memcpy(file, "\177ELF", 4);
    ck_assert(!kernel_load_prepare(&load, &request, &err));
    ck_assert_ptr_nonnull(strstr(err.hint, "bzImage"));
    request.kernel.size = 0;
    ck_assert(!kernel_load_prepare(&load, &request, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "empty"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_loader");
    TCase *tests = tcase_create("kernel_loader");

    tcase_add_test(tests, new_kernel_goes_high_with_its_command_line_anywhere);
    tcase_add_test(tests, old_zimage_stays_low);
    tcase_add_test(tests, initrd_goes_as_high_as_it_may);
    tcase_add_test(tests, what_does_not_fit_is_an_error);
    tcase_add_test(tests, command_line_has_the_kernels_limit);
    tcase_add_loop_test(tests, video_mode_comes_from_the_command_line, 0, 6);
    tcase_add_test(tests, truncated_files_are_refused);
    tcase_add_loop_test(tests, hostile_multiboot_headers_never_hurt, 0, 2);
    tcase_add_test(tests, what_is_no_kernel_is_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
