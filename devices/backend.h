/* backend.h - what chips ask of the host, as tables of functions that frontends/host implements.
 *
 * Everything that goes out (disk writes, serial bytes, pixels) is immediate and invisible to the guest. Nothing comes in
 * through here except disk contents, which count as given at the start: all other input reaches a chip through its
 * class's input functions, called by machine/ from the one input queue at an exact instruction count. */
#ifndef DEVICES_BACKEND_H
#define DEVICES_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR_SIZE = 512 };

/* A disk image. All counts are 512-byte sectors, CD images too (a CD block is four). Functions return false on a host
 * error, which the drive reports to the guest as an uncorrectable data error; they have logged why. */
struct block_backend {
    void *context;
    uint64_t sectors;
    bool is_readonly;
    bool (*read)(void *context, uint64_t sector, uint32_t count, void *bytes);
    bool (*write)(void *context, uint64_t sector, uint32_t count, const void *bytes);
    bool (*flush)(void *context); /* returns when the host has it on stable storage */
    /* Makes a range read as zeros and gives its space back to the host where the format can. NULL: zeros are written. */
    bool (*discard)(void *context, uint64_t sector, uint64_t count);
};

/* Where a serial port, parallel port or debug console sends bytes. */
struct byte_sink {
    void *context;
    void (*put)(void *context, uint8_t byte);
};

/* Where a network chip sends frames: Ethernet from the destination address to the end of the payload, without preamble and
 * frame check sequence, 1 to PACKET_MAX bytes. */
enum { PACKET_MAX = 16384 };

struct packet_sink {
    void *context;
    void (*send)(void *context, const uint8_t *frame, size_t size);
    /* The chip can take frames again after it refused one; may be NULL. Called in the middle of an instruction: frames are
     * given to it later, as an input. */
    void (*ready)(void *context);
};

/* Told each change of the PC speaker's input, at guest time now_ns. Guest-invisible. */
struct speaker_sink {
    void *context;
    void (*level)(void *context, uint64_t now_ns, bool level);
};

/* What a display adapter shows, rendered on demand for a frontend. Guest-invisible. */
struct screen_text_cell {
    uint8_t character; /* code point of the font's 256 (or the first 256 of 512) */
    uint8_t attribute; /* VGA attribute byte */
};

enum { SCREEN_TEXT_COLUMNS_MAX = 256, SCREEN_TEXT_ROWS_MAX = 128 };

struct screen {
    bool is_text;
    bool is_blanked;
    /* Text modes. */
    unsigned columns, rows;
    int cursor_column, cursor_row; /* -1 when the cursor is hidden */
    bool is_cursor_tall;           /* it covers more than half a character */
    bool has_blink;                /* attribute bit 7 blinks; else it makes the background bright */
    struct screen_text_cell cells[SCREEN_TEXT_ROWS_MAX * SCREEN_TEXT_COLUMNS_MAX]; /* row r starts at r * columns */
    /* All modes, in pixels as the monitor would show them. */
    unsigned width, height;
};

#endif
