/* processors.h - the processors, their local APICs and what joins the two with the board. */
#ifndef MACHINE_PROCESSORS_H
#define MACHINE_PROCESSORS_H

#include "devices/device.h"
#include "machine/tick86.h"

/* Creates the processors in reset state; the local APICs come with the chips. */
bool processors_create(struct tick86 *machine, const struct tick86_config *config, struct error *err);
/* Creates the local APICs, in chips[PC_LAPIC0] and up. */
bool processors_create_apics(struct tick86 *machine, const struct device *surroundings, struct error *err);
/* Puts the I/O APIC on the interrupt bus and the window for message signalled interrupts into the memory map. */
void processors_connect(struct tick86 *machine);
void processors_destroy(struct tick86 *machine);

/* The wires INTR and NMI, which lead to LINT0 and LINT1 of every processor (MultiProcessor Specification 1.4, 3.6.2.2, virtual wire
 * mode). */
void processors_set_intr(struct tick86 *machine, bool level);
void processors_set_nmi(struct tick86 *machine, bool level);

#endif
