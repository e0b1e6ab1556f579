/* test_options.c - the command line: what is understood, and that what is wrong is said in one line. */
#include "frontends/options.h"

#include <check.h>
#include <string.h>

static struct options options;
static struct error err;

/* Parses "a b c", blanks between. */
static bool parse(const char *line)
{
    static char words[512];
    char *argv[32];
    int argc = 0;

    strcpy(words, line);
    argv[argc++] = words;
    for (char *word = strtok(words, " "); word != NULL && argc < 32; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    memset(&err, 0, sizeof err);
    return options_parse(&options, argc, argv, &err);
}

START_TEST(sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } rows[] = {{"512", UINT64_C(512) << 20}, {"2G", UINT64_C(2) << 30}, {"64M", 64 << 20}, {"65536K", 64 << 20},
                {"1.5G", 0}, {"0", 0}, {"65G", 0}, {"-1", 0}, {"M", 0}, {"99999999999999999999", 0}, {"1025K", 0}};
    char line[64] = "-m ";

    strcat(line, rows[_i].text);
    ck_assert_int_eq(parse(line), rows[_i].bytes != 0);
    if (rows[_i].bytes != 0) {
        ck_assert_uint_eq(options.ram_bytes, rows[_i].bytes);
    }
}
END_TEST

START_TEST(good_lines)
{
    static const char *const lines[] = {
        "-hda a.img -hdb b.img -cdrom c.iso -boot order=dc,menu=on -snapshot",
        "-drive file=a,format=raw,if=ide,index=3,media=disk,readonly=on,snapshot=off -drive file=b",
        "-serial stdio -serial unix:/tmp/x,server,nowait -monitor none -parallel none",
        "-rtc base=2026-01-31T12:00:00,clock=vm -seed 0x2a -time virtual,ratio=0.5 -stop-at insns=1000 -print-hash",
        "--self-check=slow -nographic -vga none -no-reboot -no-shutdown -S -name x -d all=guest -D log",
        "-device isa-debug-exit,iobase=0xf4,iosize=4 -cpu pentium2 -L dir -bios x -boot d",
        "vmlinuz initrd -append quiet",
    };
    ck_assert_msg(parse(lines[_i]), "%s: %s", lines[_i], err.message);
    options_free(&options);
}
END_TEST

START_TEST(bad_lines)
{
    static const char *const lines[] = {
        "-hda a -hda b",    "-hdc a -cdrom b", "-drive format=raw", "-drive file=a,if=scsi", "-drive file=a,index=4",
        "-boot x",          "-serial",         "-serial foo",       "-parallel stdio",       "-monitor file:x",
        "-display gl",      "-vga cirrus",     "-device e1000e",    "-rtc base=soon",        "-seed luck",        "-time fast",
        "-stop-at never=1", "-smp 33",         "-smp 0",            "-smp 4,cores=3",        "-sched 3",          "-sched seed=x",
        "-kernle x",        "-self-check=tlb", "-snapshot=on",
        "-serial null -serial null -serial null",
    };
    ck_assert_msg(!parse(lines[_i]), "%s", lines[_i]);
    ck_assert_uint_gt(strlen(err.message), 5);
    ck_assert_ptr_null(strchr(err.message, '\n'));
    options_free(&options);
}
END_TEST

START_TEST(wrong_names_get_the_nearest)
{
    ck_assert(!parse("-kernle x"));
    ck_assert_ptr_nonnull(strstr(err.hint, "-kernel"));
    ck_assert(!parse("-qmp stdio"));
    ck_assert_ptr_nonnull(strstr(err.hint, "-monitor"));
}
END_TEST

START_TEST(drive_takes_the_first_free_place)
{
    ck_assert(parse("-hda a -drive file=b,,c -drive media=cdrom,file=d"));
    ck_assert_str_eq(options.drives[1].path, "b,c");
    ck_assert_str_eq(options.drives[2].path, "d");
    ck_assert(options.drives[2].is_cdrom && options.drives[2].is_readonly);
    options_free(&options);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");

    tcase_add_loop_test(tests, sizes, 0, 11);
    tcase_add_loop_test(tests, good_lines, 0, 7);
    tcase_add_loop_test(tests, bad_lines, 0, 21);
    tcase_add_test(tests, wrong_names_get_the_nearest);
    tcase_add_test(tests, drive_takes_the_first_free_place);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
