/* isa_debug_exit.h - QEMU's way for a guest to end the emulator. */
#ifndef DEVICES_ISA_DEBUG_EXIT_H
#define DEVICES_ISA_DEBUG_EXIT_H

#include "devices/device.h"

extern const struct device_class isa_debug_exit_class;

/* The value that the guest wrote; valid while the output "exit" is high. The program's exit status is
 * (value << 1) | 1. */
uint32_t isa_debug_exit_value(const struct device *dev);

#endif
