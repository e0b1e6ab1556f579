; debug.asm - single-stepping, breakpoints, RF and the one-instruction shadows: SDM vol. 3, 6.8.3 and chapter 17.
%include "system.inc"

watched         equ DATA + 100h

; Counts #DB traps while hooked, and sets RF for faults so that the instruction goes on.
count_hook:
        mov     eax, [seen_dr6]
        or      [all_dr6], eax
        mov     ecx, [hook_count]
        cmp     ecx, 32
        jae     .full
        mov     edx, [seen_eip]
        mov     [hook_eips + ecx * 4], edx
        mov     [hook_dr6s + ecx * 4], eax
.full:  inc     dword [hook_count]
        mov     eax, 0ffff0ff0h
        mov     dr6, eax
        mov     eax, [hook_or]
        or      [esp + 4 + 48], eax     ; EFLAGS in the frame
        mov     eax, [hook_and]
        and     [esp + 4 + 48], eax
        ret

%macro HOOKED 0
        mov     dword [hook_count], 0
        mov     dword [all_dr6], 0
        mov     dword [hook_or], FLAG_RF
        mov     dword [hook_and], -1
        mov     dword [hook], count_hook
%endmacro
%macro UNHOOKED 0
        mov     dword [hook], 0
%endmacro
%macro STEP_ON 0
        pushfd
        or      dword [esp], FLAG_TF
        popfd
%endmacro
%macro STEP_OFF 0                       ; gives three traps itself: the one after POPFD comes as well
        pushfd
        and     dword [esp], ~FLAG_TF
        popfd
%endmacro
%macro SET_DR 2
        mov     eax, %2
        mov     %1, eax
%endmacro

main:
        TEST    "single step over branches"
        HOOKED
        STEP_ON
        mov     ecx, 10
.loop:  loop    .loop
        jmp     .next
.next:  call    .sub
        nop
        STEP_OFF
        UNHOOKED
        EXPECT  [hook_count], 1 + 10 + 1 + 1 + 1 + 1 + 3
        EXPECT  [hook_dr6s], 0ffff4ff0h
        EXPECT  [hook_eips], .loop
        EXPECT  [hook_eips + 4], .loop
        EXPECT  [hook_eips + 40], .loop + 2
        jmp     .rep
.sub:   ret

.rep:   TEST    "single step in a repetition"
        HOOKED
        mov     edi, DATA
        mov     ecx, 5
        xor     eax, eax
        STEP_ON
.stos:  rep     stosb
        STEP_OFF
        UNHOOKED
        EXPECT  [hook_count], 5 + 3
        EXPECT  [hook_eips], .stos
        EXPECT  [hook_eips + 12], .stos
        EXPECT  [hook_eips + 16], .stos + 2

        TEST    "single step and INT n"
        HOOKED
        STEP_ON
        int     90h                     ; counted by the hook as well: TF is clear in the handler
        STEP_OFF
        UNHOOKED
        EXPECT  [hook_count], 1 + 3
        EXPECT  [counts + 90h * 4], 1

        TEST    "single step and MOV SS"
        HOOKED
        mov     ax, ss
        STEP_ON
.ss:    mov     ss, ax
        nop
        nop
        STEP_OFF
        UNHOOKED
        EXPECT  [hook_count], 2 + 3
        EXPECT  [hook_eips], .ss + 3

        TEST    "TF set by IRET acts after one instruction"
        HOOKED
        pushfd
        or      dword [esp], FLAG_TF
        push    cs
        push    dword .iret
        iretd
.iret:  nop
.iret2: nop
        STEP_OFF
        UNHOOKED
        EXPECT  [hook_count], 2 + 3
        EXPECT  [hook_eips], .iret2

        TEST    "PUSHFD under TF shows TF"
        HOOKED
        STEP_ON
        pushfd
        STEP_OFF
        UNHOOKED
        pop     eax
        and     eax, FLAG_TF
        EXPECT  eax, FLAG_TF

        TEST    "instruction breakpoint"
        HOOKED
        mov     ecx, 0
        SET_DR  dr0, .code
        SET_DR  dr7, 00000402h          ; G0
        nop
.code:  inc     ecx
        nop
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  ecx, 1
        EXPECT  [hook_count], 1
        EXPECT  [hook_eips], .code
        EXPECT  [hook_dr6s], 0ffff0ff1h
        and     dword [seen_eflags], FLAG_RF
        EXPECT  [seen_eflags], 0        ; clear in the image that the breakpoint pushes

        TEST    "instruction breakpoint in a loop, with RF each time"
        HOOKED
        SET_DR  dr1, .body
        SET_DR  dr7, 00000404h          ; L1
        mov     ecx, 6
.body:  dec     ecx
        jnz     .body
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  [hook_count], 6
        EXPECT  [hook_dr6s], 0ffff0ff2h

        TEST    "instruction breakpoint after MOV SS is suppressed"
        HOOKED
        SET_DR  dr0, .after_ss
        SET_DR  dr7, 00000402h
        mov     ax, ss
        mov     ss, ax
.after_ss:
        nop
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  [hook_count], 0

        TEST    "data breakpoints: lengths"
%macro WATCH 3                          ; length and kind bits, instruction, traps
        HOOKED
        SET_DR  dr0, watched
        SET_DR  dr7, 00000402h | (%1) << 16
        %2
%%after:
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  [hook_count], %3
    %if %3 == 1
        EXPECT  [hook_eips], %%after
        EXPECT  [hook_dr6s], 0ffff0ff1h
    %endif
%endmacro
        WATCH   0001b, {mov byte [watched], 1}, 1
        WATCH   0001b, {mov byte [watched + 1], 1}, 0
        WATCH   0001b, {mov byte [watched - 1], 1}, 0
        WATCH   0001b, {mov dword [watched - 3], 1}, 1
        WATCH   0001b, {mov dword [watched - 4], 1}, 0
        WATCH   0101b, {mov byte [watched + 1], 1}, 1
        WATCH   0101b, {mov byte [watched + 2], 1}, 0
        WATCH   1101b, {mov byte [watched + 3], 1}, 1
        WATCH   1101b, {mov byte [watched + 4], 1}, 0
        WATCH   1101b, {mov word [watched - 1], 1}, 1
        WATCH   0001b, {mov al, [watched]}, 0
        TEST    "data breakpoints: reads and writes"
        WATCH   1111b, {mov al, [watched + 2]}, 1
        WATCH   1111b, {add dword [watched], 1}, 1
        WATCH   1111b, {cmp dword [watched], 1}, 1
        WATCH   1111b, {lea eax, [watched]}, 0
        WATCH   1101b, {push dword [watched]}, 0
        add     esp, 4
        TEST    "data breakpoints: other instructions"
        WATCH   1101b, {xchg [watched], eax}, 1
        WATCH   1101b, {bts dword [watched], 3}, 1
        fninit
        WATCH   1111b, {fld dword [watched]}, 1
        WATCH   1101b, {fstp dword [watched]}, 1
        push    eax
        WATCH   1101b, {pop dword [watched]}, 1
        mov     edi, watched
        WATCH   1101b, {stosd}, 1
        mov     esi, watched
        mov     edi, DATA
        WATCH   1111b, {movsd}, 1

        TEST    "data breakpoint in a repetition traps after the element"
        HOOKED
        mov     edi, watched - 8
        mov     ecx, 8
        SET_DR  dr0, watched
        SET_DR  dr7, 000d0402h
.rep2:  rep     stosd
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  [hook_count], 1
        EXPECT  [hook_eips], .rep2
        EXPECT  [seen_ecx], 5
        EXPECT  ecx, 0

        TEST    "data breakpoint that is not enabled is no trap"
        HOOKED
        SET_DR  dr0, watched
        SET_DR  dr7, 000d0400h
        mov     dword [watched], 1
        UNHOOKED
        EXPECT  [hook_count], 0

        TEST    "data breakpoint of MOV SS is delivered an instruction later"
        HOOKED
        mov     word [watched], ss
        SET_DR  dr0, watched
        SET_DR  dr7, 00070402h          ; 2 bytes, read or write
.ss2:   mov     ss, [watched]
        nop
.ss3:   nop
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  [hook_count], 1
        EXPECT  [hook_eips], .ss3

        TEST    "fault and data breakpoint in one instruction: the fault comes alone"
        SET_DR  dr6, 0ffff0ff0h
        SET_DR  dr0, watched
        mov     dword [watched], 0
        SET_DR  dr7, 000f0402h
        mov     eax, 1
        FAULT   0, NO_ERROR, div dword [watched]
        SET_DR  dr7, 400h

        TEST    "I/O breakpoints"
        mov     eax, cr4
        or      al, 8                   ; DE
        mov     cr4, eax
%macro WATCH_IO 4                       ; port, length, instruction, traps
        HOOKED
        SET_DR  dr0, %1
        SET_DR  dr7, 00000402h | ((%2) << 2 | 2) << 16
        mov     al, 0
        mov     dx, 80h
        %3
%%after:
        SET_DR  dr7, 400h
        UNHOOKED
        EXPECT  [hook_count], %4
    %if %4 == 1
        EXPECT  [hook_eips], %%after
        EXPECT  [hook_dr6s], 0ffff0ff1h
    %endif
%endmacro
        WATCH_IO 80h, 0, {out 80h, al}, 1
        WATCH_IO 80h, 0, {in al, 80h}, 1
        WATCH_IO 81h, 0, {out 80h, al}, 0
        WATCH_IO 81h, 0, {out 80h, ax}, 1
        WATCH_IO 80h, 3, {out dx, al}, 1
        mov     esi, DATA
        WATCH_IO 80h, 0, {outsb}, 1
        TEST    "DR4 and DR5 with CR4.DE"
        FAULT   6, NO_ERROR, mov eax, dr4
        FAULT   6, NO_ERROR, mov dr5, eax
        mov     eax, cr4
        and     al, ~8
        mov     cr4, eax
        mov     eax, dr5
        EXPECT  eax, 400h
        mov     eax, dr4
        EXPECT  eax, 0ffff0ff1h & 0fffffff0h

        TEST    "general detect"
        SET_DR  dr7, 2400h
        FAULT   1, NO_ERROR, mov eax, dr0
        EXPECT  [seen_dr6], 0ffff2ff0h
        test    dword [seen_eflags], FLAG_RF
        setnz   al
        movzx   eax, al
        EXPECT  eax, 1
        mov     eax, dr7
        EXPECT  eax, 400h               ; the handler may use the registers
        SET_DR  dr6, 0ffff0ff1h         ; an older breakpoint's bit does not make this one a breakpoint
        SET_DR  dr7, 2400h
        FAULT   1, NO_ERROR, mov dr6, eax
        test    dword [seen_eflags], FLAG_RF
        setnz   al
        movzx   eax, al
        EXPECT  eax, 1
        SET_DR  dr6, 0ffff0ff0h

        TEST    "INT1, INT3, INTO, BOUND"
        RECOVER .int1
        db      0f1h
.int1:  EXPECT  [seen_vector], 1
        EXPECT  [seen_eip], .int1
        EXPECT  [seen_dr6], 0ffff0ff0h
        RECOVER .int3
        int3
.int3:  EXPECT  [seen_vector], 3
        EXPECT  [seen_eip], .int3
        xor     eax, eax
        into
        mov     al, 7fh
        inc     al
        RECOVER .into
        into
.into:  EXPECT  [seen_vector], 4
        EXPECT  [seen_eip], .into
        mov     dword [DATA], -5
        mov     dword [DATA + 4], 7
        mov     eax, -5
        bound   eax, [DATA]
        mov     eax, 7
        bound   eax, [DATA]
        mov     eax, 8
        FAULT   5, NO_ERROR, {bound eax, [DATA]}
        mov     eax, -6
        FAULT   5, NO_ERROR, {bound eax, [DATA]}

        TEST    "SYSENTER keeps TF; the trap comes at level 0"
        mov     ecx, 174h
        mov     eax, CODE0
        xor     edx, edx
        wrmsr
        mov     ecx, 175h
        mov     eax, STACK_TSS
        wrmsr
        mov     ecx, 176h
        mov     eax, .entry
        wrmsr
        mov     dword [user_flags], 2 | FLAG_TF
        RECOVER .entered
        USER    .enter
.enter: sysenter
.entry: nop
.entered:
        mov     dword [user_flags], 2
        EXPECT  [seen_vector], 1
        EXPECT  [seen_eip], .entry
        EXPECT  [seen_cs], CODE0

        TEST    "HLT under TF is left by the trap"
        HOOKED
        mov     dword [hook_and], ~FLAG_TF
        STEP_ON
        hlt
.halt:  UNHOOKED
        EXPECT  [hook_count], 1
        EXPECT  [hook_eips], .halt
        ret

        align   4
hook_count:     dd 0
hook_or:        dd 0
hook_and:       dd 0
all_dr6:        dd 0
hook_eips:      times 32 dd 0
hook_dr6s:      times 32 dd 0
        END_OF_IMAGE
