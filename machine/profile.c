/* profile.c - the profile of the interpreter as the public header shows it. */
#include "cpu/profile.h"

#include "machine/machine.h"
#include "machine/tick86.h"

#include <stdio.h>

bool tick86_profile(struct tick86 *machine, struct error *err)
{
    return cpu_profile(machine->cpus[0], err);
}

bool tick86_profile_block(const struct tick86 *machine, size_t n, struct tick86_profile_block *block)
{
    struct profile_block from;

    if (!machine->cpus[0]->profile || !profile_block(machine->cpus[0]->profile, n, &from)) {
        return false;
    }
    *block = (struct tick86_profile_block){
        .linear = from.linear,
        .executions = from.executions,
        .handlers = from.handlers,
        .links = from.links,
        .bytes = from.bytes,
        .size = from.size,
        .insns = from.count,
        .code_bits = from.mode & MODE_CODE64 ? 64 : from.mode & MODE_CODE32 ? 32 : 16,
        .is_user = !(from.mode & MODE_CPL0) && (from.mode & MODE_PROTECTED),
    };
    return true;
}

bool tick86_profile_handler(const struct tick86 *machine, size_t n, struct tick86_profile_handler *handler)
{
    static const char *const forms[FORM_COUNT] = { "", "_m", "_bd", "_bid" };
    struct profile_handler from;

    if (!machine->cpus[0]->profile || !profile_handler(machine->cpus[0]->profile, n, &from)) {
        return false;
    }
    snprintf(handler->name, sizeof handler->name, "%s%s%s/%u", from.stem, from.is_dead ? "_nf" : "",
             from.form < FORM_COUNT ? forms[from.form] : "", from.bits);
    handler->offset = (int64_t)((uint64_t)(uintptr_t)from.function - (uint64_t)(uintptr_t)tick86_create);
    return true;
}
