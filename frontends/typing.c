/* typing.c - text and key names turned into keys of a US keyboard, one after the other in guest time: a keyboard's queue is
 * small, and a guest must see each key go down and up. */
#include "frontends/typing.h"
#include "frontends/session.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

unsigned typing_parse_keys(const char *names, enum key_code keys[TYPING_KEYS_MAX], const char **bad)
{
    unsigned count = 0;

    while (*names != '\0') {
        /* A name ends at a '-', which is no name itself: "minus" is. */
        unsigned length = (unsigned)strcspn(names, "-");
        enum key_code key = key_by_name(names, length);
        if (key == KEY_NONE || count == TYPING_KEYS_MAX) {
            *bad = names;
            return 0;
        }
        keys[count++] = key;
        names += length;
        names += *names == '-';
    }
    *bad = names;
    return count;
}

/* What pasted text has where a keyboard has plain characters. */
static const struct {
    const char *utf8;
    char ascii;
} relatives[] = {
    {"\xe2\x80\x98", '\''}, {"\xe2\x80\x99", '\''}, {"\xe2\x80\x9c", '"'}, {"\xe2\x80\x9d", '"'},
    {"\xe2\x80\x90", '-'},  {"\xe2\x80\x91", '-'},  {"\xe2\x80\x93", '-'}, {"\xe2\x80\x94", '-'},
    {"\xe2\x88\x92", '-'},  {"\xc2\xa0", ' '},      {"\r\n", '\n'},        {"\r", '\n'},
};

/* The ASCII character that text begins with, 0 for none; *used becomes its length. */
static char next_character(const char *text, size_t size, size_t *used)
{
    for (size_t n = 0; n < sizeof relatives / sizeof relatives[0]; n++) {
        size_t length = strlen(relatives[n].utf8);
        if (length <= size && memcmp(text, relatives[n].utf8, length) == 0) {
            *used = length;
            return relatives[n].ascii;
        }
    }
    *used = 1;
    if ((unsigned char)text[0] < 0x80) {
        return text[0];
    }
    while (*used < size && ((unsigned char)text[*used] & 0xc0) == 0x80) {
        ++*used;
    }
    return 0;
}

size_t typing_add(struct session *session, const char *text, size_t size, unsigned interval_ms)
{
    struct typing *typing = &session->typing;
    char *joined = realloc(typing->text, typing->size + size + 1);
    size_t lost = 0, used;
    bool is_shifted;

    if (joined == NULL) {
        return SIZE_MAX;
    }
    if (typing->text == NULL) {
        typing->next_ns = tick86_now_ns(session->machine);
    }
    typing->text = joined;
    typing->interval_ns = interval_ms * NS_PER_MS;
    for (size_t at = 0; at < size; at += used) {
        char character = next_character(text + at, size - at, &used);
        if (character != 0 && key_for_character(character, &is_shifted) != KEY_NONE) {
            typing->text[typing->size++] = character;
        } else {
            lost++;
        }
    }
    if (typing->size == typing->done) {
        typing_cancel(session);
    }
    return lost;
}

void typing_cancel(struct session *session)
{
    free(session->typing.text);
    memset(&session->typing, 0, sizeof session->typing);
}

uint64_t typing_next(const struct typing *typing)
{
    return typing->text != NULL ? typing->next_ns : UINT64_MAX;
}

void typing_run(struct session *session)
{
    struct typing *typing = &session->typing;
    enum key_code keys[2];
    unsigned count = 0;
    bool is_shifted = false;

    if (typing->text == NULL || typing->next_ns > tick86_now_ns(session->machine)) {
        return;
    }
    if (typing->done == typing->size) { /* the last key has had its time */
        typing_cancel(session);
        return;
    }
    enum key_code key = key_for_character(typing->text[typing->done++], &is_shifted);
    if (is_shifted) {
        keys[count++] = KEY_SHIFT_LEFT;
    }
    keys[count++] = key;
    typing->next_ns += typing->interval_ns;
    session_press(session, keys, count, (unsigned)(typing->interval_ns / 2 / NS_PER_MS));
}
