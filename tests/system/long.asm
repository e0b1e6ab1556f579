; long.asm - instructions of 64-bit code with known results, at level 0 and 3, and those of newer processors that user code of the
; host cannot show: SDM vol. 2; vol. 3, 4.6 and chapter 9.
%include "system.inc"
        cpu     all

CODE64          equ FREE                ; level 0, then data: SYSCALL's
DATA64          equ FREE + 8
USER32          equ FREE + 10h          ; SYSRET's: 32-bit code, data, 64-bit code
USER_DATA       equ FREE + 18h
USER64          equ FREE + 20h
PML4            equ PAGES

%macro WRITE_MSR 3                      ; number, high, low
        mov     ecx, %1
        mov     edx, %2
        mov     eax, %3
        wrmsr
%endmacro

main:
        mov     eax, 80000000h
        cpuid
        cmp     eax, 80000001h
        jb      .none
        mov     eax, 80000001h
        cpuid
        bt      edx, 29
        jc      .long
.none:  ret
.long:  mov     [extended], edx
        mov     eax, 1
        cpuid
        mov     [features], ecx
        mov     eax, 7
        xor     ecx, ecx
        cpuid
        mov     [features7], ebx
        mov     [features7c], ecx
        mov     dword [gdt + CODE64 + 4], 00209b00h
        mov     dword [gdt + DATA64], 0000ffffh
        mov     dword [gdt + DATA64 + 4], 00cf9300h
        mov     dword [gdt + USER32], 0000ffffh
        mov     dword [gdt + USER32 + 4], 00cffb00h
        mov     dword [gdt + USER_DATA], 0000ffffh
        mov     dword [gdt + USER_DATA + 4], 00cff300h
        mov     dword [gdt + USER64 + 4], 0020fb00h
        mov     edi, PML4               ; 4 MiB by two large pages, for level 3 as well
        xor     eax, eax
        mov     ecx, 3 * 400h
        rep     stosd
        mov     dword [PML4], (PML4 + 1000h) | 7
        mov     dword [PML4 + 1000h], (PML4 + 2000h) | 7
        mov     dword [PML4 + 2000h], 87h
        mov     dword [PML4 + 2008h], 200087h
        mov     eax, PML4
        mov     cr3, eax
        mov     eax, cr4
        or      eax, 20h                ; PAE
        test    byte [features7], 1
        jz      .no_fsgsbase
        or      eax, 10000h
.no_fsgsbase:
        mov     cr4, eax
        WRITE_MSR 0c0000080h, 0, 101h   ; LME, SCE
        WRITE_MSR 0c0000081h, USER32 << 16 | CODE64, 0
        WRITE_MSR 0c0000082h, 0, from_user
        WRITE_MSR 0c0000084h, 0, 400h   ; SYSCALL clears DF
        mov     [saved_esp], esp
        mov     eax, cr0
        or      eax, 80000000h
        mov     cr0, eax
        jmp     CODE64:in_long

        bits    64
        default abs
in_long:
        mov     rax, 1122334455667788h
        movsxd  rcx, eax
        mov     [got], rcx
        mov     eax, 0f0000000h
        movsxd  rcx, eax
        mov     [got + 8], rcx
        ; CMPXCHG16B: equal, then not
        mov     rax, 1
        mov     rdx, 2
        mov     [pair], rax
        mov     [pair + 8], rdx
        mov     rbx, 3
        mov     rcx, 4
        cmpxchg16b [pair]
        setz    [got + 16]
        lock    cmpxchg16b [pair]
        setz    [got + 17]
        mov     [got + 24], rax
        mov     [got + 32], rdx
        ; FS and GS bases
        test    byte [features7], 1
        jz      .no_fsgsbase
        mov     rax, 7fff12345678h
        wrfsbase rax
        wrgsbase rax
        rdfsbase rbx
        rdgsbase ecx                    ; 32 bits
        mov     [got + 40], rbx
        mov     [got + 48], rcx
.no_fsgsbase:
        mov     ecx, 0c0000102h         ; KERNEL_GS_BASE
        mov     eax, 0aaaa0000h
        xor     edx, edx
        wrmsr
        swapgs
        mov     ecx, 0c0000101h
        rdmsr
        mov     [got + 56], eax
        mov     dword [got + 60], 0
        ; RDTSCP, RDPID: TSC_AUX
        bt      dword [extended], 27
        jnc     .no_rdtscp
        mov     ecx, 0c0000103h
        mov     eax, 5a5a1234h
        xor     edx, edx
        wrmsr
        rdtscp
        mov     [got + 64], ecx
        bt      dword [features7c], 22
        jnc     .no_rdtscp
        rdpid   rbx
        mov     [got + 68], ebx
.no_rdtscp:
        ; to level 3 and back
        mov     rcx, in_user
        mov     r11, 0cd7h              ; DF, OF, status: TF and IF are not touched
        and     r11d, ~300h
        o64 sysret
from_user:
        mov     [got + 72], rcx
        mov     [got + 80], r11
        mov     esp, 70000h
        pushfq
        pop     qword [got + 88]
        mov     eax, cs
        mov     [got + 96], eax
        mov     eax, ss
        mov     [got + 100], eax
        jmp     far dword [to32]

in_user:
        mov     eax, cs
        mov     [got + 104], eax
        mov     eax, ss
        mov     [got + 108], eax
        syscall
after_syscall:

        bits    32
in_32:  mov     eax, cr0                ; compatibility mode: out
        and     eax, 7fffffffh
        mov     cr0, eax
        mov     ecx, 0c0000080h
        xor     eax, eax
        xor     edx, edx
        wrmsr
        mov     eax, cr4
        and     eax, ~10020h
        mov     cr4, eax
        mov     ax, DATA0
        mov     ss, ax
        mov     esp, [saved_esp]
        mov     ax, DATA3 | 3
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        TEST    "MOVSXD"
        EXPECT  [got], 55667788h
        EXPECT  [got + 4], 0
        EXPECT  [got + 8], 0f0000000h
        EXPECT  [got + 12], 0ffffffffh
        TEST    "CMPXCHG16B"
        movzx   eax, word [got + 16]
        EXPECT  eax, 1
        EXPECT  [got + 24], 3
        EXPECT  [got + 32], 4
        TEST    "FS and GS bases"
        test    byte [features7], 1
        jz      .no_fsgsbase
        EXPECT  [got + 40], 12345678h
        EXPECT  [got + 44], 7fffh
        EXPECT  [got + 48], 12345678h
        EXPECT  [got + 52], 0
.no_fsgsbase:
        EXPECT  [got + 56], 0aaaa0000h
        TEST    "RDTSCP, RDPID"
        bt      dword [extended], 27
        jnc     .no_rdtscp
        EXPECT  [got + 64], 5a5a1234h
        bt      dword [features7c], 22
        jnc     .no_rdtscp
        EXPECT  [got + 68], 5a5a1234h
.no_rdtscp:
        TEST    "SYSRET and SYSCALL"
        EXPECT  [got + 72], after_syscall
        EXPECT  [got + 80], 0cd7h & ~300h
        mov     eax, [got + 88]
        and     eax, 400h
        EXPECT  eax, 0
        EXPECT  [got + 96], CODE64
        EXPECT  [got + 100], DATA64
        EXPECT  [got + 104], USER64 | 3
        EXPECT  [got + 108], USER_DATA | 3
        TEST    "MONITOR and MWAIT"
        bt      dword [features], 3
        jnc     .no_monitor
        xor     eax, eax
        xor     ecx, ecx
        mwait                           ; nothing is armed: goes on at once
        mov     eax, got
        xor     edx, edx
        monitor
        mov     ecx, 1 << 8
        FAULT   13, 0, {monitor}
        mov     eax, got
        USER_FAULT 6, NO_ERROR, {monitor}
        USER_FAULT 6, NO_ERROR, {mwait}
.no_monitor:
        TEST    "XSAVEOPT, XSAVEC"
        bt      dword [features], 26
        jnc     .no_xsave
        mov     eax, cr4
        or      eax, 40200h             ; OSXSAVE, OSFXSR
        mov     cr4, eax
        mov     eax, 13
        mov     ecx, 1
        cpuid
        mov     [xsave_features], eax
        xor     ecx, ecx
        xor     edx, edx
        mov     eax, 3
        xsetbv
        fninit
        fld1
        mov     edi, DATA
        mov     ecx, 400h
        xor     eax, eax
        rep     stosd
        bt      dword [xsave_features], 1
        jnc     .no_xsavec
        mov     eax, 3
        xsavec  [DATA]
        EXPECT  [DATA + 516], 0         ; XSTATE_BV: x87 is not as after FNINIT
        mov     eax, [DATA + 512]
        and     eax, 1
        EXPECT  eax, 1
        EXPECT  [DATA + 520], 3         ; XCOMP_BV
        EXPECT  [DATA + 524], 80000000h
        EXPECT  [DATA + 36], 80000000h  ; ST(0) is 1
.no_xsavec:
        mov     dword [DATA + 520], 0
        mov     dword [DATA + 524], 0
        bt      dword [xsave_features], 0
        jnc     .no_xsave
        mov     eax, 1
        xsaveopt [DATA + 1000h]
        mov     eax, [DATA + 1000h + 512]
        and     eax, 1
        EXPECT  eax, 1
        EXPECT  [DATA + 1024h], 80000000h
        FAULT   13, 0, {xsaveopt [DATA + 8]}
.no_xsave:
        TEST    "RDPKRU, WRPKRU"
        bt      dword [features7c], 3
        jnc     .no_keys
        xor     ecx, ecx
        FAULT   6, NO_ERROR, {db 0fh, 1, 0eeh}
        mov     eax, cr4
        or      eax, 400000h            ; PKE
        mov     cr4, eax
        mov     eax, 5
        xor     edx, edx
        db      0fh, 1, 0efh            ; wrpkru: NASM wants 64-bit code for both
        xor     eax, eax
        mov     edx, -1
        db      0fh, 1, 0eeh            ; rdpkru
        EXPECT  eax, 5
        EXPECT  edx, 0
        mov     ecx, 1
        FAULT   13, 0, {db 0fh, 1, 0eeh}
        FAULT   13, 0, {db 0fh, 1, 0efh}
        xor     ecx, ecx
        mov     edx, 1
        FAULT   13, 0, {db 0fh, 1, 0efh}
.no_keys:
        ret

        align   16
pair:           dq 0, 0
got:            times 16 dq 0
to32:           dd in_32
                dw CODE0
        align   4
saved_esp:      dd 0
features:       dd 0
features7:      dd 0
features7c:     dd 0
extended:       dd 0
xsave_features: dd 0
        END_OF_IMAGE
