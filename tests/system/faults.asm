; faults.asm - LOCK legality, undefined opcodes, segment checks of every descriptor type, alignment checks, interrupt shadows,
; and transfers between levels: SDM vol. 2; vol. 3, chapters 5 and 6.
%include "system.inc"

RO              equ FREE                ; read-only data
EXEC            equ FREE + 8            ; execute-only code
DOWN            equ FREE + 10h          ; expand-down, 32-bit, valid above 1FFFFFh
DOWN16          equ FREE + 18h          ; expand-down, 16-bit, valid from 1000h to FFFFh
SMALL           equ FREE + 20h          ; 16 bytes at DATA
ABSENT          equ FREE + 28h
LDT_SEL         equ FREE + 30h
CALLGATE        equ FREE + 38h          ; to level 0, two parameters
CONFORMING      equ FREE + 40h
CODE1           equ FREE + 48h
DATA1           equ FREE + 50h
ABSENT_CODE     equ FREE + 58h
CALLGATE0       equ FREE + 60h          ; DPL 0
BEYOND          equ FREE_END + 8

%macro PUT_DESCRIPTOR 4                 ; selector, base, limit, attributes
        mov     dword [gdt + %1], ((%3) & 0ffffh) | ((%2) & 0ffffh) << 16
        mov     dword [gdt + %1 + 4], ((%2) >> 16 & 0ffh) | ((%2) & 0ff000000h) | ((%3) & 0f0000h) | ((%4) & 0f0ffh) << 8
%endmacro
%macro PUT_GATE 5                       ; selector, target selector, label, type, parameters
        mov     eax, %3
        and     eax, 0ffffh
        or      eax, (%2) << 16
        mov     [gdt + %1], eax
        mov     eax, %3
        and     eax, 0ffff0000h
        or      eax, (%4) << 8 | (%5)
        mov     [gdt + %1 + 4], eax
%endmacro
%macro UD 1+
        FAULT   6, NO_ERROR, %1
%endmacro
; A far CALL, JMP or RET that must fault: selector in memory.
%macro GP_LOAD 3                        ; segment register, selector, error code (vector 13)
        mov     ax, %2
        FAULT   13, %3, {mov %1, ax}
%endmacro

main:
        PUT_DESCRIPTOR RO, 0, 0fffffh, 0c0f1h
        PUT_DESCRIPTOR EXEC, 0, 0fffffh, 0c0f9h
        PUT_DESCRIPTOR DOWN, 0, 1ffh, 0c0f7h
        PUT_DESCRIPTOR DOWN16, 0, 0fffh, 0f7h
        PUT_DESCRIPTOR SMALL, DATA, 0fh, 40f3h
        PUT_DESCRIPTOR ABSENT, 0, 0fffffh, 0c073h
        PUT_DESCRIPTOR LDT_SEL, gdt_copy_base, 0ffh, 82h
        PUT_GATE CALLGATE, CODE0, gate_target, 0ech, 2
        PUT_GATE CALLGATE0, CODE0, gate_target, 8ch, 0
        PUT_DESCRIPTOR CONFORMING, 0, 0fffffh, 0c09fh
        PUT_DESCRIPTOR CODE1, 0, 0fffffh, 0c0bbh
        PUT_DESCRIPTOR DATA1, 0, 0fffffh, 0c0b3h
        PUT_DESCRIPTOR ABSENT_CODE, 0, 0fffffh, 0c01bh

        TEST    "LOCK where it is allowed"
        mov     ebx, DATA
        xor     eax, eax
        lock add [ebx], eax
        lock or byte [ebx], 1
        lock adc dword [ebx], 0
        lock sbb [ebx], al
        lock and dword [ebx], -1
        lock sub [ebx], eax
        lock xor [ebx], eax
        lock inc dword [ebx]
        lock dec dword [ebx]
        lock not dword [ebx]
        lock neg dword [ebx]
        lock xchg [ebx], eax
        lock xadd [ebx], eax
        lock cmpxchg [ebx], eax
        lock cmpxchg8b [ebx]
        lock bts dword [ebx], 1
        lock btr [ebx], ecx
        lock btc dword [ebx], 1
        EXPECT  0, 0
        TEST    "LOCK where it is not"
%macro LOCKED 1+
        RECOVER %%after
%%insn: db      0f0h
        %1
%%after:
        EXPECT  [seen_vector], 6
        EXPECT  [seen_eip], %%insn
%endmacro
        LOCKED  add eax, ebx
        LOCKED  {add eax, [ebx]}
        LOCKED  {cmp [ebx], eax}
        LOCKED  {cmp dword [ebx], 1}
        LOCKED  {test [ebx], eax}
        LOCKED  {mov [ebx], eax}
        LOCKED  {mov eax, [ebx]}
        LOCKED  inc eax
        LOCKED  {bt dword [ebx], 1}
        LOCKED  {bt [ebx], ecx}
        LOCKED  {bts ecx, 1}
        LOCKED  {xchg eax, ecx}
        LOCKED  {xadd ecx, eax}
        LOCKED  {cmpxchg ecx, eax}
        LOCKED  {shl dword [ebx], 1}
        LOCKED  {mul dword [ebx]}
        LOCKED  {imul eax, [ebx]}
        LOCKED  {push dword [ebx]}
        LOCKED  movsb
        LOCKED  nop
        LOCKED  {lea eax, [ebx]}
        LOCKED  {fadd dword [ebx]}
        LOCKED  {jmp $}
        LOCKED  hlt

        TEST    "undefined opcodes"
        UD      ud2
        UD      {db 0fh, 0b9h, 0c0h}    ; UD1
        UD      {db 0fh, 0ffh, 0c0h}    ; UD0
        UD      {db 0fh, 04h}
        UD      {db 0feh, 0d0h}         ; group 4 /2
        UD      {db 0ffh, 0f8h}         ; group 5 /7
        UD      {db 8fh, 0c8h}          ; group 1A /1
        UD      {db 0c6h, 0c8h, 0}      ; group 11 /1
        UD      {db 8dh, 0c0h}          ; LEA of a register
        UD      {db 62h, 0c0h}          ; BOUND of a register
        UD      {db 0c4h, 0c0h}         ; LES of a register
        UD      {db 0c5h, 0c0h}         ; LDS of a register
        UD      {db 0fh, 0b2h, 0c0h}    ; LSS of a register
        UD      {db 0ffh, 0d8h}         ; far CALL of a register
        UD      {db 0ffh, 0e8h}         ; far JMP of a register
        UD      {db 8eh, 0c8h}          ; MOV CS
        UD      {db 8ch, 0f0h}          ; segment register 6
        UD      {db 0fh, 20h, 0c8h}     ; CR1
        UD      {db 0fh, 22h, 0f8h}     ; CR7
        UD      {db 0fh, 0c7h, 0c8h}    ; CMPXCHG8B of a register
        UD      {db 0fh, 01h, 0c0h | 2 << 3}    ; LGDT of a register
        UD      {db 0fh, 0bah, 0c0h, 0} ; group 8 /0

        TEST    "instructions longer than 15 bytes"
        RECOVER .long
.too_long:
        times   15 db 66h
        nop
.long:  EXPECT  [seen_vector], 13
        EXPECT  [seen_error], 0
        EXPECT  [seen_eip], .too_long
        times   14 db 66h
        nop

        TEST    "what a segment register takes"
        GP_LOAD ds, EXEC, EXEC
        GP_LOAD ds, TSS_SEL, TSS_SEL
        GP_LOAD ds, CALLGATE, CALLGATE
        GP_LOAD ds, BEYOND, BEYOND
        GP_LOAD ds, BEYOND | 4, BEYOND | 4      ; no LDT
        GP_LOAD ds, DATA0 | 3, DATA0            ; RPL 3, DPL 0
        GP_LOAD ss, 0, 0
        GP_LOAD ss, RO, RO
        GP_LOAD ss, CODE0, CODE0
        GP_LOAD ss, DATA3, DATA3
        GP_LOAD ss, DATA0 | 3, DATA0
        mov     ax, ABSENT
        FAULT   11, ABSENT, {mov es, ax}
        mov     ax, CODE3 | 3                   ; code that may be read
        mov     fs, ax
        mov     ax, CONFORMING | 3
        mov     fs, ax
        xor     eax, eax
        mov     fs, ax
        mov     al, 3
        mov     fs, ax
        TEST    "level 3 and segment registers"
        mov     ax, DATA0
        USER_FAULT 13, DATA0, {mov es, ax}
        mov     ax, DATA1 | 1
        USER_FAULT 13, DATA1, {mov es, ax}
        TEST    "limits and types"
        fninit
        xor     eax, eax
        mov     fs, ax
        FAULT   13, 0, {mov eax, [fs:0]}
        mov     ax, RO
        mov     fs, ax
        mov     ebx, [fs:DATA]
        FAULT   13, 0, {mov [fs:DATA], eax}
        FAULT   13, 0, {add [fs:DATA], eax}
        FAULT   13, 0, {mov [cs:DATA], eax}
        mov     ax, SMALL
        mov     fs, ax
        mov     ebx, [fs:12]
        FAULT   13, 0, {mov ebx, [fs:13]}
        FAULT   13, 0, {mov ebx, [fs:-1]}
        mov     bl, [fs:15]
        FAULT   13, 0, {mov bl, [fs:16]}
        FAULT   13, 0, {mov [fs:14], ebx}
        FAULT   13, 0, {fld qword [fs:9]}
        FAULT   13, 0, {fstp tword [fs:7]}
        mov     ax, DOWN
        mov     fs, ax
        mov     ebx, [fs:200000h]
        mov     ebx, [fs:0ffffffch]
        FAULT   13, 0, {mov ebx, [fs:1fffffh]}
        FAULT   13, 0, {mov ebx, [fs:0]}
        mov     ax, DOWN16
        mov     fs, ax
        mov     ebx, [fs:1000h]
        mov     ebx, [fs:0fffch]
        FAULT   13, 0, {mov ebx, [fs:0fffh]}
        FAULT   13, 0, {mov ebx, [fs:0fffdh]}
        FAULT   13, 0, {mov ebx, [fs:10000h]}
        mov     ax, DATA3 | 3
        mov     fs, ax

        TEST    "alignment check"
        mov     eax, cr0
        or      eax, 40000h             ; AM
        mov     cr0, eax
        mov     dword [user_flags], 2 | FLAG_AC
        mov     ebx, DATA
        USER_FAULT 17, 0, {mov eax, [ebx + 1]}
        USER_FAULT 17, 0, {mov [ebx + 2], eax}
        USER_FAULT 17, 0, {mov ax, [ebx + 3]}
        USER_FAULT 17, 0, {fld qword [ebx + 4]}
        USER_FAULT 17, 0, {add dword [ebx + 2], 1}
        mov     edi, DATA + 2
        USER_FAULT 17, 0, {stosd}
        mov     dword [user_esp], STACK3 - 2
        USER_FAULT 17, 0, {push eax}
        mov     dword [user_esp], STACK3
        mov     dword [user_flags], 2   ; AC clear
        RECOVER .unaligned
        USER    .unaligned_code
.unaligned_code:
        mov     eax, [ebx + 1]
        int     81h
.unaligned:
        EXPECT  [seen_vector], 81h
        mov     eax, [ebx + 1]          ; level 0 is never checked
        mov     eax, cr0
        and     eax, ~40000h
        mov     cr0, eax

        TEST    "call gate to level 0 with parameters, and back"
        mov     ax, DATA3 | 3
        mov     gs, ax
        RECOVER .gate_done
        USER    .gate_user
.gate_user:
        push    dword 11112222h
        push    dword 33334444h
        call    CALLGATE | 3:0
.gate_back:
        int     81h
.gate_done:
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_eip], .gate_back + 2
        EXPECT  [gate_cs], CODE0
        EXPECT  [gate_parameters], 33334444h
        EXPECT  [gate_parameters + 4], 11112222h
        EXPECT  [gate_return], .gate_back
        EXPECT  [gate_esp], STACK3 - 8
        EXPECT  [gate_ss], DATA3 | 3
        EXPECT  [seen_esp], STACK3      ; RET n released the parameters on both stacks
        EXPECT  [seen_cs], CODE3 | 3
        EXPECT  [seen_segments], DATA3 | 3      ; DS may be kept,
        EXPECT  [seen_segments + 4], 0          ; GS held level 0's data and was emptied
        TEST    "far transfers that are refused"
        USER_FAULT 13, CALLGATE0, {call CALLGATE0 | 3:0}
        USER_FAULT 13, CODE0, {jmp CALLGATE | 3:0}      ; the code segment is at fault, not the gate
        USER_FAULT 13, CODE0, {call CODE0:main}
        USER_FAULT 13, CODE1, {jmp CODE1 | 1:main}
        USER_FAULT 13, DATA3, {jmp DATA3 | 3:main}
        USER_FAULT 13, 0, {jmp 0:main}
        USER_FAULT 13, BEYOND, {jmp BEYOND:main}
        FAULT   11, ABSENT_CODE, {jmp ABSENT_CODE:main}
        FAULT   13, TSS_SEL, {jmp TSS_SEL:0}            ; busy
        USER_FAULT 13, TSS_SEL, {call TSS_SEL:0}
        TEST    "conforming code keeps the level"
        RECOVER .conforming
        USER    .to_conforming
.to_conforming:
        jmp     CONFORMING:.in_conforming
.in_conforming:
        mov     eax, cs
        int     81h
.conforming:
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_eax], CONFORMING | 3
        TEST    "INT n and the gate's DPL"
        mov     byte [idt + 90h * 8 + 5], 8eh
        USER_FAULT 13, 90h * 8 + 2, {int 90h}
        mov     byte [idt + 3 * 8 + 5], 8eh
        USER_FAULT 13, 3 * 8 + 2, {int3}
        mov     byte [idt + 3 * 8 + 5], 0eeh
        RECOVER .icebp
        mov     byte [idt + 1 * 8 + 5], 8eh
        USER    .icebp_user
.icebp_user:
        db      0f1h                    ; INT1 does not look
.icebp: EXPECT  [seen_vector], 1
        mov     byte [idt + 91h * 8 + 5], 6eh
        FAULT   11, 91h * 8 + 2, {int 91h}
        mov     byte [idt + 91h * 8 + 5], 0eeh
        mov     word [idt + 91h * 8 + 2], DATA0
        FAULT   13, DATA0, {int 91h}
        mov     word [idt + 91h * 8 + 2], 0
        FAULT   13, 0, {int 91h}
        mov     word [idt + 91h * 8 + 2], CODE0

        TEST    "privileged at level 3"
        USER_FAULT 13, 0, {hlt}
        USER_FAULT 13, 0, {cli}
        USER_FAULT 13, 0, {sti}
        USER_FAULT 13, 0, {in al, 80h}
        USER_FAULT 13, 0, {out dx, al}
        USER_FAULT 13, 0, {insb}
        USER_FAULT 13, 0, {mov eax, cr0}
        USER_FAULT 13, 0, {mov dr7, eax}
        USER_FAULT 13, 0, {lgdt [gdtr]}
        USER_FAULT 13, 0, {lldt ax}
        USER_FAULT 13, 0, {ltr ax}
        USER_FAULT 13, 0, {lmsw ax}
        USER_FAULT 13, 0, {clts}
        USER_FAULT 13, 0, {invlpg [0]}
        USER_FAULT 13, 0, {wbinvd}
        USER_FAULT 13, 0, {rdmsr}
        USER_FAULT 13, 0, {sysexit}

        TEST    "#NM"
        mov     eax, cr0
        or      al, 8                   ; TS
        mov     cr0, eax
        FAULT   7, NO_ERROR, {fninit}
        fwait                           ; MP is clear
        mov     eax, cr0
        or      al, 2
        mov     cr0, eax
        FAULT   7, NO_ERROR, {fwait}
        clts
        mov     eax, cr0
        or      al, 4                   ; EM
        mov     cr0, eax
        FAULT   7, NO_ERROR, {fld1}
        fwait
        and     al, ~6
        mov     cr0, eax

        TEST    "#DE"
        xor     ecx, ecx
        FAULT   0, NO_ERROR, {div ecx}
        mov     eax, 80000000h
        cdq
        mov     ecx, -1
        FAULT   0, NO_ERROR, {idiv ecx}
        mov     ax, 100h
        mov     cl, 1
        FAULT   0, NO_ERROR, {div cl}
        FAULT   0, NO_ERROR, {aam 0}
        EXPECT  [seen_eax], 80000100h

        TEST    "shadows of STI and MOV SS"
        mov     al, 11h                 ; IRQ 0 at 50h, from a timer that runs fast
        out     20h, al
        mov     al, 50h
        out     21h, al
        mov     al, 4
        out     21h, al
        mov     al, 3                   ; automatic end of interrupt
        out     21h, al
        mov     al, 0feh
        out     21h, al
        mov     al, 14h
        out     43h, al
        mov     al, 20
        out     40h, al
        mov     dword [hook], irq_hook
        call    wait_for_irq
        sti
        cli                             ; still in STI's shadow
        EXPECT  [irqs], 0
        sti
        nop
.after_sti:
        cli
        EXPECT  [irqs], 1
        EXPECT  [irq_eip], .after_sti
        call    wait_for_irq
        mov     cx, ss
        pushfd
        or      dword [esp], FLAG_IF
        popfd                           ; no shadow: it comes before the next instruction
.after_popf:
        nop
        cli
        EXPECT  [irqs], 1
        EXPECT  [irq_eip], .after_popf
        call    wait_for_irq
        sti
        mov     ss, cx                  ; one shadow after the other
        nop
.after_ss:
        nop
        cli
        EXPECT  [irqs], 1
        EXPECT  [irq_eip], .after_ss
        call    wait_for_irq
        sti
        hlt                             ; woken at once
.after_hlt:
        cli
        EXPECT  [irqs], 1
        EXPECT  [irq_eip], .after_hlt
        mov     dword [hook], 0
        mov     al, 0ffh
        out     21h, al
        ret

; Until the controller has a request; no interrupts counted so far.
wait_for_irq:
        mov     al, 0ah
        out     20h, al
.loop:  in      al, 20h
        test    al, 1
        jz      .loop
        mov     dword [irqs], 0
        ret

; Only the first is looked at; interrupts stay off in the program then.
irq_hook:
        inc     dword [irqs]
        mov     eax, [seen_eip]
        mov     [irq_eip], eax
        and     dword [esp + 4 + 48], ~FLAG_IF
        ret

gate_target:
        mov     eax, cs
        mov     [gate_cs], eax
        mov     eax, [esp]
        mov     [gate_return], eax
        mov     eax, [esp + 8]
        mov     [gate_parameters], eax
        mov     eax, [esp + 12]
        mov     [gate_parameters + 4], eax
        mov     eax, [esp + 16]
        mov     [gate_esp], eax
        mov     eax, [esp + 20]
        mov     [gate_ss], eax
        mov     ax, DATA0
        mov     gs, ax
        retf    8

        align   4
gdt_copy_base   equ 40000h
irqs:           dd 0
irq_eip:        dd 0
gate_cs:        dd 0
gate_return:    dd 0
gate_parameters: dd 0, 0
gate_esp:       dd 0
gate_ss:        dd 0
        END_OF_IMAGE
