/* test_gdb_stub.c - the stub without a socket: packets that must work, and thousands that must not kill it. Real gdb is the
 * client in tests/golden/test_gdb.sh. */
#include "frontends/gdb_stub.h"
#include "machine/tick86_debug.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_SIZE = 2 << 20, VRAM_SIZE = 16 << 20, BIOS_SIZE = 0x10000, REPLY_MAX = 1 << 20, FUZZ_PACKETS = 20000 };

/* mov ax, 0; mov ds, ax; l: inc word [500h]; jmp l */
static const uint8_t code[] = { 0xb8, 0x00, 0x00, 0x8e, 0xd8, 0xff, 0x06, 0x00, 0x05, 0xeb, 0xfa };

struct rig {
    struct session session;
    struct gdb_stub *stub;
    uint8_t *ram, *vram, *bios;
    char *reply;
    size_t length;
};

static void take(void *context, const char *bytes, size_t size)
{
    struct rig *rig = context;

    ck_assert_uint_lt(rig->length + size, REPLY_MAX);
    memcpy(rig->reply + rig->length, bytes, size);
    rig->length += size;
    rig->reply[rig->length] = '\0';
}

static void rig_open(struct rig *rig)
{
    struct error err = { "", "" };

    memset(rig, 0, sizeof *rig);
    rig->ram = calloc(1, RAM_SIZE);
    rig->vram = calloc(1, VRAM_SIZE);
    rig->bios = calloc(1, BIOS_SIZE);
    rig->reply = calloc(1, REPLY_MAX);
    memcpy(rig->bios, code, sizeof code);
    memcpy(&rig->bios[0xfff0], "\xea\x00\x00\x00\xf0", 5);
    struct tick86_config config = { .ram = rig->ram,
                                    .cpu_model = "qemu32", /* the packets below are of a 32-bit processor */
                                    .ram_bytes = RAM_SIZE,
                                    .vram = rig->vram,
                                    .vram_bytes = VRAM_SIZE,
                                    .bios = { "test", rig->bios, BIOS_SIZE },
                                    .use_block_cache = true };
    rig->session.machine = tick86_create(&config, &err);
    ck_assert_msg(rig->session.machine != NULL, "%s", err.message);
    rig->stub = gdb_stub_create(&rig->session, take, rig);
}

static void rig_close(struct rig *rig)
{
    gdb_stub_close(rig->stub);
    tick86_destroy(rig->session.machine);
    free(rig->ram);
    free(rig->vram);
    free(rig->bios);
    free(rig->reply);
}

/* Sends a packet and returns what came back, without acknowledge and frame. */
static const char *ask(struct rig *rig, const char *packet)
{
    static char body[REPLY_MAX];
    char frame[8];
    uint8_t sum = 0;

    rig->length = 0;
    rig->reply[0] = '\0';
    for (const char *at = packet; *at != '\0'; at++) {
        sum = (uint8_t)(sum + (uint8_t)*at);
    }
    snprintf(frame, sizeof frame, "#%02x", sum);
    gdb_stub_input(rig->stub, "$", 1);
    gdb_stub_input(rig->stub, packet, strlen(packet));
    gdb_stub_input(rig->stub, frame, 3);
    const char *start = strchr(rig->reply, '$'), *end = strrchr(rig->reply, '#');
    if (start == NULL || end == NULL) {
        return "";
    }
    snprintf(body, sizeof body, "%.*s", (int)(end - start - 1), start + 1);
    return body;
}

/* What main does between polls. */
static void run(struct rig *rig)
{
    if (!rig->session.is_stopped && tick86_run(rig->session.machine, UINT64_MAX, 10000) == STOP_DEBUG) {
        session_stop(&rig->session, "breakpoint");
    }
    rig->length = 0;
    gdb_stub_input(rig->stub, "", 0);
}

static const struct {
    const char *packet, *reply; /* the start of it */
} conversation[] = {
    { "qSupported:swbreak+;hwbreak+;xmlRegisters=i386", "PacketSize=" },
    { "vMustReplyEmpty", "" },
    { "?", "T05thread:1;" },
    { "qXfer:features:read:target.xml:0,40", "m<?xml version" },
    { "qXfer:features:read:target.xml:fffff,40", "l" },
    { "qXfer:features:read:other.xml:0,40", "E" },
    { "Hgp0.0", "OK" },
    { "Hc-1", "OK" },
    { "Hg2", "E22" },
    { "T1", "OK" },
    { "T5", "E22" },
    { "qC", "QC1" },
    { "qfThreadInfo", "m1" },
    { "qsThreadInfo", "l" },
    { "qThreadExtraInfo,1", "43505523" },
    { "qAttached:1", "1" },
    { "vCont?", "vCont;c;C;s;S;r" },
    { "mffff0,5", "ea000000f0" },
    { "mffff0,0", "" },
    { "mfffffffff0000000,1", "E14" },
    { "M600,2:1234", "OK" },
    { "m600,3", "123400" },
    { "M600,2:12", "E22" },
    { "M600,2:1234567", "E22" },
    { "X600,3:abc", "OK" },
    { "m600,3", "616263" },
    { "X600,3:ab", "E22" },
    { "p8", "f0ffffff" },
    { "P8=00000f00", "OK" },
    { "p8", "00000f00" },
    { "P8=00", "E22" },
    { "p999", "E22" },
    { "Z0,f0005,1", "OK" },
    { "Z9,f0005,1", "" },
    { "Z0,f0005", "E22" },
    { "Z2,500,0", "E22" },
    { "z0,f0005,1", "OK" },
    { "Z0,f0005,1;X5,2200", "E22" },
    { "vCont;x", "E22" },
    { "vCont;r1", "E22" },
    { "qRcmd,zz", "E22" },
    { "qqemu.PhyMemMode", "0" },
    { "qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4" },
    { "QUnknown", "" },
    { "!", "" },
    { "i", "" },
};

START_TEST(packets_are_answered)
{
    struct rig rig;

    rig_open(&rig);
    for (size_t n = 0; n < sizeof conversation / sizeof conversation[0]; n++) {
        const char *reply = ask(&rig, conversation[n].packet);
        ck_assert_msg(strncmp(reply, conversation[n].reply, strlen(conversation[n].reply)) == 0 &&
                          (conversation[n].reply[0] != '\0' || reply[0] == '\0'),
                      "%s: '%s'", conversation[n].packet, reply);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(steps_breakpoints_and_watchpoints)
{
    struct rig rig;

    rig_open(&rig);
    ask(&rig, "qSupported:swbreak+;hwbreak+");
    ck_assert_str_eq(ask(&rig, "vCont;s:1;c"), "T05thread:1;");
    ck_assert_uint_eq(tick86_icount(rig.session.machine), 1);
    ck_assert_str_eq(ask(&rig, "s"), "T05thread:1;");
    ck_assert_str_eq(ask(&rig, "vCont;rf0000,f0005:1"), "T05thread:1;");
    ck_assert_uint_eq(tick86_pc(rig.session.machine, 0), 0xf0005);
    ck_assert_str_eq(ask(&rig, "Z0,f0005,1"), "OK");
    ck_assert_str_eq(ask(&rig, "vCont;c"), "");
    run(&rig);
    ck_assert_msg(strstr(rig.reply, "$T05thread:1;swbreak:;#") != NULL, "%s", rig.reply);
    ck_assert_str_eq(ask(&rig, "z0,f0005,1"), "OK");
    ck_assert_str_eq(ask(&rig, "Z2,501,1"), "OK");
    ask(&rig, "vCont;c");
    run(&rig);
    ck_assert_msg(strstr(rig.reply, "watch:501;") != NULL, "%s", rig.reply);
    ck_assert_str_eq(ask(&rig, "z2,501,1"), "OK");
    /* Register 0 (eax) equal to 1: never; pc at f0005: reg 8; const32; equal; end. */
    ck_assert_str_eq(ask(&rig, "Z1,f0009,1;Xb,26000824000f00091327"), "E22"); /* one byte short of its length */
    ck_assert_str_eq(ask(&rig, "Z1,f0009,1;Xa,26000824000f00091327"), "OK");
    ask(&rig, "vCont;c");
    run(&rig);
    ck_assert_msg(strstr(rig.reply, "hwbreak:;") != NULL, "%s", rig.reply);
    ask(&rig, "z1,f0009,1");
    ask(&rig, "c");
    run(&rig);
    gdb_stub_input(rig.stub, "\3", 1);
    ck_assert_msg(strstr(rig.reply, "$T02thread:1;") != NULL, "%s", rig.reply);
    ck_assert(rig.session.is_stopped);
    ck_assert_str_eq(ask(&rig, "D"), "OK");
    ck_assert(!rig.session.is_stopped);
    rig_close(&rig);
}
END_TEST

/* A bad checksum is answered by '-', and a '-' by the last reply again; QStartNoAckMode ends both. */
START_TEST(acknowledges)
{
    struct rig rig;

    rig_open(&rig);
    gdb_stub_input(rig.stub, "$qC#00", 6);
    ck_assert_str_eq(rig.reply, "-");
    ck_assert_str_eq(ask(&rig, "qC"), "QC1");
    rig.length = 0;
    gdb_stub_input(rig.stub, "-", 1);
    ck_assert_str_eq(rig.reply, "$QC1#c5");
    ck_assert_str_eq(ask(&rig, "QStartNoAckMode"), "OK");
    rig.length = 0;
    gdb_stub_input(rig.stub, "$qC#b4", 6);
    ck_assert_str_eq(rig.reply, "$QC1#c5");
    rig_close(&rig);
}
END_TEST

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Good packets cut, lengthened and with bytes changed, and noise; the stub lives and answers the next good one. */
START_TEST(malformed_packets)
{
    struct rig rig;
    uint32_t state = 86;
    static char packet[40000];

    rig_open(&rig);
    for (unsigned n = 0; n < FUZZ_PACKETS; n++) {
        const char *base = conversation[next(&state) % (sizeof conversation / sizeof conversation[0])].packet;
        size_t length = strlen(base);
        packet[0] = '$';
        memcpy(packet + 1, base, length);
        switch (next(&state) % 6) {
        case 0: /* cut */
            length = next(&state) % (length + 1);
            break;
        case 1: /* much too long */
            length = next(&state) % 64 == 0 ? 30000 : length;
            memset(packet + 1 + strlen(base), "0f;:,}X"[next(&state) % 7], length - strlen(base));
            break;
        case 2: /* noise */
            length = next(&state) % 64;
            for (size_t k = 0; k < length; k++) {
                packet[1 + k] = (char)next(&state);
            }
            break;
        default: /* some bytes changed */
            for (unsigned k = next(&state) % 4; k > 0; k--) {
                packet[1 + next(&state) % (length + 1)] = "0123456789abcdefZzmMXpPGgqvHT,;:=-.}*\3#$"[next(&state) % 41];
            }
            break;
        }
        uint8_t sum = 0;
        for (size_t k = 1; k <= length; k++) {
            sum = (uint8_t)(sum + (uint8_t)packet[k]);
        }
        if (next(&state) % 8 == 0) {
            sum++;
        }
        size_t total = 1 + length + (size_t)snprintf(packet + 1 + length, 4, "#%02x", sum);
        size_t sent = next(&state) % 10 == 0 ? next(&state) % (total + 1) : total;
        for (size_t at = 0; at < sent;) { /* in pieces, as TCP may */
            size_t piece = 1 + next(&state) % (sent - at);
            gdb_stub_input(rig.stub, packet + at, piece);
            at += piece;
        }
        rig.length = 0;
        if (!rig.session.is_stopped) {
            tick86_run(rig.session.machine, UINT64_MAX, 100);
            gdb_stub_input(rig.stub, "\3", 1);
        }
        rig.session.wants_quit = false; /* noise may be a good k */
    }
    gdb_stub_input(rig.stub, "#00\3", 4);
    gdb_stub_input(rig.stub, "$QStartNoAckMode#b0", 19);
    ck_assert_str_eq(ask(&rig, "Hg1"), "OK");
    ck_assert_str_eq(ask(&rig, "qC"), "QC1");
    rig_close(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gdb_stub");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, packets_are_answered);
    tcase_add_test(tcase, steps_breakpoints_and_watchpoints);
    tcase_add_test(tcase, acknowledges);
    tcase_add_test(tcase, malformed_packets);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
