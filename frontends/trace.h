/* trace.h - what the guest does, as text or binary records: -d in_asm,exec,int,mmu,io,mem,mode and -trace. */
#ifndef FRONTENDS_TRACE_H
#define FRONTENDS_TRACE_H

#include "frontends/session.h"

#include <stdio.h>

struct trace;

/* True when `item` of -d names a trace and not a log channel. */
bool trace_knows(const char *item);
/* `items` and `filter` (-trace: addr=FIRST-LAST,cpl=N,cr3=N,cpu=N,from=ICOUNT,to=ICOUNT,format=text|binary; NULL: everything as
 * text) to `file`. NULL with `err` set. */
struct trace *trace_start(struct session *session, const char *items, const char *filter, FILE *file, struct error *err);
void trace_stop(struct trace *trace);

/* Prints a binary trace as text. False with `err` set. */
bool trace_print(const char *path, FILE *out, struct error *err);
/* Compares two traces, text or binary. Returns 0 when they are equal, 1 when not (and prints where), 2 with `err` set. */
int trace_diff(const char *left, const char *right, FILE *out, struct error *err);

#endif
