; vm86.asm - virtual-8086 mode: what traps at which IOPL, what the frame holds, I/O permission, and the virtual interrupt flag
; of VME and PVI: SDM vol. 3, chapter 20.
%include "system.inc"

V86_SEG         equ 2100h               ; programs run at 21000h, data and stack in other segments
V86             equ V86_SEG * 16
V86_DATA        equ 2200h
V86_STACK       equ 2300h
V86_SP          equ 800h
FLAG_IOPL3      equ 3000h

; Runs what stands at V86 with EFLAGS [v86_flags] | VM until an exception.
%macro RUN_V86 0
        RECOVER %%after
        push    dword 2444h             ; GS, FS, DS, ES
        push    dword 2333h
        push    dword V86_DATA
        push    dword 2222h
        push    dword V86_STACK
        push    dword V86_SP
        mov     eax, [v86_flags]
        or      eax, FLAG_VM | 2
        push    eax
        push    dword V86_SEG
        push    dword 0
        mov     eax, 1111h
        iretd
%%after:
%endmacro

; vector, error, offset, instructions: the program raises that at this offset.
%macro V86_FAULT 4-8
        mov     esi, %%code
        mov     edi, V86
        mov     ecx, 64
        rep     movsb
        jmp     %%over
        bits    16
%%code: %4
        %5
        %6
        %7
        %8
        times   64 hlt
        bits    32
%%over: RUN_V86
        EXPECT  [seen_vector], %1
        EXPECT  [seen_error], %2
        EXPECT  [seen_eip], %3
        EXPECT  [seen_cs], V86_SEG
%endmacro
; The program runs to its HLT after `offset` bytes.
%macro V86_RUNS 2-6
        V86_FAULT 13, 0, %1, {%2}, {%3}, {%4}, {%5}, {%6}
%endmacro
%macro FLAGS_SEEN 2                     ; mask, wanted
        mov     eax, [seen_eflags]
        and     eax, %1
        EXPECT  eax, %2
%endmacro
%macro SET_CR4 1
        mov     eax, %1
        mov     cr4, eax
%endmacro

%macro USER_RUNS 1+                     ; an instruction of one or two bytes, then INT 81h
        RECOVER %%after
        USER    %%insn
%%insn: %1
        int     81h
%%after:
        EXPECT  [seen_vector], 81h
%endmacro

main:
        mov     word [tss + 66h], 68h + 20h     ; interrupt redirection map, I/O map, its end
        TEST    "frame of an exception out of a virtual-8086 task"
        mov     dword [v86_flags], 0
        V86_RUNS 1, {nop}
        EXPECT  [seen_esp], V86_SP
        EXPECT  [seen_ss], V86_STACK
        EXPECT  [seen_vm86], 2222h
        EXPECT  [seen_vm86 + 4], V86_DATA
        EXPECT  [seen_vm86 + 8], 2333h
        EXPECT  [seen_vm86 + 12], 2444h
        FLAGS_SEEN FLAG_VM, FLAG_VM
        mov     ax, [seen_segments]
        movzx   eax, ax
        EXPECT  eax, 0                  ; DS and the others are null in the handler
        EXPECT  [seen_segments + 4], 0

        TEST    "sensitive to IOPL: all below 3"
%macro SENSITIVE 0
        V86_FAULT 13, 0, 0, {cli}
        V86_FAULT 13, 0, 0, {sti}
        V86_FAULT 13, 0, 0, {pushf}
        V86_FAULT 13, 0, 0, {popf}
        V86_FAULT 13, 0, 0, {int 21h}
        V86_FAULT 13, 0, 0, {iret}
        V86_FAULT 13, 0, 0, {pushfd}
        V86_FAULT 13, 0, 0, {popfd}
%endmacro
        SENSITIVE
        mov     dword [v86_flags], 2000h
        SENSITIVE

        TEST    "not sensitive at IOPL 3"
        mov     dword [v86_flags], FLAG_IOPL3
        V86_RUNS 1, {sti}
        FLAGS_SEEN FLAG_IF, FLAG_IF
        mov     dword [v86_flags], FLAG_IOPL3 | FLAG_IF
        V86_RUNS 1, {cli}
        FLAGS_SEEN FLAG_IF, 0
        mov     dword [v86_flags], FLAG_IOPL3
        V86_RUNS 2, {pushf}, {pop ax}
        mov     eax, [seen_eax]
        and     eax, 0f202h
        EXPECT  eax, 3002h
        V86_RUNS 8, {pushfd}, {pop eax}, {pushfd}, {pop ebx}
        mov     eax, [seen_ebx]
        and     eax, FLAG_VM | FLAG_RF | 3000h
        EXPECT  eax, 3000h              ; VM and RF read 0
        V86_RUNS 5, {push word 0ed7h}, {popf}, {nop}
        FLAGS_SEEN 3ed7h, 3ed7h & ~100h ; IOPL does not change; this image has no TF
        V86_FAULT 21h, NO_ERROR, 2, {int 21h}
        V86_FAULT 3, NO_ERROR, 1, {int3}

        TEST    "INT3 and INTO do not look at IOPL"
        mov     dword [v86_flags], 0
        V86_FAULT 3, NO_ERROR, 1, {int3}
        mov     dword [v86_flags], 800h
        V86_FAULT 4, NO_ERROR, 1, {into}
        mov     dword [v86_flags], 0
        V86_FAULT 1, NO_ERROR, 1, {db 0f1h}

        TEST    "not there in this mode"
        mov     dword [v86_flags], FLAG_IOPL3
        V86_FAULT 6, NO_ERROR, 0, {lldt ax}
        V86_FAULT 6, NO_ERROR, 0, {ltr ax}
        V86_FAULT 6, NO_ERROR, 0, {sldt ax}
        V86_FAULT 6, NO_ERROR, 0, {str ax}
        V86_FAULT 6, NO_ERROR, 0, {verr ax}
        V86_FAULT 6, NO_ERROR, 0, {verw ax}
        V86_FAULT 6, NO_ERROR, 0, {lar ax, bx}
        V86_FAULT 6, NO_ERROR, 0, {lsl ax, bx}
        V86_FAULT 6, NO_ERROR, 0, {arpl ax, bx}
        TEST    "privileged"
        V86_FAULT 13, 0, 0, {hlt}
        V86_FAULT 13, 0, 0, {lgdt [0]}
        V86_FAULT 13, 0, 0, {lidt [0]}
        V86_FAULT 13, 0, 0, {lmsw ax}
        V86_FAULT 13, 0, 0, {clts}
        V86_FAULT 13, 0, 0, {mov eax, cr0}
        V86_FAULT 13, 0, 0, {mov cr3, eax}
        V86_FAULT 13, 0, 0, {mov eax, dr7}
        V86_FAULT 13, 0, 0, {invlpg [0]}
        V86_FAULT 13, 0, 0, {invd}
        V86_FAULT 13, 0, 0, {wbinvd}
        V86_FAULT 13, 0, 0, {rdmsr}
        V86_FAULT 13, 0, 0, {wrmsr}
        V86_RUNS 3, {smsw ax}
        V86_RUNS 5, {sgdt [0]}

        TEST    "segments"
        mov     dword [V86_DATA * 16], 0cafebabeh
        V86_RUNS 4, {mov eax, [0]}
        EXPECT  [seen_eax], 0cafebabeh
        V86_FAULT 13, 0, 0, {mov al, [dword 10000h]}
        V86_FAULT 13, 0, 0, {mov ax, [word 0ffffh]}
        V86_FAULT 12, 0, 6, {mov ebp, 0ffffh}, {mov ax, [bp]}
        V86_FAULT 12, 0, 3, {mov sp, 1}, {push ax}
        V86_RUNS 5, {mov ax, 0ffffh}, {mov es, ax}
        EXPECT  [seen_vm86], 0ffffh

        TEST    "ports by the map alone, even at IOPL 3"
        mov     edi, tss + 88h
        mov     ecx, 2000h / 8
        mov     al, 0
        rep     stosb
        mov     byte [edi], 0ffh
        mov     byte [tss + 88h + 10h], 1       ; port 80h is closed
        mov     word [gdt + TSS_SEL], 88h + 2000h / 8
        mov     byte [gdt + TSS_SEL + 5], 89h
        mov     ax, TSS_SEL
        ltr     ax
        V86_FAULT 13, 0, 0, {out 80h, al}
        V86_FAULT 13, 0, 0, {in al, 80h}
        V86_RUNS 2, {out 81h, al}
        V86_FAULT 13, 0, 0, {out 7fh, ax}
        V86_FAULT 13, 0, 0, {out 7dh, eax}
        V86_RUNS 3, {out 7ch, eax}
        V86_FAULT 13, 0, 3, {mov dx, 80h}, {outsb}
        V86_FAULT 13, 0, 3, {mov dx, 2000h}, {in al, dx}
        TEST    "ports at level 3"
        mov     dword [user_flags], 2
        USER_FAULT 13, 0, {out 80h, al}
        USER_RUNS {out 81h, al}
        USER_FAULT 13, 0, {cli}
        mov     dword [user_flags], 2 | FLAG_IOPL3
        USER_RUNS {out 80h, al}
        USER_RUNS {cli}
        mov     dword [user_flags], 2

        TEST    "VME: the virtual interrupt flag"
        SET_CR4 1
        mov     dword [v86_flags], FLAG_VIF | FLAG_IF
        V86_RUNS 1, {cli}
        FLAGS_SEEN FLAG_VIF | FLAG_IF, FLAG_IF
        mov     dword [v86_flags], 0
        V86_RUNS 1, {sti}
        FLAGS_SEEN FLAG_VIF | FLAG_IF, FLAG_VIF
        mov     dword [v86_flags], FLAG_VIP
        V86_FAULT 13, 0, 0, {sti}
        V86_RUNS 1, {cli}
        mov     dword [v86_flags], FLAG_VIF
        V86_RUNS 2, {pushf}, {pop ax}
        mov     eax, [seen_eax]
        and     eax, 0f202h
        EXPECT  eax, 3202h
        mov     dword [v86_flags], FLAG_IF
        V86_RUNS 2, {pushf}, {pop ax}
        mov     eax, [seen_eax]
        and     eax, 0f202h
        EXPECT  eax, 3002h
        V86_RUNS 4, {push word 202h}, {popf}
        FLAGS_SEEN FLAG_VIF | FLAG_IF | FLAG_IOPL3, FLAG_VIF | FLAG_IF
        V86_RUNS 3, {push byte 2}, {popf}
        FLAGS_SEEN FLAG_VIF | FLAG_IF, FLAG_IF
        V86_FAULT 13, 0, 3, {push word 102h}, {popf}            ; TF
        EXPECT  [seen_esp], V86_SP - 2
        mov     dword [v86_flags], FLAG_VIP
        V86_FAULT 13, 0, 3, {push word 202h}, {popf}
        V86_RUNS 3, {push byte 2}, {popf}
        mov     dword [v86_flags], 0
        V86_FAULT 13, 0, 0, {pushfd}
        V86_FAULT 13, 0, 0, {popfd}
        V86_FAULT 13, 0, 0, {iretd}

        TEST    "VME: IRET"
        V86_RUNS 20h, {push word 202h}, {push word V86_SEG}, {push byte 20h}, {iret}
        FLAGS_SEEN FLAG_VIF | FLAG_IF, FLAG_VIF
        EXPECT  [seen_esp], V86_SP
        V86_FAULT 13, 0, 8, {push word 102h}, {push word V86_SEG}, {push byte 20h}, {iret}
        EXPECT  [seen_esp], V86_SP - 6

        TEST    "VME: INT n through the task's own table"
        mov     dword [40h * 4], V86_SEG << 16 | 30h
        mov     dword [v86_flags], FLAG_VIF | FLAG_IF | 0d5h
        V86_RUNS 30h, {int 40h}
        EXPECT  [seen_esp], V86_SP - 6
        FLAGS_SEEN FLAG_VIF | FLAG_IF | 0ffh, FLAG_IF | 0d7h
        EXPECT  [V86_STACK * 16 + V86_SP - 6], V86_SEG << 16 | 2
        movzx   eax, word [V86_STACK * 16 + V86_SP - 2]
        EXPECT  eax, 32d7h                      ; VIF as IF, IOPL 3
        mov     byte [tss + 68h + 40h / 8], 1   ; redirected no more
        V86_FAULT 13, 0, 0, {int 40h}
        mov     dword [v86_flags], FLAG_IOPL3 | FLAG_IF
        V86_FAULT 40h, NO_ERROR, 2, {int 40h}
        mov     byte [tss + 68h + 40h / 8], 0
        V86_RUNS 30h, {int 40h}
        FLAGS_SEEN FLAG_IF, 0
        movzx   eax, word [V86_STACK * 16 + V86_SP - 2]
        EXPECT  eax, 3202h
        V86_FAULT 3, NO_ERROR, 1, {int3}        ; is not redirected

        TEST    "PVI"
        SET_CR4 2
        mov     dword [user_flags], 2 | FLAG_VIF
        USER_RUNS {cli}
        FLAGS_SEEN FLAG_VIF, 0
        mov     dword [user_flags], 2
        USER_RUNS {sti}
        FLAGS_SEEN FLAG_VIF | FLAG_IF, FLAG_VIF
        mov     dword [user_flags], 2 | FLAG_VIP
        USER_FAULT 13, 0, {sti}
        mov     dword [user_flags], 2
        mov     dword [v86_flags], 0
        V86_FAULT 13, 0, 0, {cli}               ; not in virtual-8086 mode
        SET_CR4 0
        USER_FAULT 13, 0, {cli}
        ret

        align   4
v86_flags:      dd 0
        END_OF_IMAGE
