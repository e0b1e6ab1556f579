/* cp437.h - code page 437, the character set of the IBM PC's display adapters, as Unicode.
 *
 * Source: Unicode consortium, MAPPINGS/VENDORS/MICSFT/PC/CP437.TXT, and IBM's graphic characters for 01h-1Fh and 7Fh (as in
 * CDRA code page 437). 00h and FFh look like blanks and become one. */
#ifndef DEVICES_CP437_H
#define DEVICES_CP437_H

#include <stddef.h>
#include <stdint.h>

uint32_t cp437_to_unicode(uint8_t character);

/* Writes the character as UTF-8, not terminated; returns its length, 1 to 3 bytes. */
size_t cp437_to_utf8(uint8_t character, char utf8[4]);

#endif
