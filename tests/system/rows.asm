; rows.asm - instructions with known results that 64-bit code does not have, so that hosts which run nothing else cannot serve
; as reference for them, and those that no other test executes: SDM vol. 2. Results of the decimal instructions are what
; an 80286 gave (recorded vectors; defined flags).
%include "system.inc"
        cpu     all

; AX, flags in (CF, AF), instruction; AX and the defined flags out.
%macro DECIMAL 6
        mov     eax, %1
        push    dword %2
        popfd
        %3
        pushfd
        pop     ebx
        and     ebx, %4
        and     eax, 0ffffh
        EXPECT  eax, %5
        EXPECT  ebx, %6
%endmacro
%define FLAGS_SZAPC 0d5h
%define FLAGS_AC    11h
%define FLAGS_SZP   0c4h

main:
        TEST    "DAA, DAS, AAA, AAS, AAM, AAD"
        DECIMAL 79h, 2, daa, FLAGS_SZAPC, 79h, 0
        DECIMAL 7ah, 2, daa, FLAGS_SZAPC, 80h, 90h
        DECIMAL 9ah, 2, daa, FLAGS_SZAPC, 0, 55h
        DECIMAL 0a0h, 2, daa, FLAGS_SZAPC, 0, 45h
        DECIMAL 99h, 13h, daa, FLAGS_SZAPC, 0ffh, 95h
        DECIMAL 01h, 12h, das, FLAGS_SZAPC, 0fbh, 91h
        DECIMAL 9fh, 2, das, FLAGS_SZAPC, 39h, 15h
        DECIMAL 0eeh, 2, das, FLAGS_SZAPC, 88h, 95h
        DECIMAL 20h, 3, das, FLAGS_SZAPC, 0c0h, 85h
        DECIMAL 010bh, 2, aaa, FLAGS_AC, 0201h, 11h
        DECIMAL 0105h, 2, aaa, FLAGS_AC, 0105h, 0
        DECIMAL 00fah, 12h, aaa, FLAGS_AC, 0200h, 11h   ; 286 and later add 106h to AX
        DECIMAL 0205h, 12h, aas, FLAGS_AC, 000fh, 11h
        DECIMAL 0304h, 2, aas, FLAGS_AC, 0304h, 0
        DECIMAL 1263h, 2, aam, FLAGS_SZP, 0909h, 4
        DECIMAL 0063h, 2, {aam 7}, FLAGS_SZP, 0e01h, 0
        DECIMAL 0905h, 2, aad, FLAGS_SZP, 005fh, 4
        DECIMAL 0203h, 2, {aad 80h}, FLAGS_SZP, 0003h, 4
        mov     eax, 5
        FAULT   0, NO_ERROR, {aam 0}

        TEST    "SALC"
        DECIMAL 1200h, 3, {db 0d6h}, 1, 12ffh, 1
        DECIMAL 12ffh, 2, {db 0d6h}, 1, 1200h, 0

        TEST    "82, an alias of 80"
%macro ALIAS 3                          ; /reg, AL, flags of AL = 5Ah with 3Ch and carry
        DECIMAL 5ah, 3, {db 82h, 0c0h | %1 << 3, 3ch}, 8d5h, %2, %3
%endmacro
        ALIAS   0, 96h, 894h
        ALIAS   4, 18h, 4
        ALIAS   2, 97h, 890h
        ALIAS   3, 1dh, 14h
        ALIAS   5, 1eh, 14h
        ALIAS   7, 5ah, 14h
        DECIMAL 5ah, 3, {db 82h, 0c8h, 3ch}, 8c5h, 7eh, 4
        DECIMAL 5ah, 3, {db 82h, 0f0h, 3ch}, 8c5h, 66h, 4
        mov     dword [DATA], 11223344h
        db      82h, 05h                ; add byte [DATA], 12h
        dd      DATA
        db      12h
        EXPECT  [DATA], 11223356h
        FAULT   6, NO_ERROR, {db 0f0h, 82h, 0c0h, 1}
        lock    add byte [DATA], 1

        TEST    "INC and DEC by opcode"
        stc
        mov     ecx, 7fffffffh
        inc     ecx
        setc    al
        seto    ah
        EXPECT  ecx, 80000000h
        movzx   eax, ax
        EXPECT  eax, 101h               ; CF stays
        dec     cx
        EXPECT  ecx, 8000ffffh
        dec     ecx
        EXPECT  ecx, 8000fffeh

        TEST    "PUSHA, POPA"
        mov     eax, 1
        mov     ecx, 2
        mov     edx, 3
        mov     ebx, 4
        mov     ebp, 6
        mov     esi, 7
        mov     edi, 8
        mov     [saved_esp], esp
        pushad
        mov     eax, [esp + 12]         ; ESP as it was
        sub     eax, [saved_esp]
        mov     [result], eax
        mov     dword [esp + 12], 12345h ; not popped
        mov     dword [esp + 24], 0c0dec0deh
        popad
        EXPECT  [result], 0
        EXPECT  ecx, 0c0dec0deh
        EXPECT  eax, 1
        EXPECT  edi, 8
        sub     [saved_esp], esp
        EXPECT  [saved_esp], 0
        mov     ebp, 55556666h
        pushaw
        mov     word [esp + 4], 7777h
        popaw
        EXPECT  ebp, 55557777h
        EXPECT  ecx, 0c0dec0deh

        TEST    "PUSH and POP of segment registers"
        mov     eax, DATA0
        mov     es, ax
        mov     fs, ax
        push    es
        EXPECT  eax, DATA0
        pop     gs
        mov     ebx, gs
        EXPECT  ebx, DATA0
        db      66h, 16h                ; push ss, 16 bits
        pop     cx
        movzx   ecx, cx
        EXPECT  ecx, DATA0
        push    ds
        pop     es
        push    cs
        pop     edx
        EXPECT  edx, CODE0
        push    ss
        pop     ss
        push    fs
        pop     ds
        mov     ebx, ds
        EXPECT  ebx, DATA0
        push    dword DATA3 | 3
        pop     ds

        TEST    "LES, LDS, LSS, LFS, LGS"
        mov     dword [DATA], 11223344h
        mov     dword [DATA + 4], DATA3 | 3
        mov     word [DATA + 8], DATA0
        les     ebx, [DATA]
        lds     esi, [DATA]
        lfs     edi, [DATA]
        lgs     ecx, [DATA]
        EXPECT  ebx, 11223344h
        EXPECT  esi, 11223344h
        mov     eax, es
        EXPECT  eax, DATA3 | 3
        mov     edx, [DATA + 6]
        les     dx, [DATA + 2]          ; 16:16 at DATA + 2: 1122h, DATA3 | 3
        movzx   edx, dx
        EXPECT  edx, 1122h
        FAULT   6, NO_ERROR, {db 0c4h, 0c0h}
        FAULT   6, NO_ERROR, {db 0c5h, 0c9h}
        FAULT   6, NO_ERROR, {db 0fh, 0b2h, 0c0h}

        TEST    "BOUND, INTO"
        mov     dword [DATA], 10
        mov     dword [DATA + 4], 20
        mov     eax, 10
        bound   eax, [DATA]
        mov     eax, 20
        bound   eax, [DATA]
        mov     eax, 21
        FAULT   5, NO_ERROR, {bound eax, [DATA]}
        mov     eax, 9
        FAULT   5, NO_ERROR, {bound eax, [DATA]}
        mov     dword [DATA], 0fff08001h ; words: -32767 to -16
        mov     eax, 8000h
        FAULT   5, NO_ERROR, {bound ax, [DATA]}
        mov     eax, 0ffffh
        FAULT   5, NO_ERROR, {bound ax, [DATA]}
        mov     eax, 8001h
        bound   ax, [DATA]
        FAULT   6, NO_ERROR, {db 62h, 0c0h}
        xor     eax, eax
        into                            ; OF clear: nothing
        mov     al, 7fh
        inc     al
        RECOVER .into_done
.into:  into
.into_done:
        EXPECT  [seen_vector], 4
        EXPECT  [seen_eip], .into + 1   ; a trap

        TEST    "far and near transfers"
        mov     [saved_esp], esp
        call    CODE0:.far
.far_back:
        push    dword 5
        call    CODE0:.far_n            ; RET 4
        sub     [saved_esp], esp
        EXPECT  [saved_esp], 0
        mov     dword [DATA], .far
        mov     word [DATA + 4], CODE0
        call    far [DATA]
        mov     dword [DATA], .jumped
        jmp     far [DATA]
.far:   mov     edx, cs
        retf
.far_n: retf    4
.near_n: ret    8
.jumped: EXPECT edx, CODE0
        mov     [saved_esp], esp
        push    dword 1
        push    dword 2
        mov     eax, .near_n
        call    eax
        sub     [saved_esp], esp
        EXPECT  [saved_esp], 0
        mov     dword [DATA], .over
        jmp     [DATA]
        EXPECT  0, 1
.over:  jmp     CODE0:.here
.here:  pushfd
        push    cs
        push    dword .iret
        iretd
.iret:

        TEST    "ARPL"
        mov     eax, 0abcd0010h
        mov     ebx, 3
        arpl    ax, bx
        setz    cl
        EXPECT  eax, 0abcd0013h
        movzx   ecx, cl
        EXPECT  ecx, 1
        mov     ebx, 2
        arpl    ax, bx
        setz    cl
        EXPECT  eax, 0abcd0013h
        movzx   ecx, cl
        EXPECT  ecx, 0
        mov     dword [DATA], 8
        mov     ebx, 1
        arpl    [DATA], bx
        EXPECT  [DATA], 9

        TEST    "SLDT, STR, SGDT, SIDT, SMSW"
        mov     eax, 55555555h
        str     ax
        EXPECT  eax, 55550000h | TSS_SEL
        str     eax
        EXPECT  eax, TSS_SEL
        mov     dword [DATA], 55555555h
        str     [DATA]                  ; a word, whatever the operand size
        EXPECT  [DATA], 55550000h | TSS_SEL
        sldt    eax
        EXPECT  eax, 0
        sgdt    [DATA]
        EXPECT  [DATA + 2], gdt
        sidt    [DATA]
        EXPECT  [DATA + 2], idt
        movzx   eax, word [DATA]
        EXPECT  eax, 256 * 8 - 1
        mov     ebx, cr0
        smsw    eax
        sub     eax, ebx
        EXPECT  eax, 0
        mov     dword [DATA], 55555555h
        smsw    [DATA]
        movzx   eax, word [DATA + 2]
        EXPECT  eax, 5555h
        lidt    [idtr]

        TEST    "CPUID, RDTSC"
        mov     eax, 0
        cpuid
        cmp     eax, 1
        setb    al
        movzx   eax, al
        EXPECT  eax, 0
        rdtsc
        mov     ebx, eax
        mov     ecx, edx
        rdtsc
        sub     eax, ebx
        sbb     edx, ecx
        setc    al
        movzx   eax, al
        EXPECT  eax, 0                  ; it does not run backwards
        mov     eax, cr4
        or      al, 4                   ; TSD
        mov     cr4, eax
        USER_FAULT 13, 0, {rdtsc}
        rdtsc
        mov     eax, cr4
        and     al, ~4
        mov     cr4, eax

        TEST    "RDRAND, RDSEED"
        mov     eax, 1
        cpuid
        test    ecx, 40000000h
        jz      .no_random
        clc
        mov     eax, 12340000h
        rdrand  ax
        setc    bl
        shr     eax, 16
        EXPECT  eax, 1234h
        movzx   ebx, bl
        EXPECT  ebx, 1
        rdseed  bx
        rdseed  ecx
        rdrand  edx
.no_random:

        TEST    "RSM outside of SMM, INVD"
        FAULT   6, NO_ERROR, {rsm}
        invd
        wbinvd
        ret

        align   4
saved_esp:      dd 0
result:         dd 0
        END_OF_IMAGE
