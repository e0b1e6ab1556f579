/* screen.c - looking at the machine's display; see tick86.h. */
#include "machine/machine.h"

#include "devices/vga.h"

void tick86_describe_screen(const struct tick86 *machine, struct screen *screen)
{
    vga_describe(machine->chips[PC_VGA], screen);
}

bool tick86_render_screen(const struct tick86 *machine, uint32_t *pixels, unsigned stride_pixels, unsigned max_width,
                          unsigned max_height, unsigned *width, unsigned *height)
{
    return vga_render(machine->chips[PC_VGA], pixels, stride_pixels, max_width, max_height, width, height);
}

size_t tick86_screen_text(const struct tick86 *machine, char *text, size_t size)
{
    return vga_text(machine->chips[PC_VGA], text, size);
}

bool tick86_screen_is_square(const struct tick86 *machine)
{
    return vga_is_square(machine->chips[PC_VGA]);
}

uint64_t tick86_screen_generation(struct tick86 *machine)
{
    if (vga_changed_since(machine->chips[PC_VGA], &machine->screen_stamp)) {
        machine->screen_generation++;
    }
    return machine->screen_generation;
}
