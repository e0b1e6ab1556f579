/* integer.c - the integer chapters, compiled as one unit so that sequences (sequences.def) can inline their steps. */
#include "cpu/bind.h"
#include "cpu/flags.h"

#include "cpu/int_alu.c.inc"
#include "cpu/int_move.c.inc"
#include "cpu/int_muldiv.c.inc"
#include "cpu/int_shift.c.inc"

#include "cpu/branch.c.inc"
