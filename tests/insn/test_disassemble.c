/* test_disassemble.c - the disassembler against capstone, for every row of the instruction table and every ModRM byte.
 *
 * Texts are compared as tokens: words, punctuation, and numbers modulo the operand's size, as the two write negative
 * immediates differently. What may differ is in the tables below, each with its reason. */
#include "cpu/disassemble.h"

#include <capstone/capstone.h>
#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Words: ours, capstone's. */
static const struct {
    const char *ours, *theirs, *reason;
} names[] = {
    { "callf", "lcall", "AT&T name" },
    { "jmpf", "ljmp", "AT&T name" },
    { "fwait", "wait", "same instruction" },
    { "xlat", "xlatb", "same instruction" },
    { "pusha", "pushaw", "AT&T name" },
    { "popa", "popaw", "AT&T name" },
    { "pushad", "pushal", "AT&T name" },
    { "popad", "popal", "AT&T name" },
    { "shl", "sal", "C0 to D3 /6 are the same as /4" },
    { "tbyte", "xword", "80 bits" },
    { "fxch4", "fxch", "numbered: undocumented alias" },
    { "fxch7", "fxch", "numbered: undocumented alias" },
    { "fcom2", "fcom", "numbered: undocumented alias" },
    { "fcomp3", "fcomp", "numbered: undocumented alias" },
    { "fcomp5", "fcomp", "numbered: undocumented alias" },
    { "fstp1", "fstpnce", "numbered: undocumented alias" },
    { "fstp1", "fstp", "numbered: undocumented alias" },
    { "fstp8", "fstp", "numbered: undocumented alias" },
    { "fstp9", "fstp", "numbered: undocumented alias" },
    { "fucomip", "fucompi", "capstone's own spelling" },
    { "fcomip", "fcompi", "capstone's own spelling" },
    { "pause", "nop", "capstone 4 in 16-bit code" },
    { "cbw", "cwde", "capstone 4 in 16-bit code" },
    { "cwd", "cdq", "capstone 4 in 16-bit code" },
};

/* Rows that are not compared. */
static const struct {
    const char *mnemonic, *reason;
} exempt[] = {
    { "ud0", "capstone 4 knows it without operands" },
    { "feni", "capstone calls it feni8087_nop" },
    { "fdisi", "capstone calls it fdisi8087_nop" },
    { "ud1", "capstone 4 calls it ud2b, without operands" },
    { "prefetch", "bad for capstone 4 behind F2 and F3" },
    { "prefetchw", "bad for capstone 4 behind F2 and F3" },
    { "rdpkru", "capstone 4 does not know it" },
    { "wrpkru", "capstone 4 does not know it" },
    { "rdpid", "capstone 4 calls it rdseed" },
};

/* Rows whose operand sizes are not compared: the size that capstone prints for the memory operand, or for the source
 * register, is not the one of the SDM. */
static const char *const sizes_differ[] = { "lar", "lsl", "les", "lds", "lss", "lfs", "lgs", "callf", "jmpf", "invlpg", "frstor",
                                            "fnsave", "fldenv", "fnstenv", "fnstsw", "fnstcw", "fldcw", "fxsave", "fxrstor", "sgdt", "sidt",
                                            "lgdt", "lidt", "clflush", "lea", "bound", "verr", "verw", "lldt", "ltr", "lmsw", "sldt", "str",
                                            "smsw", "comiss", "comisd", "punpcklbw", "punpcklwd", "punpckldq", NULL };

enum { TOKENS = 40 };
struct token {
    bool is_number;
    int64_t value;
    char word[16];
};

/* MPX and TSX give prefixes a meaning that this processor does not know; F2 and F3 before other instructions are
 * printed by one and not by the other. */
static bool skips_prefix(const char **text)
{
    static const char *const words[] = { "bnd ", "xacquire ", "xrelease ", "repne ", "repe ", "rep ", "repz ", "repnz " };

    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if (!strncmp(*text, words[k], strlen(words[k]))) {
            *text += strlen(words[k]);
            return true;
        }
    }
    return false;
}

static bool is_size_word(const char *word)
{
    static const char *const words[] = { "byte", "word", "dword", "fword", "qword", "tbyte", "xword", "xmmword" };

    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if (!strcmp(word, words[k])) {
            return true;
        }
    }
    return false;
}

/* Splits; the number of tokens. */
static unsigned tokenize(const char *text, struct token *out)
{
    unsigned count = 0;
    bool negative = false;

    while (*text && count < TOKENS) {
        struct token *t = &out[count];
        memset(t, 0, sizeof *t);
        if (isspace((unsigned char)*text) || *text == '+') {
            text++;
        } else if (skips_prefix(&text)) {
            continue;
        } else if (text[0] == '*' && text[1] == '1') { /* a scale of 1 may be left out */
            text += 2;
        } else if (*text == '-') {
            negative = true;
            text++;
        } else if (isdigit((unsigned char)*text)) {
            char *end;
            t->is_number = true;
            t->value = (int64_t)strtoull(text, &end, 0);
            t->value = negative ? -t->value : t->value;
            negative = false;
            text = end;
            count++;
        } else {
            unsigned length = 1;
            if (isalpha((unsigned char)*text)) {
                while (isalnum((unsigned char)text[length])) {
                    length++;
                }
            }
            memcpy(t->word, text, length < 15 ? length : 15);
            text += length;
            count += strcmp(t->word, "ptr") != 0;
        }
    }
    return count;
}

static bool words_match(const char *ours, const char *theirs)
{
    if (!strcmp(ours, theirs)) {
        return true;
    }
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (!strcmp(ours, names[k].ours) && !strcmp(theirs, names[k].theirs)) {
            return true;
        }
    }
    return false;
}

static bool numbers_match(int64_t a, int64_t b, const struct decoded *d)
{
    uint64_t difference = (uint64_t)a ^ (uint64_t)b;

    return (uint32_t)difference == 0 || ((uint16_t)difference == 0 && (d->operand_size == 1 || d->address_size == 0)) ||
           ((uint8_t)difference == 0 && d->size == 0) || ((uint8_t)difference == 0 && !strcmp(d->opcode->mnemonic, "enter"));
}

/* Takes out size words, and makes registers of 16 and 32 bits the same. */
static unsigned drop_sizes(struct token *t, unsigned count)
{
    unsigned kept = 0;

    for (unsigned k = 0; k < count; k++) {
        if (!is_size_word(t[k].word)) {
            t[kept] = t[k];
            if (t[kept].word[0] == 'e' && strlen(t[kept].word) == 3) {
                memmove(t[kept].word, t[kept].word + 1, 3);
            }
            kept++;
        }
    }
    return kept;
}

/* "st(0), " before another register: printed by one and not by the other. */
static unsigned drop_st0(struct token *t, unsigned count)
{
    unsigned kept = 0;

    for (unsigned k = 0; k < count; k++) {
        bool is_st0 = k + 3 < count && !strcmp(t[k].word, "st") && t[k + 2].is_number && t[k + 2].value == 0;
        if (is_st0) {
            k += k + 4 < count && t[k + 4].word[0] == ',' ? 4 : 3;
        } else if (t[k].word[0] != ',') {
            t[kept++] = t[k];
        }
    }
    return kept;
}

static bool has_odd_sizes(const struct opcode *row)
{
    if (operand_codes[row->operands[0]].kind == KIND_S || operand_codes[row->operands[1]].kind == KIND_S) {
        return true;
    }
    for (unsigned k = 0; sizes_differ[k]; k++) {
        if (!strcmp(row->mnemonic, sizes_differ[k])) {
            return true;
        }
    }
    return false;
}

static bool texts_match(const char *ours, const char *theirs, const struct decoded *d)
{
    struct token a[TOKENS], b[TOKENS];
    unsigned count = tokenize(ours, a), other = tokenize(theirs, b);

    if (has_odd_sizes(d->opcode)) {
        count = drop_sizes(a, count);
        other = drop_sizes(b, other);
    }
    if ((d->opcode->attributes & OP_X87) && !d->is_memory) {
        count = drop_st0(a, count);
        other = drop_st0(b, other);
    }
    if (count != other) {
        return false;
    }
    for (unsigned k = 0; k < count; k++) {
        if (a[k].is_number != b[k].is_number ||
            (a[k].is_number ? !numbers_match(a[k].value, b[k].value, d) : !words_match(a[k].word, b[k].word))) {
            return false;
        }
    }
    return true;
}

struct run {
    csh handle;
    struct decoder *decoder;
    unsigned mode;
    unsigned long compared, different;
};

static bool is_exempt(const struct decoded *d, bool is_code16)
{
    const char *name = d->opcode->mnemonic;

    for (size_t k = 0; k < sizeof exempt / sizeof *exempt; k++) {
        if (!strcmp(name, exempt[k].mnemonic)) {
            return true;
        }
    }
    /* capstone 4 loses mandatory prefixes in 16-bit code, and mixes up SSE compares there. */
    if (is_code16 && d->opcode->prefix != PREFIX_ANY && strcmp(name, "nop") != 0 && strcmp(name, "pause") != 0) {
        return true;
    }
    /* Operand XMM0 is implied; comparisons 0 to 7 have names; the low bits of a fence's ModRM do not matter. */
    if (operand_codes[d->opcode->operands[2]].kind == KIND_XMM0 ||
        (d->immediate < 8 && !strncmp(name, "cmp", 3) && d->opcode->prefix != PREFIX_ANY) ||
        (strlen(name) == 6 && !strcmp(name + 1, "fence") && (d->modrm & 7))) {
        return true;
    }
    /* XCHG of the accumulator: the other order of operands. AAM and AAD of 10: without operand. */
    if ((!strcmp(name, "xchg") && operand_codes[d->opcode->operands[0]].kind == KIND_Z) ||
        (d->immediate == 10 && (!strcmp(name, "aam") || !strcmp(name, "aad")))) {
        return true;
    }
    /* TZCNT and LZCNT; hint NOPs with a register, which capstone 4 takes for bad. */
    return (d->repeat == 0xf3 && (!strcmp(name, "bsf") || !strcmp(name, "bsr"))) || (!strcmp(name, "nop") && d->has_modrm);
}

static void compare_one(struct run *r, const struct opcode *row, const uint8_t *bytes, size_t size)
{
    struct decoded d;
    char ours[160], theirs[200];
    cs_insn *insn = NULL;

    if (decode(r->decoder, bytes, size, r->mode, &d) != DECODED || d.opcode != row || is_exempt(&d, !(r->mode & MODE_CODE32))) {
        return;
    }
    disassemble_decoded(&d, 0x1000, ours, sizeof ours);
    size_t count = cs_disasm(r->handle, bytes, size, 0x1000, 1, &insn);
    snprintf(theirs, sizeof theirs, "%s %s", count ? insn->mnemonic : "(bad)", count ? insn->op_str : "");
    r->compared++;
    if (!count || insn->size != d.length || !texts_match(ours, theirs, &d)) {
        if (r->different++ < 60000) {
            printf("%s %-8s ", r->mode & MODE_CODE32 ? "32" : "16", row->mnemonic);
            for (unsigned k = 0; k < d.length; k++) {
                printf("%02x", bytes[k]);
            }
            printf(": %s | %s\n", ours, theirs);
        }
    }
    if (count) {
        cs_free(insn, count);
    }
}

static void compare_row(struct run *r, const struct opcode *row, unsigned prefix)
{
    static const uint8_t mandatory[] = { 0, 0, 0x66, 0xf3, 0xf2 };
    static const uint8_t extra[] = { 0, 0x66, 0x67, 0x64, 0xf0, 0xf3, 0xf2 };

    for (unsigned modrm = 0; modrm < 256; modrm++) {
        uint8_t bytes[24];
        size_t at = 0;
        if (extra[prefix] && !(prefix == 1 && row->prefix != PREFIX_ANY)) {
            bytes[at++] = extra[prefix];
        }
        if (mandatory[row->prefix]) {
            bytes[at++] = mandatory[row->prefix];
        }
        if (row->map != MAP_1B) {
            bytes[at++] = 0x0f;
        }
        if (row->map == MAP_38 || row->map == MAP_3A) {
            bytes[at++] = row->map == MAP_38 ? 0x38 : 0x3a;
        }
        bytes[at++] = (uint8_t)(row->byte + modrm % row->count);
        bytes[at++] = (uint8_t)modrm;
        for (unsigned k = 0; at < 15; k++) {
            bytes[at++] = (uint8_t)(modrm * 37 + 0x8b * k + 0x34);
        }
        compare_one(r, row, bytes, at);
    }
}

static void run_mode(cs_mode capstone_mode, unsigned mode)
{
    struct run r = { .mode = mode, .decoder = decoder_create(NULL) };

    ck_assert(r.decoder && cs_open(CS_ARCH_X86, capstone_mode, &r.handle) == CS_ERR_OK);
    for (size_t row = 0; row < opcode_count; row++) {
        for (unsigned prefix = 0; prefix < 7; prefix++) {
            compare_row(&r, &opcodes[row], prefix);
        }
    }
    cs_close(&r.handle);
    decoder_destroy(r.decoder);
    ck_assert_uint_gt(r.compared, 100000);
    ck_assert_msg(r.different == 0, "%lu of %lu differ", r.different, r.compared);
}

START_TEST(code32) { run_mode(CS_MODE_32, MODE_PROTECTED | MODE_CODE32); }
END_TEST
START_TEST(code16) { run_mode(CS_MODE_16, MODE_PROTECTED); }
END_TEST

int main(void)
{
    Suite *suite = suite_create("disassemble");
    TCase *tcase = tcase_create("capstone");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, code32);
    tcase_add_test(tcase, code16);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
