; code16.asm - EIP in 16-bit code: segments larger than 64 KiB, where it goes on past FFFFh, and the limit of those that are not.
; SDM vol. 1, 3.5 (EIP is a 32-bit register); vol. 2, JMP, CALL, RET: only an operand size of 16 clears its upper half.
%include "system.inc"

BIG16           equ FREE                ; 16-bit code at BASE, limit 1FFFFh
SMALL16         equ FREE + 8            ; 16-bit code at BASE, limit FFFFh
LOW16           equ FREE + 10h          ; 16-bit code at BASE, limit 4Fh
BASE            equ 200000h

%macro PUT_DESCRIPTOR 4
        mov     dword [gdt + %1], ((%3) & 0ffffh) | ((%2) & 0ffffh) << 16
        mov     dword [gdt + %1 + 4], ((%2) >> 16 & 0ffh) | ((%2) & 0ff000000h) | ((%3) & 0f0000h) | ((%4) & 0f0ffh) << 8
%endmacro
; offset, then instructions up to END_CODE go to BASE + offset.
%macro CODE_AT 1
        mov     edi, BASE + %1
        mov     esi, %%code
        mov     ecx, %%end - %%code
        rep     movsb
        jmp     %%over
%define END_LABEL %%end
%define OVER_LABEL %%over
        bits    16
%%code:
%endmacro
%macro END_CODE 0
END_LABEL:
        bits    32
OVER_LABEL:
%endmacro
; selector, offset: until an exception, which is INT 81h when all went well.
%macro RUN16 2
        RECOVER %%back
        jmp     %1:%2
%%back:
%endmacro

main:
        PUT_DESCRIPTOR BIG16, BASE, 1ffffh, 9bh
        PUT_DESCRIPTOR SMALL16, BASE, 0ffffh, 9bh
        PUT_DESCRIPTOR LOW16, BASE, 4fh, 9bh

        TEST    "straight on past 64 KiB"
        CODE_AT 0fffch
        xor     eax, eax                ; 3 bytes: FFFC to FFFE
        inc     ax                      ; FFFF
        inc     ax                      ; 10000
        int     81h
        END_CODE
        RUN16   BIG16, 0fffch
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_eip], 10003h
        EXPECT  [seen_eax], 2

        TEST    "an instruction across 64 KiB"
        CODE_AT 0fffdh
        mov     eax, 12345678h          ; 6 bytes
        int     81h
        END_CODE
        RUN16   BIG16, 0fffdh
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_eip], 10005h
        EXPECT  [seen_eax], 12345678h

        TEST    "a short branch not taken, and one taken"
        CODE_AT 0fffch
        stc
        jnc     $ + 10h                 ; FFFD, FFFE
        nop                             ; FFFF
        int     81h
        END_CODE
        RUN16   BIG16, 0fffch
        EXPECT  [seen_eip], 10002h
        CODE_AT 0
        mov     al, 55h
        int     82h
        END_CODE
        CODE_AT 0fffch
        stc
        jc      $ + 3                   ; to 10000h by its sum, which an operand size of 16 cuts: 0
        nop
        int     81h
        END_CODE
        RUN16   BIG16, 0fffch
        EXPECT  [seen_vector], 82h
        EXPECT  [seen_eip], 4

        TEST    "near branches with 32-bit operands reach it"
        CODE_AT 100h
        mov     esp, 70000h             ; 6 bytes
        db      66h, 0e8h               ; CALL 12000h; the code is copied, so that offsets are counted from 10Ch
        dd      12000h - 10ch
        int     81h
        END_CODE
        CODE_AT 12000h
        mov     ebx, cs
        db      66h, 0e8h               ; CALL 12010h
        dd      12010h - 12009h
        o32 ret
        END_CODE
        CODE_AT 12010h
        mov     eax, [esp]              ; where the call came from
        o32 ret
        END_CODE
        RUN16   BIG16, 100h
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_eip], 10ch + 2
        EXPECT  [seen_eax], 12009h
        EXPECT  [seen_ebx], BIG16

        TEST    "CALL with a 16-bit operand saves 16 bits of it"
        CODE_AT 12000h
        mov     esp, 70000h
        call    $ + 3                   ; to 12009h, which an operand size of 16 cuts
        END_CODE
        CODE_AT 2009h
        movzx   eax, word [esp]
        int     81h
        END_CODE
        RUN16   BIG16, 12000h
        EXPECT  [seen_vector], 81h
        EXPECT  [seen_eax], 2009h

        TEST    "the limit of 64 KiB"
        CODE_AT 0fffdh
        xor     eax, eax
        END_CODE
        RUN16   SMALL16, 0fffdh
        EXPECT  [seen_vector], 13
        EXPECT  [seen_error], 0
        EXPECT  [seen_eip], 10000h
        CODE_AT 0fffeh
        mov     eax, 12345678h          ; of which two bytes are inside
        END_CODE
        RUN16   SMALL16, 0fffeh
        EXPECT  [seen_vector], 13
        EXPECT  [seen_eip], 0fffeh
        CODE_AT 0fffdh
        mov     al, 1
        db      0ebh                    ; JMP short, its displacement past the limit
        END_CODE
        RUN16   SMALL16, 0fffdh
        EXPECT  [seen_vector], 13
        EXPECT  [seen_eip], 0ffffh

        TEST    "a small limit"
        CODE_AT 4ch
        xor     eax, eax
        nop
        nop
        END_CODE
        RUN16   LOW16, 4ch
        EXPECT  [seen_vector], 13
        EXPECT  [seen_eip], 50h
        CODE_AT 40h
        jmp     short $ + 10h
        END_CODE
        RUN16   LOW16, 40h
        EXPECT  [seen_vector], 13
        EXPECT  [seen_eip], 40h         ; the branch itself
        CODE_AT 40h
        mov     ax, 50h
        jmp     ax
        END_CODE
        RUN16   LOW16, 40h
        EXPECT  [seen_eip], 43h
        FAULT   13, 0, {jmp LOW16:50h}

        TEST    "real mode: the limit of 64 KiB"
        mov     dword [0f000h], 0       ; leave protected mode and come back: see .real
        call    in_real_mode
        EXPECT  [real_vector], 13
        EXPECT  [real_ip], 0            ; FFFFh + 1, of which the frame has 16 bits
        ret

; Runs XOR AX,AX; NOP at 5000:FFFD in real mode. An interrupt table at 0 whose vector 13 notes the frame.
in_real_mode:
        pushad
        mov     [stack32], esp
        mov     edi, 50000h + 0fffdh
        mov     dword [edi], 9090c031h
        mov     eax, real_gp - image
        or      eax, 1000h << 16
        mov     [13 * 4], eax
        lidt    [real_idtr]
        jmp     CODE16:.to16 - image
        bits    16
.to16:  mov     ax, DATA16
        mov     ss, ax
        mov     ds, ax
        mov     eax, cr0
        and     al, ~1
        mov     cr0, eax
        jmp     1000h:.real - image
.real:  mov     ax, 6000h
        mov     ss, ax
        mov     sp, 1000h
        jmp     5000h:0fffdh
real_gp:
        mov     bp, sp
        mov     ax, [bp]
        mov     bx, 1000h
        mov     ds, bx
        mov     [real_ip - image], ax
        mov     word [real_vector - image], 13
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword CODE0:.back
        bits    32
.back:  mov     ax, DATA3 | 3
        mov     ds, ax
        mov     es, ax
        mov     ax, DATA0
        mov     ss, ax
        mov     esp, [stack32]
        lidt    [idtr]
        popad
        ret

        align   4
real_idtr:      dw 3ffh
                dd 0
stack32:        dd 0
real_ip:        dd 0eeeeh
real_vector:    dd 0
        END_OF_IMAGE
