/* sysctl.h - system control ports 61h and 92h. */
#ifndef DEVICES_SYSCTL_H
#define DEVICES_SYSCTL_H

#include "devices/device.h"

extern const struct device_class sysctl_class;

#endif
