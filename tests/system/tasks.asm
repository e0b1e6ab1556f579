; tasks.asm - hardware task switches: CALL, JMP, IRET and gates, nested tasks and their links, busy bits, what is saved and loaded,
; faults before and after the switch. SDM vol. 3, chapter 7.
%include "system.inc"

TSS_A           equ FREE                ; 32-bit
TSS_B           equ FREE + 8            ; 32-bit
TSS_16          equ FREE + 10h          ; 16-bit
GATE_A          equ FREE + 18h          ; task gate to TSS_A, DPL 3
TSS_SHORT       equ FREE + 20h          ; limit 66h
TSS_ABSENT      equ FREE + 28h
LDT_SEL         equ FREE + 30h
A               equ 40000h
B               equ 41000h
S16             equ 42000h
STACK_A         equ 70000h
STACK_B         equ 71000h

%macro PUT_DESCRIPTOR 4                 ; selector, base, limit, attributes
        mov     dword [gdt + %1], ((%3) & 0ffffh) | ((%2) & 0ffffh) << 16
        mov     dword [gdt + %1 + 4], ((%2) >> 16 & 0ffh) | ((%2) & 0ff000000h) | ((%3) & 0f0000h) | ((%4) & 0f0ffh) << 8
%endmacro
; TSS base, entry point, stack
%macro FILL_TSS 3
        mov     edi, %1
        xor     eax, eax
        mov     ecx, 26
        rep     stosd
        mov     dword [%1 + 32], %2     ; EIP
        mov     dword [%1 + 36], 2      ; EFLAGS
        mov     dword [%1 + 56], %3     ; ESP
        mov     dword [%1 + 72], DATA3 | 3
        mov     dword [%1 + 76], CODE0
        mov     dword [%1 + 80], DATA0
        mov     dword [%1 + 84], DATA3 | 3
        mov     dword [%1 + 88], DATA3 | 3
        mov     dword [%1 + 92], DATA3 | 3
        mov     word [%1 + 102], 68h
%endmacro
%macro BUSY 2                           ; selector, 1 or 0
        mov     eax, [gdt + %1 + 4]
        shr     eax, 9
        and     eax, 1
        EXPECT  eax, %2
%endmacro

main:
        PUT_DESCRIPTOR TSS_A, A, 67h, 89h
        PUT_DESCRIPTOR TSS_B, B, 67h, 0e9h
        PUT_DESCRIPTOR TSS_16, S16, 2bh, 81h
        PUT_DESCRIPTOR TSS_SHORT, A, 66h, 89h
        PUT_DESCRIPTOR TSS_ABSENT, A, 67h, 9h
        PUT_DESCRIPTOR LDT_SEL, 43000h, 0fh, 82h
        mov     dword [gdt + GATE_A], TSS_A << 16
        mov     dword [gdt + GATE_A + 4], 0e500h

        TEST    "CALL and IRET: nested, linked, and back"
        FILL_TSS A, task_a, STACK_A
        mov     dword [A + 40], 0a0a0a0a0h      ; EAX
        mov     dword [A + 64], 0e5e5e5e5h      ; ESI
        mov     dword [A + 96], LDT_SEL
        mov     ebx, 0b0b0b0b0h
        mov     edx, 0d0d0d0d0h
        stc
        call    TSS_A:0
.back:  setc    byte [carry]
        EXPECT  ebx, 0b0b0b0b0h         ; ours again
        EXPECT  edx, 0d0d0d0d0h
        movzx   eax, byte [carry]
        EXPECT  eax, 1
        EXPECT  [in_eax], 0a0a0a0a0h
        EXPECT  [in_esi], 0e5e5e5e5h
        EXPECT  [in_esp], STACK_A
        EXPECT  [in_tr], TSS_A
        EXPECT  [in_ldt], LDT_SEL
        EXPECT  [in_flags], 4002h       ; NT set, CF from the TSS
        EXPECT  [in_link], TSS_SEL
        EXPECT  [in_busy], 2 | 1        ; both are busy inside
        EXPECT  [in_ts], 8              ; CR0.TS
        EXPECT  [tss + 32], .back       ; what was saved
        EXPECT  [tss + 52], 0b0b0b0b0h
        BUSY    TSS_A, 0
        BUSY    TSS_SEL, 1
        EXPECT  [A + 32], task_a_again  ; where it goes on
        mov     eax, [A + 36]
        and     eax, 4000h
        EXPECT  eax, 0                  ; IRET saves NT clear
        sldt    ax
        movzx   eax, ax
        EXPECT  eax, 0
        clts

        TEST    "nested twice"
        FILL_TSS A, task_outer, STACK_A
        FILL_TSS B, task_inner, STACK_B
        call    TSS_A:0
        EXPECT  [order], 12h
        EXPECT  [in_link], TSS_A
        BUSY    TSS_B, 0
        clts

        TEST    "JMP: not nested"
        FILL_TSS A, task_jump, STACK_A
        mov     dword [A], 5555h
        jmp     TSS_A:0
        EXPECT  [in_link], 5555h        ; the link is left alone
        EXPECT  [in_flags], 2
        EXPECT  [in_busy], 1            ; only the new one
        BUSY    TSS_SEL, 1
        clts

        TEST    "through a task gate, from level 3, and by an interrupt"
        FILL_TSS A, task_gate, STACK_A
        RECOVER .gate_done
        USER    .gate_user
.gate_user:
        call    GATE_A | 3:0
        int     81h
.gate_done:
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_cs], CODE3 | 3
        EXPECT  [in_link], TSS_SEL
        FILL_TSS A, task_gate, STACK_A
        mov     dword [idt + 92h * 8], TSS_A << 16
        mov     dword [idt + 92h * 8 + 4], 8500h
        mov     dword [in_link], 0
        int     92h
        EXPECT  [in_link], TSS_SEL
        clts

        TEST    "an exception with an error code goes to the new task's stack"
        FILL_TSS A, task_error, STACK_A
        mov     eax, [idt + 13 * 8]
        mov     [saved_gate], eax
        mov     eax, [idt + 13 * 8 + 4]
        mov     [saved_gate + 4], eax
        mov     dword [idt + 13 * 8], TSS_A << 16
        mov     dword [idt + 13 * 8 + 4], 8500h
        mov     ax, FREE_END + 10h
.gp:    mov     es, ax
.after_gp:
        mov     eax, [saved_gate]
        mov     [idt + 13 * 8], eax
        mov     eax, [saved_gate + 4]
        mov     [idt + 13 * 8 + 4], eax
        EXPECT  [in_error], FREE_END + 10h
        EXPECT  [in_esp], STACK_A - 4
        EXPECT  [in_eip], .gp           ; saved in the old TSS, the handler went past it
        clts

        TEST    "refused before the switch"
        FAULT   13, TSS_SEL, {call TSS_SEL:0}           ; busy
        FAULT   10, TSS_SHORT, {call TSS_SHORT:0}       ; limit
        FAULT   11, TSS_ABSENT, {jmp TSS_ABSENT:0}
        USER_FAULT 13, TSS_A, {call TSS_A:0}            ; DPL
        FAULT   13, 0, {jmp 0:0}
        pushfd
        or      dword [esp], 4000h
        popfd
        mov     word [tss], TSS_A                       ; not busy
        RECOVER .iret_bad
.iret:  iretd
.iret_bad:
        EXPECT  [seen_vector], 10
        EXPECT  [seen_error], TSS_A
        EXPECT  [seen_eip], .iret
        pushfd
        and     dword [esp], ~4000h
        popfd

        ; Not CS, SS and LDTR: then there is no stack to deliver #TS on.
        TEST    "refused in the new task"
        FILL_TSS A, task_a, STACK_A
        mov     dword [A + 84], CODE3 | 3 ; DS: readable code is right
        mov     dword [A + 88], TSS_SEL ; FS is a TSS
        RECOVER .bad_fs
        call    TSS_A:0
.bad_fs:
        EXPECT  [seen_vector], 10
        EXPECT  [seen_error], TSS_SEL
        call    home

        TEST    "the T flag"
        FILL_TSS A, task_gate, STACK_A
        mov     byte [A + 100], 1
        mov     dword [counts + 4], 0
        mov     dword [hook], only_count
        call    TSS_A:0
        mov     dword [hook], 0
        EXPECT  [counts + 4], 1
        mov     eax, [seen_dr6]
        and     eax, 8000h
        EXPECT  eax, 8000h              ; BT
        EXPECT  [seen_eip], task_gate
        xor     eax, eax
        mov     dr6, eax
        clts

        TEST    "a 16-bit TSS"
        mov     edi, S16
        xor     eax, eax
        mov     ecx, 11
        rep     stosd
        mov     word [S16 + 14], task_16 - image
        mov     word [S16 + 16], 2
        mov     word [S16 + 18], 1234h  ; AX
        mov     word [S16 + 26], 8000h  ; SP
        mov     word [S16 + 34], DATA16
        mov     word [S16 + 36], CODE16
        mov     word [S16 + 38], DATA16
        mov     word [S16 + 40], DATA16
        call    TSS_16:0
        movzx   eax, word [in_eax]
        EXPECT  eax, 1234h
        movzx   eax, word [S16]
        EXPECT  eax, TSS_SEL
        BUSY    TSS_16, 0
        clts
        ret

; The main task's TR again after a fault in a new task, which has left both busy and the handler on this stack.
home:
        and     byte [gdt + TSS_SEL + 5], ~2
        and     byte [gdt + TSS_A + 5], ~2
        mov     ax, TSS_SEL
        ltr     ax
        xor     eax, eax
        lldt    ax
        pushfd
        and     dword [esp], ~4000h
        popfd
        mov     ax, DATA3 | 3
        mov     fs, ax
        mov     gs, ax
        clts
        ret

only_count:
        ret

note:   mov     [in_eax], eax
        mov     [in_esi], esi
        lea     eax, [esp + 4]
        mov     [in_esp], eax
        xor     eax, eax
        str     ax
        mov     [in_tr], eax
        sldt    ax
        mov     [in_ldt], eax
        pushfd
        pop     dword [in_flags]
        and     dword [in_flags], 4003h
        movzx   eax, word [A]
        mov     [in_link], eax
        mov     eax, [gdt + TSS_SEL + 4]
        shr     eax, 8
        and     eax, 2
        mov     edx, [gdt + TSS_A + 4]
        shr     edx, 9
        and     edx, 1
        or      eax, edx
        mov     [in_busy], eax
        mov     eax, cr0
        and     eax, 8
        mov     [in_ts], eax
        ret

task_a: call    note
        iretd
task_a_again:
        jmp     task_a

task_outer:
        mov     dword [order], 1
        call    TSS_B:0
        iretd
task_inner:
        shl     dword [order], 4
        or      dword [order], 2
        movzx   eax, word [B]
        mov     [in_link], eax
        iretd

task_jump:
        call    note
        jmp     TSS_SEL:0

task_gate:
        movzx   eax, word [A]
        mov     [in_link], eax
        iretd

task_error:
        mov     [in_esp], esp
        pop     dword [in_error]
        mov     eax, [tss + 32]
        mov     [in_eip], eax
        add     dword [tss + 32], 2     ; MOV ES, AX
        iretd

        bits    16
task_16:
        mov     [in_eax - image], ax
        iret
        bits    32

        align   4
carry:          dd 0
in_eax:         dd 0
in_esi:         dd 0
in_esp:         dd 0
in_tr:          dd 0
in_ldt:         dd 0
in_flags:       dd 0
in_link:        dd 0
in_busy:        dd 0
in_ts:          dd 0
in_error:       dd 0
in_eip:         dd 0
order:          dd 0
saved_gate:     dd 0, 0
        END_OF_IMAGE
