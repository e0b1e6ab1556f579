/* display.c - which displays there are here. */
#include "frontends/display.h"
#include "frontends/module.h"

#include <stdio.h>

const char *display_list(void)
{
    static char list[128];
    struct error ignored = {0};
    bool has_sdl = module_load("sdl", &ignored) != NULL, has_vnc = module_load("vnc", &ignored) != NULL;

    snprintf(list, sizeof list, "%s%scurses (text in a terminal) and none", has_sdl ? "sdl (a window), " : "",
             has_vnc ? "vnc=HOST:N, " : "");
    return list;
}
