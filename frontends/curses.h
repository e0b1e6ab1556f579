/* curses.h - the guest's text screen and keyboard in the terminal. */
#ifndef FRONTENDS_CURSES_H
#define FRONTENDS_CURSES_H

#include "frontends/session.h"

struct curses;

/* Takes over the terminal. One at a time (ncurses has one screen). NULL with `err` set. */
struct curses *curses_open(struct session *session, struct error *err);
void curses_close(struct curses *curses);

/* Takes typed keys. */
void curses_input(struct curses *curses);
/* Draws what has changed. Cheap when nothing has. */
void curses_update(struct curses *curses);

#endif
