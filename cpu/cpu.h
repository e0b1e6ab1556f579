/* cpu.h - the processor: its state, and what machine/ and the chapters of cpu/ see of it.
 *
 * Intel 64 and IA-32 Architectures Software Developer's Manual (SDM), December 2023. Implemented: the integer and x87
 * instruction sets, MMX, SSE to SSE4.2, AES, SHA and BMI, in real, virtual-8086, protected, long and system management mode,
 * with every form of paging. Not implemented: AVX, AVX2, FMA, F16C; PCID tags no translations. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "cpu/float80.h"
#include "cpu/model.h"
#include "mem/clock.h"
#include "mem/log.h"
#include "mem/space.h"
#include "mem/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- registers ---- */

/* Behind the architectural registers stand values that memory operands of 64-bit code may have as base or index: always 0, the
 * bases of FS and GS, and the address of the page that runs, for addresses relative to RIP. */
enum {
    REG_AX, REG_CX, REG_DX, REG_BX, REG_SP, REG_BP, REG_SI, REG_DI,
    REG_NIL = 16, REG_STATE_COUNT = 17,
    REG_FS_BASE = 17, REG_GS_BASE, REG_PAGE, REG_COUNT
};

enum segment_index { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT, SEG_NONE = 7 };

/* Segment attributes: bits 8-15 and 20-23 of a descriptor's second doubleword, moved down by 8 (SDM vol. 3, 3.4.5). */
enum {
    ATTR_TYPE = 0x000f,
    ATTR_ACCESSED = 0x0001,
    ATTR_WRITABLE = 0x0002,   /* data */
    ATTR_READABLE = 0x0002,   /* code */
    ATTR_EXPAND_DOWN = 0x0004, /* data */
    ATTR_CONFORMING = 0x0004, /* code */
    ATTR_CODE = 0x0008,
    ATTR_S = 0x0010, /* code or data, not system */
    ATTR_DPL = 0x0060,
    ATTR_DPL_SHIFT = 5,
    ATTR_P = 0x0080,
    ATTR_AVL = 0x1000,
    ATTR_L = 0x2000,
    ATTR_DB = 0x4000,
    ATTR_G = 0x8000,
    ATTR_NULL = 0x10000 /* ours: loaded with a null selector, unusable */
};

struct segment {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint32_t attributes;
    uint16_t selector;
    uint8_t pad_[6];
};

struct table_register {
    uint64_t base;
    uint16_t limit;
    uint8_t pad_[6];
};

#define FLAG_CF UINT32_C(0x000001)
#define FLAG_1 UINT32_C(0x000002)
#define FLAG_PF UINT32_C(0x000004)
#define FLAG_AF UINT32_C(0x000010)
#define FLAG_ZF UINT32_C(0x000040)
#define FLAG_SF UINT32_C(0x000080)
#define FLAG_TF UINT32_C(0x000100)
#define FLAG_IF UINT32_C(0x000200)
#define FLAG_DF UINT32_C(0x000400)
#define FLAG_OF UINT32_C(0x000800)
#define FLAG_IOPL UINT32_C(0x003000)
#define FLAG_NT UINT32_C(0x004000)
#define FLAG_RF UINT32_C(0x010000)
#define FLAG_VM UINT32_C(0x020000)
#define FLAG_AC UINT32_C(0x040000)
#define FLAG_VIF UINT32_C(0x080000)
#define FLAG_VIP UINT32_C(0x100000)
#define FLAG_ID UINT32_C(0x200000)
#define FLAGS_STATUS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)
#define FLAGS_SYSTEM                                                                                                   \
    (FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID)

#define CR0_PE UINT32_C(0x00000001)
#define CR0_MP UINT32_C(0x00000002)
#define CR0_EM UINT32_C(0x00000004)
#define CR0_TS UINT32_C(0x00000008)
#define CR0_ET UINT32_C(0x00000010)
#define CR0_NE UINT32_C(0x00000020)
#define CR0_WP UINT32_C(0x00010000)
#define CR0_AM UINT32_C(0x00040000)
#define CR0_NW UINT32_C(0x20000000)
#define CR0_CD UINT32_C(0x40000000)
#define CR0_PG UINT32_C(0x80000000)
#define CR4_VME UINT32_C(0x001)
#define CR4_PVI UINT32_C(0x002)
#define CR4_TSD UINT32_C(0x004)
#define CR4_DE UINT32_C(0x008)
#define CR4_PSE UINT32_C(0x010)
#define CR4_PAE UINT32_C(0x020)
#define CR4_MCE UINT32_C(0x040)
#define CR4_PGE UINT32_C(0x080)
#define CR4_PCE UINT32_C(0x100)
#define CR4_OSFXSR UINT32_C(0x200)
#define CR4_OSXMMEXCPT UINT32_C(0x400)
#define CR4_UMIP UINT32_C(0x800)
#define CR4_LA57 UINT32_C(0x1000)
#define CR4_FSGSBASE UINT32_C(0x10000)
#define CR4_PCIDE UINT32_C(0x20000)
#define CR4_OSXSAVE UINT32_C(0x40000)
#define CR4_SMEP UINT32_C(0x100000)
#define CR4_SMAP UINT32_C(0x200000)
#define CR4_PKE UINT32_C(0x400000)
#define XCR0_X87 UINT64_C(1)
#define XCR0_SSE UINT64_C(2)
#define XCR0_AVX UINT64_C(4)
#define XCR0_PKRU UINT64_C(0x200)
#define EFER_SCE UINT64_C(0x001)
#define EFER_LME UINT64_C(0x100)
#define EFER_LMA UINT64_C(0x400)
#define EFER_NXE UINT64_C(0x800)

enum exception_vector {
    VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7, VEC_DF = 8,
    VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_MC = 18, VEC_XM = 19,
    VEC_FERR = 255 /* ours: not delivered; FERR# rises and the processor waits at the instruction for an interrupt */
};

/* x87 state (SDM vol. 1, chapter 8). regs[] are physical registers 0-7; ST(i) is regs[(top + i) & 7]. */
struct fpu {
    uint64_t mantissa[8];
    uint16_t sign_exp[8];
    uint64_t instruction_pointer; /* FIP, with FCS in instruction_selector */
    uint64_t data_pointer;
    uint16_t instruction_selector, data_selector;
    uint16_t opcode; /* 11 bits */
    uint16_t control;
    uint16_t status; /* TOP bits 13-11 live in `top`; kept zero here */
    uint8_t top;     /* 0-7 */
    uint8_t empty;   /* bit n: physical register n is empty; the tag word is derived */
    uint8_t pad_[4];
};

/* An XMM register, or a value of an MMX register in q[0]. The quadwords are in host order, low one first; see simd.h for the
 * smaller elements. */
union xmm_value {
    uint64_t q[2];
    uint32_t d[4];
    uint16_t w[8];
    uint8_t b[16];
};
enum { XMM_COUNT = 16 };
#define MXCSR_INIT UINT32_C(0x1f80)

/* ---- decoded code ---- */

struct cpu;
struct insn;
struct block_cache;
struct decoder;
struct profile;
struct cpu_debug;

/* A handler executes one record and tail-calls the next one's handler, or returns NULL to leave to the dispatcher. Built
 * without tail calls it returns the next record instead, and a loop calls that; see handler.h. */
typedef const struct insn *handler_fn(struct cpu *cpu, const struct insn *insn);

/* One record of a block; 16 bytes on 64-bit hosts. r1 is the register operand (dest in register forms), r2 the base or second
 * register, r3 the index; byte registers are byte offsets into gpr[]. sc: bits 0-1 log2 of the scale, bits 2-4 segment, bits
 * 5-6 address size (0: 16, 1: 32, 2: 64 bits). d is the displacement, or the immediate when there is no memory operand; with
 * both, the immediate is in the d of the next slot. */
struct insn {
    handler_fn *handler;
    uint8_t r1, r2, r3, sc;
    uint32_t d;
};

/* ---- translation look-aside buffer ---- */

/* Supervisor; user; supervisor that may touch user pages in spite of CR4.SMAP, as EFLAGS.AC is set. */
enum { TLB_ENTRIES = 1024, TLB_SUPERVISOR = 0, TLB_USER, TLB_SUPERVISOR_AC, TLB_MODES };

/* Tags hold the linear page address when that kind of access may go straight to host memory at (linear + addend), and
 * TLB_INVALID otherwise, which no address ever compares equal to, not even with its low four bits kept (aligned accesses).
 * 32 bytes, aligned. */
#define TLB_INVALID (~UINT64_C(0))
struct tlb_entry {
    uint64_t read_tag, write_tag, fetch_tag;
    uintptr_t addend;
#if UINTPTR_MAX == UINT32_MAX
    uint32_t pad_;
#endif
};

/* What the slow path knows of the same entry. */
struct tlb_cold {
    uint64_t page;     /* linear page, or TLB_INVALID: nothing is cached */
    phys_addr physical; /* of the page, A20 applied */
    struct memory *memory; /* NULL: registers or nothing there */
    uint64_t memory_offset;
    bool is_readonly;  /* ROM: stores vanish */
    bool may_write;    /* the page tables allow writing and the dirty bit is set */
    bool may_execute;
    bool is_global;
    bool may_read;
    bool is_watched;   /* a data breakpoint lies in it */
    bool is_apic;      /* registers of the local APIC */
    uint8_t large_shift; /* log2 of the size of the large page that it is a part of, or 0 */
};

struct jump_entry {
    uint64_t key; /* EIP, with the base of CS in bits 32-63 outside of flat code */
    const struct insn *next;
    uint32_t token;
    uint16_t count;
    uint16_t page_offset;
};
enum { JUMP_ENTRIES = 16384 };

/* Interpreter statistics: counted where it costs nothing. */
struct cpu_stats {
    uint64_t blocks_decoded, blocks_retired, insns_decoded, dispatches, tlb_fills, tlb_flushes, link_misses,
        slow_accesses, interrupts, io_accesses;
};

/* ---- modes ---- */

/* Bits of a block's mode: what the decoder's choice of handlers depends on. */
enum {
    MODE_CODE32 = 1,    /* CS.D */
    MODE_CODE64 = 2,    /* CS.L in long mode */
    MODE_STACK32 = 4,   /* SS.B */
    MODE_PROTECTED = 8, /* CR0.PE and not virtual-8086 */
    MODE_FLAT = 16,     /* DS, ES and SS are flat, writable 4 GiB segments and nothing checks alignment */
    MODE_CPL0 = 32,
    MODE_CS_FLAT = 64,  /* CS base 0, limit 4 GiB */
    MODE_BITS = 7
};

/* Why the dispatcher must look around before it goes on; bits of cpu->pending. */
enum {
    PENDING_LOOK = 1,      /* an interrupt line rose, IF was set, the deadline moved, or code being run was overwritten */
    PENDING_STOP = 2,      /* machine asked cpu_run to return */
    PENDING_DEBUG = 4      /* a #DB trap is due after this instruction; its DR6 bits are in debug_pending */
};

enum cpu_state {
    CPU_RUNNING,
    CPU_HALTED,
    CPU_SHUTDOWN, /* after a triple fault */
    CPU_WAIT_SIPI /* an application processor after RESET# or INIT, until a start-up message (SDM vol. 3, 9.4) */
};

/* The local APIC as its processor reaches it. Offsets are in its page, MSRs counted from 800h; false means #GP. */
struct cpu_apic {
    uint64_t (*read)(void *context, unsigned offset, unsigned size);
    void (*write)(void *context, unsigned offset, unsigned size, uint64_t value);
    bool (*read_msr)(void *context, unsigned index, uint64_t *value);
    bool (*write_msr)(void *context, unsigned index, uint64_t value);
    bool (*set_base)(void *context, uint64_t base); /* IA32_APIC_BASE */
    uint64_t (*deadline)(void *context);            /* IA32_TSC_DEADLINE */
    void (*set_deadline)(void *context, uint64_t tsc);
    void (*tsc_changed)(void *context);
    unsigned (*cr8)(void *context);
    void (*set_cr8)(void *context, unsigned value);
};

/* What the CPU asks of the board. */
struct cpu_board {
    void *context;
    int (*acknowledge)(void *context); /* INTA cycle: vector, or -1 when the request is gone */
    struct space *space;
    struct ports *ports;
    struct clock *clock;
    struct log *log;
    void (*ferr)(void *context, bool level); /* FERR# changed; NULL: not connected */
    const struct cpu_model *model;           /* copied; NULL: the default */
    void (*spin)(void *context);             /* PAUSE: others might run; NULL: there are none */
    bool is_application;                     /* not the bootstrap processor */
    const struct cpu_apic *apic;             /* NULL: there is none */
    /* Memory that is seen at an address in system management mode alone; NULL: there is none. */
    bool (*smram)(void *context, phys_addr address, struct memory **memory, uint64_t *offset);
    unsigned number, processor_count;        /* the APIC ID, and how many processors there are */
};

struct cpu {
    /* Hot: one or two cache lines. */
    uint64_t gpr[REG_COUNT]; /* gpr[REG_NIL] is always 0; gpr[REG_PAGE] is the EIP of the start of the page that runs:
                              * EIP = that + page offset; it and the bases behind REG_NIL are derived */
    /* Lazy status flags, see flags.h. */
    uint64_t flags_result, flags_x;
    int32_t remaining;       /* instructions until the deadline, those of the current block already taken off */
    uint8_t pending;         /* PENDING_* */
    uint8_t halted_state;    /* enum cpu_state */
    uint8_t cpl;
    uint8_t mode;            /* MODE_* bits of the current state; derived */
    struct tlb_entry *tlb;   /* of the current privilege; derived */
    uint32_t fetch_token[2]; /* of non-global and global pages: a link or jump entry with another token is void; derived */
    struct jump_entry *jump_cache; /* derived */
    uint32_t eflags; /* FLAGS_SYSTEM bits and bit 1; status bits are in the lazy words and zero here */
    uint32_t cr0;

    uint64_t rip;      /* next instruction, valid outside of a block; inside, after cpu_sync: the one being executed */
    uint64_t next_rip; /* after cpu_sync: the one after it; derived */
    uint64_t deadline_icount; /* retired instructions when remaining is 0 at a block boundary */
    uint64_t shadow_icount;   /* interrupts are held off while the count equals this (STI, MOV SS), ~0: never */
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint64_t cr2, cr3, cr8;
    uint32_t cr4;
    uint32_t debug_pending; /* DR6 bits of a #DB that is due */
    uint64_t efer;
    uint64_t pdpte[4]; /* PAE: loaded with CR3 (SDM vol. 3, 4.4.1) */
    uint64_t dr[8];
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_offset; /* TSC = guest ns * frequency + offset */
    /* A repeated CMPS or SCAS that goes on at this count began with these flags, which a fault gives back. */
    uint64_t repeat_icount, repeat_flags_result, repeat_flags_x;
    uint64_t apic_base;
    uint64_t mtrr_def_type, pat;
    uint64_t mtrr_fixed[11];
    uint64_t mtrr_base[8], mtrr_mask[8];
    uint64_t misc_enable, bios_sign_id;
    struct fpu fpu;
    union xmm_value xmm[XMM_COUNT];
    union xmm_value ymm_high[XMM_COUNT]; /* upper halves of the YMM registers */
    uint64_t xcr0;         /* state components that XSAVE manages: XCR0_X87, XCR0_SSE */
    uint64_t star, lstar, cstar, fmask; /* SYSCALL */
    uint64_t kernel_gs_base, tsc_aux, spec_ctrl;
    uint64_t monitor_line, monitor_hash; /* MONITOR: physical address, and a hash of what was there */
    uint64_t random_state; /* of RDRAND and RDSEED: a function of the seed and of how often they ran */
    uint32_t mxcsr;
    uint32_t pkru;
    uint32_t smbase;
    bool monitor_armed; /* MONITOR was executed and MWAIT not yet */
    bool mwait_waits;   /* halted by MWAIT: a change of the line ends it too */
    bool mwait_breaks;  /* as does an interrupt that IF holds off */
    bool init_requested;   /* INIT# to itself, after this instruction */
    bool in_smm, smi_latched;
    bool smm_nmi_blocked; /* nmi_blocked to be after RSM */
    uint8_t sse_pad_[4];
    bool sse_is_blocked; /* CR0.EM or TS set, or CR4.OSFXSR clear; derived */
    bool intr_line;   /* level of INTR */
    bool nmi_line;    /* last level of NMI */
    bool nmi_latched; /* an edge was seen */
    bool nmi_blocked; /* until IRET */
    bool a20_enabled;
    bool shadow_is_mov_ss; /* the shadow also holds off debug traps */
    /* A fault found by the instruction being executed, until it is delivered; derived. */
    bool fault_has_error;
    uint8_t fault_vector;
    uint32_t fault_error;
    uint32_t delivering;  /* vector being delivered + 1, for double faults; 0: none; derived */
    bool ferr_line;  /* FERR#: an x87 exception met a waiting instruction while CR0.NE was clear */
    bool ignne_line; /* IGNNE#: such instructions go on in spite of it */
    uint8_t model_pad_[2];
    uint64_t fault_address; /* CR2 to be; derived */
    uint32_t generation[2];  /* of fetch mappings, non-global and global; derived */
    uint32_t tlb_fill_count; /* derived */
    uint32_t data_breakpoints; /* DR7 enables a data or I/O breakpoint; derived */
    const struct insn *current; /* record being executed by a slow handler, or NULL between blocks; derived */
    uint64_t jump_key_base;     /* CS base << 32 outside of flat code, else 0; derived */
    uint64_t token_cs_limit;    /* CS limit that non-flat tokens stand for; derived */
    bool step_cancelled;        /* an interrupt was entered by the instruction: no single-step trap; derived */
    bool code_breakpoints;      /* DR7 enables an instruction breakpoint; derived */
    bool operand_ok;            /* scratch, as are operand and operand_result; derived */
    uint8_t derived_pad_[5];
    /* Where handlers receive values from functions: a local variable whose address escapes would keep the compiler from
     * making their last call a jump. Derived. */
    uint64_t operand[2];
    uint32_t operand_result;
    uint8_t operand_pad_[4];

    struct tlb_entry *tlb_arrays[TLB_MODES]; /* derived; owned */
    struct tlb_cold *tlb_cold[TLB_MODES];    /* derived; owned */
    uint64_t large_regions[16];              /* derived; Bloom bits of 4 MiB in which a large page was cached */
    uint64_t huge_regions;                   /* derived; the same of pages of 1 GiB */
    uint64_t *code_pages_seen;               /* derived; Bloom bits of linear pages that were fetched from */
    struct block_cache *blocks;              /* derived; owned */
    struct decoder *decoder;                 /* derived; owned */
    struct profile *profile;                 /* derived; owned; NULL: no profile is taken */
    struct cpu_board board;                  /* wired */
    struct cpu_model model;                  /* wired */
    struct log_channel *log_channel;         /* wired */
    const struct cpu_debug *debug;           /* wired; NULL: nobody debugs: debug.h */
    struct cpu_stats stats;                  /* derived */
    uint64_t apic_page;                      /* derived; physical address of the local APIC's registers, or ~0 */
    uint64_t debug_repeat_icount, debug_repeat_rip; /* at that count a repeated instruction goes on there; derived */
    struct cpu *next_peer;                   /* wired; ring of the processors that share memory */
    bool use_block_cache;                    /* wired */
    bool debug_stop;                         /* a debugger wants cpu_run to return; derived */
    uint8_t pad_end_[6];
};
extern const struct field cpu_fields[];

/* ---- for machine/ ---- */

/* Creates a processor in reset state. `board` is copied. NULL with `err` set when out of memory. */
struct cpu *cpu_create(const struct cpu_board *board, bool use_block_cache, struct error *err);
void cpu_destroy(struct cpu *cpu);

/* Puts `cpu`, which is alone, into the ring of `other`: they run in turns in one thread and see the same memory, so that code that
 * one of them overwrites is decoded anew by all. */
void cpu_join(struct cpu *cpu, struct cpu *other);
static inline struct cpu *cpu_next_peer(const struct cpu *cpu) { return cpu->next_peer; }

/* Counts executions of blocks from now on (profile.h), those of its peers too. False when out of memory. */
bool cpu_profile(struct cpu *cpu, struct error *err);

/* RESET# (SDM vol. 3, 10.1.1): power-on values; is_init: INIT#, which keeps x87, MSRs of memory type and TSC. */
void cpu_reset(struct cpu *cpu, bool is_init);

/* Guest time at which the time-stamp counter has the value, or now when it is past it. */
uint64_t cpu_tsc_to_ns(const struct cpu *cpu, uint64_t tsc);

/* A start-up message: an application processor that waits for one begins at VV000h in real mode; others ignore it. */
void cpu_start(struct cpu *cpu, uint8_t vector);

/* Executes exactly `count` instructions (at most 2^30) unless it halts, shuts down or is asked to stop; returns how many
 * retired. Interrupt delivery is not an instruction. Instructions that fault count as one, so that a fault storm still
 * reaches the deadline. */
uint32_t cpu_run(struct cpu *cpu, uint32_t count);

/* Exact count of retired instructions, callable from device code in the middle of an instruction: the instruction being
 * executed has not retired. */
uint64_t cpu_icount(const struct cpu *cpu);

/* Makes cpu_run return after the current instruction. */
void cpu_request_stop(struct cpu *cpu);
/* An interrupt line, a memory map or the deadline changed: leave the block after the current instruction and look. */
void cpu_look(struct cpu *cpu);

void cpu_set_intr(struct cpu *cpu, bool level);
void cpu_set_nmi(struct cpu *cpu, bool level);
void cpu_set_a20(struct cpu *cpu, bool enabled);
/* SMI#: at the next boundary between instructions, or after RSM. */
void cpu_set_smi(struct cpu *cpu);
/* INIT# after the current instruction, for a processor that is inside of one; otherwise cpu_reset does. */
void cpu_request_init(struct cpu *cpu);
void cpu_set_ignne(struct cpu *cpu, bool level);
/* True when an interrupt would wake it from HLT now. */
bool cpu_has_work(const struct cpu *cpu);
/* True when cpu_run would do nothing: halted, and nothing to wake it. */
bool cpu_is_idle(const struct cpu *cpu);

/* Seeds RDRAND and RDSEED; RESET# keeps where the sequence is. */
void cpu_seed_random(struct cpu *cpu, uint64_t seed);

/* The physical map changed: drop cached translations. */
void cpu_map_changed(struct cpu *cpu);
/* Somebody wants to know of stores: the next one to each page takes the slow path. Translations stay what they are. */
void cpu_revoke_writes(struct cpu *cpu);

/* EFLAGS with status bits gathered. */
uint32_t cpu_get_eflags(const struct cpu *cpu);
/* Status bits and all FLAGS_SYSTEM bits; recomputes what hangs on them. */
void cpu_set_eflags(struct cpu *cpu, uint32_t eflags);

/* Recompute every derived field after registers were written from outside (snapshot, debugger). */
void cpu_loaded(struct cpu *cpu);

/* Translates without side effects (no A/D bits, no fault); false when not mapped. */
bool cpu_translate_debug(const struct cpu *cpu, uint64_t linear, phys_addr *physical);

#endif
