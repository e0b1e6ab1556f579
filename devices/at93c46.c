/* at93c46.c - Atmel AT93C46, 1K serial EEPROM organised as 64 words of 16 bits (datasheet 0172, "Instruction set").
 *
 * A command is a start bit, two bits of opcode and six of address, most significant first, each taken with a rising clock
 * while the chip is selected. A read answers a 0 and then the word, and goes on with the next address. Writing takes no
 * time: the busy phase is over at once. */
#include "devices/at93c46.h"

enum { HEAD_BITS = 9, WORD_BITS = 16, OPCODE_SPECIAL = 0, OPCODE_WRITE = 1, OPCODE_READ = 2, OPCODE_ERASE = 3 };

#define S struct at93c46
const struct field at93c46_fields[] = {
    FIELD(S, words, "contents"),
    FIELD(S, shift, "bits that came in"),
    FIELD(S, output, "bits that go out"),
    FIELD(S, bits, "how many came in since the start bit"),
    FIELD(S, command, "opcode and address"),
    FIELD(S, chip_select, "CS"),
    FIELD(S, clock, "SK"),
    FIELD(S, data_out, "DO"),
    FIELD(S, is_writable, "writes are enabled"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

void at93c46_reset(struct at93c46 *eeprom)
{
    eeprom->shift = eeprom->output = 0;
    eeprom->bits = eeprom->command = 0;
    eeprom->chip_select = eeprom->clock = eeprom->is_writable = false;
    eeprom->data_out = true;
}

static void fill(struct at93c46 *eeprom, uint16_t value)
{
    for (unsigned n = 0; n < AT93C46_WORDS && eeprom->is_writable; n++) {
        eeprom->words[n] = value;
    }
}

/* Opcode and address are there. */
static void start_command(struct at93c46 *eeprom)
{
    unsigned address = eeprom->command & 0x3f;

    switch (eeprom->command >> 6) {
    case OPCODE_READ:
        eeprom->output = eeprom->words[address];
        eeprom->data_out = false; /* the dummy bit */
        break;
    case OPCODE_ERASE:
        if (eeprom->is_writable) {
            eeprom->words[address] = 0xffff;
        }
        break;
    case OPCODE_SPECIAL:
        switch (address >> 4) {
        case 0: eeprom->is_writable = false; break;
        case 2: fill(eeprom, 0xffff); break;
        case 3: eeprom->is_writable = true; break;
        default: break; /* 1: write all, with the data that follow */
        }
        break;
    default: break;
    }
}

static void take_data(struct at93c46 *eeprom)
{
    unsigned address = eeprom->command & 0x3f;

    if (eeprom->command >> 6 == OPCODE_WRITE && eeprom->is_writable) {
        eeprom->words[address] = eeprom->shift;
    } else if (eeprom->command >> 4 == 1) {
        fill(eeprom, eeprom->shift);
    }
}

static void clock_rises(struct at93c46 *eeprom, bool data_in)
{
    if (eeprom->bits == 0 && !data_in) {
        return; /* waits for the start bit */
    }
    if (eeprom->bits < HEAD_BITS) {
        eeprom->shift = (uint16_t)(eeprom->shift << 1 | data_in);
        if (++eeprom->bits == HEAD_BITS) {
            eeprom->command = (uint8_t)eeprom->shift;
            start_command(eeprom);
        }
        return;
    }
    if (eeprom->command >> 6 == OPCODE_READ) {
        eeprom->data_out = (eeprom->output & 0x8000) != 0;
        eeprom->output = (uint16_t)(eeprom->output << 1);
        if (++eeprom->bits == HEAD_BITS + WORD_BITS) {
            eeprom->bits = HEAD_BITS;
            eeprom->command = (uint8_t)(OPCODE_READ << 6 | ((eeprom->command + 1) & 0x3f));
            eeprom->output = eeprom->words[eeprom->command & 0x3f];
        }
    } else if (eeprom->bits < HEAD_BITS + WORD_BITS) {
        eeprom->shift = (uint16_t)(eeprom->shift << 1 | data_in);
        if (++eeprom->bits == HEAD_BITS + WORD_BITS) {
            take_data(eeprom);
        }
    }
}

void at93c46_set(struct at93c46 *eeprom, bool chip_select, bool clock, bool data_in)
{
    if (!chip_select || !eeprom->chip_select) {
        eeprom->bits = 0;
        eeprom->shift = 0;
        eeprom->data_out = true; /* ready */
    }
    if (chip_select && eeprom->chip_select && clock && !eeprom->clock) {
        clock_rises(eeprom, data_in);
    }
    eeprom->chip_select = chip_select;
    eeprom->clock = clock;
}
