/* curses.c - the guest's text screen and keyboard in the terminal, with ncursesw 6.
 *
 * Keys: what the terminal sends is turned into key presses of a US keyboard, Shift and Ctrl included; ESC followed at once by
 * a key is Alt with that key. Alt-2 shows the monitor, Alt-1 the guest's screen again, as in QEMU's curses display.
 * A screen larger than the terminal is shown around its cursor.
 *
 * Not implemented: fonts other than code page 437, the VGA palette, graphics modes (a notice says so), mouse. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#define _XOPEN_SOURCE_EXTENDED 1
#include "frontends/curses.h"
#include "devices/cp437.h"
#include "frontends/host/chardev.h"
#include "frontends/monitor.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* Last, since its macros take names such as KEY_UP from enum key_code; keys are looked up by name below. */
#define key_name ncurses_key_name /* it has a function of that name, too */
#include <curses.h>
#undef key_name

enum { PANE_LINES = 400, PANE_COLUMNS = 200, KEY_HOLD_MS = 12, ESCAPE_DELAY_MS = 25, FIRST_PAIR = 1 };

struct curses {
    struct session *session;
    struct monitor monitor;
    bool shows_monitor;
    bool must_redraw;
    uint64_t generation;
    struct screen screen; /* last described */
    /* The monitor's output: a ring of lines, the newest at pane_last. */
    char pane[PANE_LINES][PANE_COLUMNS];
    unsigned pane_last, pane_column;
};

/* ---- monitor pane ---- */

static void pane_put(void *context, const char *bytes, size_t size)
{
    struct curses *curses = context;

    for (size_t n = 0; n < size; n++) {
        char *line = curses->pane[curses->pane_last];
        if (bytes[n] == '\n' || curses->pane_column == PANE_COLUMNS - 1) {
            curses->pane_last = (curses->pane_last + 1) % PANE_LINES;
            memset(curses->pane[curses->pane_last], 0, PANE_COLUMNS);
            curses->pane_column = 0;
            line = curses->pane[curses->pane_last];
        }
        if (bytes[n] == '\b') {
            curses->pane_column -= curses->pane_column != 0;
        } else if (bytes[n] == '\r') {
            continue;
        } else if (bytes[n] != '\n') {
            line[curses->pane_column++] = bytes[n];
        }
    }
    curses->must_redraw = true;
}

static void draw_pane(struct curses *curses)
{
    erase();
    for (int row = 0; row < LINES; row++) {
        unsigned back = (unsigned)(LINES - 1 - row);
        if (back < PANE_LINES) {
            unsigned index = (curses->pane_last + PANE_LINES - back) % PANE_LINES;
            mvaddnstr(row, 0, curses->pane[index], COLS);
        }
    }
    curs_set(1);
    move(LINES - 1, (int)curses->pane_column < COLS ? (int)curses->pane_column : COLS - 1);
}

/* ---- the guest's screen ---- */

/* VGA counts blue, green, red from bit 0, the terminal red, green, blue. */
static short terminal_color(unsigned vga) { return (short)((vga & 2) | (vga & 1) << 2 | (vga >> 2 & 1)); }

static unsigned color_count(void) { return COLORS >= 16 ? 16 : 8; }
/* Sixteen backgrounds need 256 pairs. */
static unsigned background_count(void) { return COLORS >= 16 && COLOR_PAIRS > FIRST_PAIR + 255 ? 16 : 8; }

static short pair_number(unsigned foreground, unsigned background)
{
    return (short)(FIRST_PAIR + background * 16 + foreground);
}

static void make_colors(void)
{
    if (!has_colors() || start_color() == ERR) {
        return;
    }
    for (unsigned background = 0; background < background_count(); background++) {
        for (unsigned foreground = 0; foreground < color_count(); foreground++) {
            init_pair(pair_number(foreground, background), (short)(terminal_color(foreground & 7) + (short)(foreground & 8)),
                      (short)(terminal_color(background & 7) + (short)(background & 8)));
        }
    }
}

/* What stands for a character where the terminal cannot show it: lines and blocks in ASCII. */
static wchar_t plain_character(wchar_t character)
{
    if (character < 0x80) {
        return character;
    }
    if (character == 0x2500 || character == 0x2550) {
        return L'-';
    }
    if (character == 0x2502 || character == 0x2551) {
        return L'|';
    }
    if (character > 0x2500 && character < 0x2580) {
        return L'+';
    }
    return character >= 0x2580 && character < 0x25a0 ? L'#' : L'?';
}

static void draw_cell(int row, int column, struct screen_text_cell cell, bool has_blink)
{
    wchar_t text[2] = {(wchar_t)cp437_to_unicode(cell.character), 0};
    unsigned foreground = cell.attribute & 15, background = cell.attribute >> 4 & (has_blink ? 7 : 15);
    attr_t attributes = A_NORMAL;
    cchar_t character;

    if (text[0] == 0) {
        text[0] = L' ';
    }
    if (MB_CUR_MAX == 1) {
        text[0] = plain_character(text[0]);
    }
    if ((foreground & 8) != 0 && color_count() < 16) {
        attributes |= A_BOLD;
    }
    if ((cell.attribute & 0x80) != 0 && has_blink) {
        attributes |= A_BLINK;
    }
    short pair = has_colors() ? pair_number(foreground & (color_count() - 1), background & (background_count() - 1)) : 0;
    if (!has_colors() && (background & 7) != 0) {
        attributes |= A_REVERSE;
    }
    if (setcchar(&character, text, attributes, pair, NULL) == OK) {
        mvadd_wch(row, column, &character);
    }
}

static void draw_notice(const char *text)
{
    int column = (COLS - (int)strlen(text)) / 2;

    erase();
    attrset(A_NORMAL);
    mvaddnstr(LINES / 2, column > 0 ? column : 0, text, COLS);
    curs_set(0);
}

static void draw_hint(int row)
{
    attrset(A_DIM);
    mvaddnstr(row, 0, "tick86: Alt-2 (or ESC 2) opens the monitor, where quit ends; Alt-1 comes back here", COLS);
    attrset(A_NORMAL);
}

static void draw_text(const struct screen *screen)
{
    int rows = (int)screen->rows < LINES ? (int)screen->rows : LINES;
    int columns = (int)screen->columns < COLS ? (int)screen->columns : COLS;
    int first_row = 0, first_column = 0;

    if (screen->cursor_row >= rows) {
        first_row = screen->cursor_row - rows + 1;
    }
    if (screen->cursor_column >= columns) {
        first_column = screen->cursor_column - columns + 1;
    }
    first_row = first_row + rows > (int)screen->rows ? (int)screen->rows - rows : first_row;
    first_column = first_column + columns > (int)screen->columns ? (int)screen->columns - columns : first_column;
    erase();
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            draw_cell(row, column,
                      screen->cells[(unsigned)(row + first_row) * screen->columns + (unsigned)(column + first_column)],
                      screen->has_blink);
        }
    }
    if (LINES > (int)screen->rows) {
        draw_hint(LINES - 1);
    }
    bool has_cursor = screen->cursor_row >= 0 && screen->cursor_column >= 0;
    curs_set(!has_cursor ? 0 : screen->is_cursor_tall ? 2 : 1);
    if (has_cursor) {
        move(screen->cursor_row - first_row, screen->cursor_column - first_column);
    }
}

void curses_update(struct curses *curses)
{
    uint64_t generation = tick86_screen_generation(curses->session->machine);

    if (!curses->must_redraw && (curses->shows_monitor || generation == curses->generation)) {
        return;
    }
    curses->must_redraw = false;
    curses->generation = generation;
    if (curses->shows_monitor) {
        draw_pane(curses);
    } else {
        tick86_describe_screen(curses->session->machine, &curses->screen);
        if (curses->screen.is_text && !curses->screen.is_blanked) {
            draw_text(&curses->screen);
        } else if (curses->screen.is_blanked) {
            draw_notice("");
        } else {
            char notice[128];
            snprintf(notice, sizeof notice, "graphics mode %ux%u: Alt-2, then screendump FILE.png shows it",
                     curses->screen.width, curses->screen.height);
            draw_notice(notice);
        }
    }
    refresh();
}

/* ---- keyboard ---- */

/* What ncurses calls a key, and the names of the keys to press. */
static const struct {
    int code;
    const char *keys;
} special_keys[] = {
    {KEY_UP, "up"},           {KEY_DOWN, "down"},         {KEY_LEFT, "left"},         {KEY_RIGHT, "right"},
    {KEY_HOME, "home"},       {KEY_END, "end"},           {KEY_PPAGE, "pgup"},        {KEY_NPAGE, "pgdn"},
    {KEY_IC, "insert"},       {KEY_DC, "delete"},         {KEY_BACKSPACE, "backspace"}, {KEY_ENTER, "ret"},
    {KEY_BTAB, "shift-tab"},  {KEY_SLEFT, "shift-left"},  {KEY_SRIGHT, "shift-right"}, {KEY_SR, "shift-up"},
    {KEY_SF, "shift-down"},   {KEY_SHOME, "shift-home"},  {KEY_SEND, "shift-end"},    {KEY_SDC, "shift-delete"},
    {KEY_SIC, "shift-insert"}, {KEY_SPREVIOUS, "shift-pgup"}, {KEY_SNEXT, "shift-pgdn"}, {KEY_A1, "home"},
    {KEY_A3, "pgup"},         {KEY_C1, "end"},            {KEY_C3, "pgdn"},           {KEY_B2, "kp_5"},
    {8, "backspace"},         {127, "backspace"},         {9, "tab"},                 {10, "ret"},
    {13, "ret"},              {27, "esc"},                {0, "ctrl-spc"},            {28, "ctrl-backslash"},
    {29, "ctrl-bracket_right"}, {30, "ctrl-6"},           {31, "ctrl-minus"},
};

static unsigned keys_by_names(const char *names, enum key_code *keys)
{
    unsigned count = 0;

    while (*names != '\0' && count < 3) {
        unsigned length = (unsigned)strcspn(names, "-");
        keys[count] = key_by_name(names, length);
        count += keys[count] != KEY_NONE;
        names += length;
        names += *names == '-';
    }
    return count;
}

/* Keys with Alt or Ctrl that terminfo has only as xterm's extension: "kLFT3" is Alt-Left. The number is xterm's: 1 and the
 * sum of 1 for Shift, 2 for Alt, 4 for Ctrl. */
static unsigned translate_extended(int code, enum key_code *keys)
{
    static const char *const names[][2] = {{"kUP", "up"},     {"kDN", "down"},   {"kLFT", "left"},  {"kRIT", "right"},
                                           {"kHOM", "home"},  {"kEND", "end"},   {"kPRV", "pgup"},  {"kNXT", "pgdn"},
                                           {"kIC", "insert"}, {"kDC", "delete"}};
    const char *name = code > KEY_MAX ? keyname(code) : NULL;
    unsigned count = 0;

    for (size_t n = 0; name != NULL && n < sizeof names / sizeof names[0]; n++) {
        size_t length = strlen(names[n][0]);
        if (strncmp(name, names[n][0], length) == 0 && name[length] >= '2' && name[length] <= '8') {
            unsigned modifiers = (unsigned)(name[length] - '1');
            if (modifiers & 1) {
                keys[count++] = key_by_name("shift", 5);
            }
            if (modifiers & 2) {
                keys[count++] = key_by_name("alt", 3);
            }
            if (modifiers & 4) {
                keys[count++] = key_by_name("ctrl", 4);
            }
            keys[count++] = key_by_name(names[n][1], (unsigned)strlen(names[n][1]));
            break;
        }
    }
    return count;
}

/* Keys for what getch() gave; 0 when there are none. */
static unsigned translate(int code, enum key_code *keys)
{
    unsigned count = 0;
    bool is_shifted = false;
    char name[16];

    for (size_t n = 0; n < sizeof special_keys / sizeof special_keys[0]; n++) {
        if (special_keys[n].code == code) {
            return keys_by_names(special_keys[n].keys, keys);
        }
    }
    if (code >= KEY_F(1) && code <= KEY_F(60)) {
        /* F13 to F24: Shift; F25 to F36: Ctrl; F37 to F48: Ctrl and Shift; F49 to F60: Alt */
        int group = (code - KEY_F(1)) / 12;
        snprintf(name, sizeof name, "f%d", (code - KEY_F(1)) % 12 + 1);
        if (group == 4) {
            keys[count++] = key_by_name("alt", 3);
        }
        if (group == 1 || group == 3) {
            keys[count++] = key_by_name("shift", 5);
        }
        if (group == 2 || group == 3) {
            keys[count++] = key_by_name("ctrl", 4);
        }
        keys[count] = key_by_name(name, (unsigned)strlen(name));
        return count + (keys[count] != KEY_NONE);
    }
    if (code >= 1 && code <= 26) {
        keys[count++] = key_by_name("ctrl", 4);
        keys[count++] = key_for_character((char)('a' + code - 1), &is_shifted);
        return count;
    }
    if (code >= 32 && code < 127) {
        enum key_code key = key_for_character((char)code, &is_shifted);
        if (is_shifted) {
            keys[count++] = key_by_name("shift", 5);
        }
        keys[count] = key;
        return count + (key != KEY_NONE);
    }
    return translate_extended(code, keys);
}

static void show_monitor(struct curses *curses, bool shows)
{
    curses->shows_monitor = shows;
    curses->must_redraw = true;
}

static void monitor_key(struct curses *curses, int code)
{
    if (code == KEY_UP || code == KEY_DOWN) {
        monitor_input(&curses->monitor, code == KEY_UP ? "\033[A" : "\033[B", 3);
    } else if (code == KEY_BACKSPACE || code == KEY_ENTER || code < 256) {
        char byte = code == KEY_BACKSPACE ? 8 : code == KEY_ENTER ? '\r' : (char)code;
        monitor_input(&curses->monitor, &byte, 1);
    }
}

void curses_input(struct curses *curses)
{
    monitor_resume(&curses->monitor);
    /* One key after the other: the next is not read before the last was let go, so that pasted text is not lost in the
     * keyboard's small queue. */
    while (!curses->session->wants_quit &&
           (curses->shows_monitor || curses->session->is_stopped || curses->session->held_count == 0)) {
        enum key_code keys[5];
        unsigned count = 0;
        bool has_alt = false;
        int code = getch();
        if (code == ERR) {
            return;
        }
        if (code == KEY_RESIZE) {
            curses->must_redraw = true;
            clear();
            continue;
        }
        if (code == 27) {
            timeout(ESCAPE_DELAY_MS);
            int next = getch();
            timeout(0);
            if (next == '1' || next == '2') {
                show_monitor(curses, next == '2');
                continue;
            }
            if (next != ERR && next != KEY_RESIZE) {
                has_alt = true;
                code = next;
            }
        }
        if (curses->shows_monitor) {
            monitor_key(curses, code);
            continue;
        }
        if (has_alt) {
            keys[count++] = key_by_name("alt", 3);
        }
        count += translate(code, keys + count);
        session_release_all(curses->session);
        session_press(curses->session, keys, count, KEY_HOLD_MS);
    }
}

/* ---- opening and closing ---- */

static void end_curses(void)
{
    if (!isendwin()) {
        endwin();
    }
}

/* Without any locale a terminal of today shows UTF-8 all the same; where one was chosen, it holds. */
static void choose_locale(void)
{
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    bool is_chosen = false;

    for (unsigned n = 0; n < 3; n++) {
        const char *value = getenv(names[n]);
        is_chosen = is_chosen || (value != NULL && value[0] != '\0');
    }
    if (is_chosen || setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        setlocale(LC_CTYPE, "");
    }
}

struct curses *curses_open(struct session *session, struct error *err)
{
    struct curses *curses = calloc(1, sizeof *curses);

    if (curses == NULL) {
        error_set(err, "out of memory for the display");
        return NULL;
    }
    choose_locale();
    set_escdelay(ESCAPE_DELAY_MS);
    terminal_raw(false); /* saves the modes for deadly signals */
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL) {
        const char *name = getenv("TERM");
        free(curses);
        terminal_restore();
        error_set(err, "the terminal type '%s' cannot show a screen", name != NULL ? name : "");
        error_hint(err, "set TERM, or use -nographic or -display none");
        return NULL;
    }
    terminal_on_restore(end_curses);
    raw();
    noecho();
    nonl();
    timeout(0);
    keypad(stdscr, TRUE);
    make_colors();
    curses->session = session;
    curses->must_redraw = true;
    monitor_init(&curses->monitor, session, pane_put, curses);
    monitor_greet(&curses->monitor);
    return curses;
}

void curses_close(struct curses *curses)
{
    if (curses != NULL) {
        terminal_restore();
        free(curses);
    }
}
