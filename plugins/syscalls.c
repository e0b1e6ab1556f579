/* syscalls.c - the system calls of a Linux guest: `-plugin tick86-plugin-syscalls.so[,out=FILE]`.
 *
 * A line at each INT 80h, SYSENTER and SYSCALL: count, processor, CR3 (one for each process), number, name of the common ones, and
 * the registers of the arguments. 32-bit calls are numbered as arch/x86/entry/syscalls/syscall_32.tbl has them, 64-bit ones as
 * syscall_64.tbl. */
#include "frontends/tick86_plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const int tick86_plugin_version = TICK86_PLUGIN_VERSION;

static struct {
    struct tick86 *machine;
    FILE *out;
    unsigned registers[16];
    uint64_t count;
} tracer;

enum { AX, BX, CX, DX, SI, DI, BP, R8, R9, R10, CR3, CPL, REGISTERS };
static const char *const names[REGISTERS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "cr3", "cpl"};

static const struct {
    int number32, number64;
    const char *name;
} calls[] = {
    {1, 60, "exit"},      {2, 57, "fork"},       {3, 0, "read"},        {4, 1, "write"},      {5, 2, "open"},
    {6, 3, "close"},      {7, -1, "waitpid"},    {11, 59, "execve"},    {12, 80, "chdir"},    {13, 201, "time"},
    {20, 39, "getpid"},   {21, 165, "mount"},    {33, 21, "access"},    {37, 62, "kill"},     {41, 32, "dup"},
    {42, 22, "pipe"},     {45, 12, "brk"},       {54, 16, "ioctl"},     {63, 33, "dup2"},     {90, -1, "mmap"},
    {91, 11, "munmap"},   {114, 61, "wait4"},    {120, 56, "clone"},    {122, 63, "uname"},   {125, 10, "mprotect"},
    {146, 20, "writev"},  {168, 7, "poll"},      {174, 13, "rt_sigaction"}, {175, 14, "rt_sigprocmask"}, {192, 9, "mmap"},
    {195, -1, "stat64"},  {197, -1, "fstat64"},  {221, 72, "fcntl"},    {252, 231, "exit_group"}, {295, 257, "openat"},
};

static uint64_t reg(unsigned cpu, unsigned n) { return tick86_register_value(tracer.machine, cpu, tracer.registers[n]); }

static void report(unsigned cpu, const char *how, bool is_64)
{
    static const uint8_t order32[] = {BX, CX, DX, SI, DI, BP}, order64[] = {DI, SI, DX, R10, R8, R9};
    int64_t number = (int64_t)(is_64 ? reg(cpu, AX) : reg(cpu, AX) & UINT32_MAX);
    const char *name = "";

    for (size_t n = 0; n < sizeof calls / sizeof calls[0]; n++) {
        if ((is_64 ? calls[n].number64 : calls[n].number32) == number) {
            name = calls[n].name;
        }
    }
    fprintf(tracer.out, "%" PRIu64 " cpu%u cr3=%09" PRIx64 " %s %" PRId64 " %s(", tick86_icount(tracer.machine), cpu, reg(cpu, CR3),
            how, number, name);
    for (unsigned n = 0; n < 6; n++) {
        uint64_t value = reg(cpu, (is_64 ? order64 : order32)[n]);
        fprintf(tracer.out, "%s0x%" PRIx64, n != 0 ? ", " : "", is_64 ? value : value & UINT32_MAX);
    }
    fprintf(tracer.out, ")\n");
    tracer.count++;
}

static void on_interrupt(void *context, unsigned cpu, const struct tick86_interrupt *interrupt)
{
    (void)context;
    if (interrupt->kind == BREAK_SOFTWARE && interrupt->vector == 0x80) {
        report(cpu, "int80", false);
    }
}

/* SYSENTER is 0F 34 and SYSCALL 0F 05, only ever two bytes long. */
static void on_insn(void *context, unsigned cpu, uint64_t linear, unsigned bytes)
{
    uint8_t code[2];

    (void)context;
    if (bytes == 2 && tick86_peek(tracer.machine, cpu, SPACE_LINEAR, linear, code, 2) && code[0] == 0x0f &&
        (code[1] == 0x34 || code[1] == 0x05) && reg(cpu, CPL) == 3) {
        report(cpu, code[1] == 0x34 ? "sysenter" : "syscall", code[1] == 0x05 && tick86_code_bits(tracer.machine, cpu) == 64);
    }
}

bool tick86_plugin_start(struct tick86 *machine, const char *arguments, struct error *err)
{
    const struct tick86_observer observer = {.context = &tracer, .interrupt = on_interrupt, .insn = on_insn};

    tracer.machine = machine;
    tracer.out = strncmp(arguments, "out=", 4) == 0 ? fopen(arguments + 4, "w") : stderr;
    if (tracer.out == NULL) {
        return error_set(err, "cannot write system calls to '%s'", arguments + 4);
    }
    for (unsigned n = 0; n < REGISTERS; n++) {
        int number = tick86_register_find(names[n]);
        tracer.registers[n] = number >= 0 ? (unsigned)number : 0;
    }
    return tick86_observe(machine, &observer) || error_set(err, "too many observe the machine");
}

void tick86_plugin_end(struct tick86 *machine)
{
    tick86_unobserve(machine, &tracer);
    fprintf(stderr, "syscalls: %" PRIu64 "\n", tracer.count);
    if (tracer.out != stderr) {
        fclose(tracer.out);
    }
}
