/* i8237.h - the side of the DMA controllers that floppy and sound chips see. */
#ifndef DEVICES_I8237_H
#define DEVICES_I8237_H

#include "devices/device.h"

extern const struct device_class i8237_class;

enum dma_direction { DMA_TO_MEMORY, DMA_FROM_MEMORY };

/* True while the channel (0 to 3 and 5 to 7) is programmed to answer a request: unmasked, its controller on, not a
 * cascade. Also the level of output "ready0" to "ready7". */
bool i8237_is_ready(const struct device *dev, unsigned channel);

/* Moves up to `size` bytes between `bytes` and memory, as if the channel's device asked for one byte (channels 5 to 7: one
 * word) after the other and each was granted. Stops at terminal count. Returns how many bytes were moved; 0 when the
 * channel is not ready. A channel set to verify, or to the other direction, counts but moves nothing (bytes read as FFh). */
unsigned i8237_transfer(struct device *dev, unsigned channel, uint8_t *bytes, unsigned size,
                        enum dma_direction direction);

/* True when the last i8237_transfer() of the channel ended with terminal count (the TC pulse). */
bool i8237_has_terminal_count(const struct device *dev, unsigned channel);

#endif
