; paging.asm - page faults, rights, accessed and dirty bits, large pages, PAE, accesses across pages, and instructions that
; are restarted after a fault in their middle: SDM vol. 3, chapter 4.
%include "system.inc"

PD              equ PAGES               ; 32-bit paging
PT0             equ PAGES + 1000h       ; 0 to 4 MiB is itself
PT1             equ PAGES + 2000h       ; the tests' pages
PDPT            equ PAGES + 10000h      ; PAE
PAE_PD          equ PAGES + 11000h
PAE_PT          equ PAGES + 12000h
T               equ 400000h             ; linear, page 0 of PT1
FRAME           equ 240000h             ; physical pages of the tests
P               equ 1
W               equ 2
U               equ 4
A               equ 20h
D               equ 40h
PS              equ 80h
G               equ 100h

%macro MAP 2                            ; page of T, entry
        mov     dword [PT1 + 4 * (%1)], %2
        invlpg  [T + 1000h * (%1)]
%endmacro
%macro PAGE_FAULT 3+                    ; error, CR2, instruction
        FAULT   14, %1, %3
        EXPECT  [seen_cr2], %2
%endmacro
%macro USER_PAGE_FAULT 3+
        USER_FAULT 14, %1, %3
        EXPECT  [seen_cr2], %2
%endmacro
%macro SET_CR 2
        mov     eax, %2
        mov     %1, eax
%endmacro

main:
        mov     edi, PD
        xor     eax, eax
        mov     ecx, 8000h
        rep     stosd
        mov     dword [PD], PT0 | P | W | U
        mov     dword [PD + 4], PT1 | P | W | U
        mov     edi, PT0
        mov     eax, P | W | U
.fill:  stosd
        add     eax, 1000h
        cmp     eax, 400000h
        jb      .fill
        SET_CR  cr3, PD
        mov     eax, cr0
        or      eax, 80010000h          ; PG, WP
        mov     cr0, eax

        TEST    "absent pages"
        PAGE_FAULT 0, T, {mov eax, [T]}
        PAGE_FAULT 2, T + 4, {mov [T + 4], eax}
        PAGE_FAULT 2, T + 8, {add [T + 8], eax}
        USER_PAGE_FAULT 4, T + 12, {mov al, [T + 12]}
        USER_PAGE_FAULT 6, T + 16, {mov [T + 16], al}
        PAGE_FAULT 0, 800123h, {mov al, [800123h]}      ; no table

        TEST    "rights"
        MAP     0, FRAME | P | U
        mov     eax, [T]
        PAGE_FAULT 3, T, {mov [T], eax}
        USER_PAGE_FAULT 7, T, {mov [T], eax}
        MAP     0, FRAME | P | W
        mov     [T], eax
        USER_PAGE_FAULT 5, T, {mov eax, [T]}
        USER_PAGE_FAULT 7, T, {mov [T], eax}
        mov     dword [PD + 4], PT1 | P | U             ; the directory's rights count too
        invlpg  [T]
        PAGE_FAULT 3, T, {mov [T], eax}
        mov     dword [PD + 4], PT1 | P | W
        MAP     0, FRAME | P | W | U
        USER_PAGE_FAULT 5, T, {mov eax, [T]}
        mov     dword [PD + 4], PT1 | P | W | U
        invlpg  [T]
        mov     byte [T], 0c3h
        MAP     0, FRAME | P | W
        RECOVER .fetched
        USER    T
.fetched:
        EXPECT  [seen_vector], 14
        EXPECT  [seen_error], 5
        EXPECT  [seen_eip], T

        TEST    "CR0.WP"
        mov     eax, cr0
        and     eax, ~10000h
        mov     cr0, eax
        MAP     0, FRAME | P | U
        mov     dword [T], 12345678h
        EXPECT  [FRAME], 12345678h
        USER_PAGE_FAULT 7, T, {mov [T], eax}
        mov     eax, cr0
        or      eax, 10000h
        mov     cr0, eax
        PAGE_FAULT 3, T, {mov [T], eax}

        TEST    "accessed and dirty bits"
        mov     dword [PD + 4], PT1 | P | W | U
        MAP     0, FRAME | P | W | U
        mov     eax, [T]
        EXPECT  [PT1], FRAME | P | W | U | A
        EXPECT  [PD + 4], PT1 | P | W | U | A
        mov     [T], eax
        EXPECT  [PT1], FRAME | P | W | U | A | D
        EXPECT  [PD + 4], PT1 | P | W | U | A
        MAP     0, FRAME | P | W | U
        mov     [T], eax
        EXPECT  [PT1], FRAME | P | W | U | A | D
        MAP     0, FRAME | P | W | U
        cmpxchg [T], ecx                ; writes in any case
        EXPECT  [PT1], FRAME | P | W | U | A | D
        MAP     0, FRAME | P | U
        PAGE_FAULT 3, T, {mov [T], eax}
        mov     eax, [PT1]
        and     eax, D
        EXPECT  eax, 0
        MAP     0, FRAME | P | W | U
        mov     byte [T], 0c3h
        MAP     0, FRAME | P | W | U
        mov     ecx, T
        call    ecx
        EXPECT  [PT1], FRAME | P | W | U | A

        TEST    "across two pages, one of them absent"
        MAP     0, FRAME | P | W | U
        MAP     1, 0
        mov     dword [T + 0ffch], 11223344h
        PAGE_FAULT 0, T + 1000h, {mov eax, [T + 0ffeh]}
        PAGE_FAULT 2, T + 1000h, {mov dword [T + 0ffeh], 0}
        PAGE_FAULT 2, T + 1000h, {add dword [T + 0fffh], 1}
        PAGE_FAULT 2, T + 1000h, {bts dword [T + 0ffdh], 0}
        PAGE_FAULT 2, T + 1000h, {xchg [T + 0ffdh], eax}
        PAGE_FAULT 2, T + 1000h, {fstp qword [T + 0ffch]}
        PAGE_FAULT 0, T + 1000h, {fld qword [T + 0ffch]}
        PAGE_FAULT 2, T + 1000h, {fstp tword [T + 0ff8h]}
        PAGE_FAULT 2, T + 1000h, {cmpxchg8b [T + 0ffch]}
        EXPECT  [T + 0ffch], 11223344h
        MAP     0, 0
        MAP     1, (FRAME + 1000h) | P | W | U
        mov     dword [T + 1000h], 55667788h
        PAGE_FAULT 0, T + 0ffeh, {mov eax, [T + 0ffeh]}
        PAGE_FAULT 2, T + 0ffeh, {mov dword [T + 0ffeh], 0}
        PAGE_FAULT 2, T + 0fffh, {add word [T + 0fffh], 1}
        EXPECT  [T + 1000h], 55667788h
        MAP     0, FRAME | P | W | U
        mov     dword [T + 0ffeh], 0a0b0c0d0h
        EXPECT  [FRAME + 0ffch], 0c0d03344h
        EXPECT  [FRAME + 1000h], 5566a0b0h
        EXPECT  [T + 0ffeh], 0a0b0c0d0h

        TEST    "code across two pages"
        mov     byte [T + 0ffdh], 0b8h  ; mov eax, imm32; ret
        mov     dword [T + 0ffeh], 0cafe1234h
        mov     byte [T + 1002h], 0c3h
        mov     ecx, T + 0ffdh
        call    ecx
        EXPECT  eax, 0cafe1234h
        MAP     1, 0
        mov     [old_esp], esp
        RECOVER .straddled
        call    ecx
.straddled:
        mov     esp, [old_esp]
        EXPECT  [seen_vector], 14
        EXPECT  [seen_error], 0
        EXPECT  [seen_eip], T + 0ffdh
        EXPECT  [seen_cr2], T + 1000h
        MAP     1, (FRAME + 2000h) | P | W | U          ; another page behind it
        mov     dword [T + 1000h], 00c35678h            ; ...34h 78h 56h c3h: the constant ends differently
        mov     byte [T + 1002h], 0c3h
        call    ecx
        EXPECT  eax, 56781234h

        TEST    "a repetition is restarted where it stopped"
        MAP     0, FRAME | P | W | U
        MAP     1, 0
        mov     edi, T + 0ff0h
        mov     esi, image
        mov     ecx, 8
        PAGE_FAULT 2, T + 1000h, {rep movsd}
        EXPECT  [seen_ecx], 4
        EXPECT  [seen_edi], T + 1000h
        EXPECT  [seen_esi], image + 16
        mov     edi, T + 0ff1h
        mov     esi, image
        mov     ecx, 8
        PAGE_FAULT 2, T + 1000h, {rep movsd}
        EXPECT  [seen_ecx], 5
        EXPECT  [seen_edi], T + 0ffdh
        mov     edi, [seen_edi]
        mov     esi, [seen_esi]
        mov     ecx, [seen_ecx]
        MAP     1, (FRAME + 1000h) | P | W | U
        rep     movsd
        EXPECT  ecx, 0
        mov     esi, image
        mov     edi, T + 0ff1h
        mov     ecx, 32
        repe    cmpsb
        EXPECT  ecx, 0
        MAP     1, 0
        mov     edi, T + 0ffch
        mov     ecx, 100
        mov     eax, -1
        PAGE_FAULT 2, T + 1000h, {rep stosd}
        EXPECT  [seen_ecx], 99
        std
        MAP     1, (FRAME + 1000h) | P | W | U
        MAP     0, 0
        mov     edi, T + 1004h
        mov     ecx, 100
        PAGE_FAULT 2, T + 0ffch, {rep stosd}
        EXPECT  [seen_ecx], 98
        EXPECT  [seen_edi], T + 0ffch
        cld
        mov     edi, T + 1000h
        mov     dword [T + 1ffch], 0
        mov     ecx, 2000h
        mov     al, 77h
        MAP     2, 0
        xor     edx, edx                ; ZF, PF
        stc
        PAGE_FAULT 0, T + 2000h, {repne scasb}
        EXPECT  [seen_ecx], 1000h
        EXPECT  [seen_edi], T + 2000h
        and     dword [seen_eflags], 8c5h
        EXPECT  [seen_eflags], 45h      ; flags are as before the instruction: SDM vol. 2, REP
        mov     esi, T + 1000h
        mov     edi, T + 1000h
        mov     ecx, 800h
        or      eax, -1                 ; SF, PF
        PAGE_FAULT 0, T + 2000h, {repe cmpsd}
        EXPECT  [seen_ecx], 400h
        and     dword [seen_eflags], 8c5h
        EXPECT  [seen_eflags], 84h

        TEST    "instructions that write or read twice"
        MAP     0, 0
        MAP     1, (FRAME + 1000h) | P | W | U
        mov     [old_esp], esp
        mov     eax, 0a1h
        mov     ecx, 0c1h
        mov     ebp, T + 1100h
%macro ON_STACK 4+                      ; ESP, error, CR2, instruction: ESP is as before
        RECOVER %%after
        mov     esp, %1
%%insn: %4
%%after:
        mov     esp, [old_esp]
        EXPECT  [seen_vector], 14
        EXPECT  [seen_error], %2
        EXPECT  [seen_eip], %%insn
        EXPECT  [seen_cr2], %3
%endmacro
        ; (the exception's own frame goes to the same stack, so a level 0 stack that faults is a double fault: these run at
        ; level 3)
%macro USER_STACK 4+
        mov     dword [user_esp], %1
        RECOVER %%after
        USER    %%insn
%%insn: %4
%%after:
        mov     dword [user_esp], STACK3
        EXPECT  [seen_vector], 14
        EXPECT  [seen_error], %2
        EXPECT  [seen_eip], %%insn
        EXPECT  [seen_cr2], %3
        EXPECT  [seen_esp], %1
%endmacro
        USER_STACK T + 1010h, 6, T + 0ffch, {pushad}
        USER_STACK T + 1002h, 6, T + 0ffeh, {push eax}
        USER_STACK T + 1000h, 6, T + 0ffch, {push dword [image]}
        USER_STACK T + 1000h, 6, T + 0ffch, {call main}
        USER_STACK T + 1004h, 6, T + 0ffch, {call CODE3 | 3:main}
        USER_STACK T + 1004h, 6, T + 0ffch, {enter 16, 1}
        EXPECT  [seen_ebp], T + 1100h
        USER_STACK T + 1004h, 6, T + 0ff8h, {enter 8, 0}        ; where ESP would end
        EXPECT  [seen_ebp], T + 1100h
        MAP     2, 0
        USER_STACK T + 1ff0h, 4, T + 2000h, {popad}
        EXPECT  [seen_eax], 0a1h
        EXPECT  [seen_ecx], 0c1h
        USER_STACK T + 1ffch, 4, T + 2000h, {retf}
        USER_STACK T + 1ffch, 6, T + 0ffch, {pop dword [T + 0ffch]}
        USER_STACK T + 1ffeh, 4, T + 2000h, {pop eax}
        EXPECT  [seen_eax], 0a1h
        mov     ebp, T + 1ffeh
        USER_STACK T + 1100h, 4, T + 2000h, {leave}
        EXPECT  [seen_ebp], T + 1ffeh
        mov     ecx, 0c1h
        mov     edx, 0d1h
        PAGE_FAULT 2, T, {xadd [T], ecx}
        EXPECT  [seen_ecx], 0c1h
        PAGE_FAULT 2, T, {xchg [T], ecx}
        EXPECT  [seen_ecx], 0c1h
        PAGE_FAULT 0, T + 2000h, {les ecx, [T + 1ffch]}
        EXPECT  [seen_ecx], 0c1h
        PAGE_FAULT 0, T + 2000h, {bound ecx, [T + 1ffch]}
        PAGE_FAULT 0, T + 2000h, {lgdt [T + 1ffeh]}

        TEST    "4 MiB pages"
        mov     dword [PD + 8], P | W | U | PS          ; 800000h: PS does not count without CR4.PSE
        invlpg  [800000h]
        mov     dword [0], 0
        PAGE_FAULT 0, 800000h, {mov eax, [800000h]}     ; entry 0 of a "table" at 0
        SET_CR  cr4, 10h
        mov     dword [DATA], 0dadaf00h
        EXPECT  [800000h + DATA], 0dadaf00h
        EXPECT  [PD + 8], P | W | U | PS | A
        mov     dword [800000h + DATA], 0beef0001h
        EXPECT  [DATA], 0beef0001h
        EXPECT  [PD + 8], P | W | U | PS | A | D
        mov     dword [PD + 8], P | W | U | PS | 200000h
        invlpg  [800000h]
        PAGE_FAULT 9, 800010h, {mov eax, [800010h]}     ; reserved bit
        PAGE_FAULT 0bh, 800010h, {mov [800010h], eax}
        USER_PAGE_FAULT 0dh, 800010h, {mov eax, [800010h]}
        mov     dword [PD + 8], P | U | PS
        invlpg  [800000h]
        PAGE_FAULT 3, 800010h, {mov [800010h], eax}

        TEST    "INVLPG of a large page, by any address in it"
        mov     dword [PD + 12], 400000h | P | W | PS   ; to make contents at 4 MiB
        invlpg  [0c00000h]
        mov     dword [0c01000h], 4001000h
        mov     dword [0c02000h], 4002000h
        mov     dword [1000h], 1000h
        mov     dword [2000h], 2000h
        mov     dword [PD + 8], P | W | PS
        invlpg  [800000h]
        EXPECT  [801000h], 1000h
        EXPECT  [802000h], 2000h
        mov     dword [PD + 8], 400000h | P | W | PS
        invlpg  [801000h]
        EXPECT  [801000h], 4001000h
        EXPECT  [802000h], 4002000h

        TEST    "global pages"
        SET_CR  cr4, 90h
        MAP     3, (FRAME + 1000h) | P | W | G
        mov     dword [FRAME + 1000h], 1111h
        mov     dword [FRAME + 2000h], 2222h
        EXPECT  [T + 3000h], 1111h
        mov     dword [PT1 + 12], (FRAME + 2000h) | P | W | G
        invlpg  [T + 3000h]
        EXPECT  [T + 3000h], 2222h
        mov     dword [PT1 + 12], (FRAME + 1000h) | P | W | G
        SET_CR  cr4, 10h                                ; clearing PGE empties the TLB
        EXPECT  [T + 3000h], 1111h
        mov     dword [PT1 + 12], (FRAME + 2000h) | P | W
        mov     eax, cr3
        mov     cr3, eax
        EXPECT  [T + 3000h], 2222h

        TEST    "PAE"
        mov     eax, cr0
        and     eax, 7fffffffh
        mov     cr0, eax
        SET_CR  cr4, 20h
        mov     dword [PDPT], PAE_PD | P
        mov     dword [PAE_PD], P | W | U | PS          ; 0 to 4 MiB is itself
        mov     dword [PAE_PD + 8], 200000h | P | W | U | PS
        mov     dword [PAE_PD + 16], PAE_PT | P | W | U ; 400000h
        SET_CR  cr3, PDPT
        mov     eax, cr0
        or      eax, 80000000h
        mov     cr0, eax
        mov     dword [PAE_PT], FRAME | P | W | U
        mov     dword [T], 0abcdef01h
        EXPECT  [FRAME], 0abcdef01h
        EXPECT  [PAE_PT], FRAME | P | W | U | A | D
        EXPECT  [PAE_PD + 8], 200000h | P | W | U | PS | A
        PAGE_FAULT 0, T + 1000h, {mov eax, [T + 1000h]}
        PAGE_FAULT 0, 40000000h, {mov eax, [40000000h]}
        TEST    "PAE reserved bits"
        mov     dword [PAE_PT + 4], 80000000h           ; NX without EFER.NXE
        invlpg  [T]
        PAGE_FAULT 9, T, {mov eax, [T]}
        mov     dword [PAE_PT + 4], 10h << 12           ; an address beyond any processor's
        invlpg  [T]
        PAGE_FAULT 0bh, T, {mov [T], eax}
        mov     dword [PAE_PT + 4], 0
        mov     dword [PAE_PD + 16], 400000h | P | W | U | PS | 2000h
        invlpg  [T]
        PAGE_FAULT 9, T, {mov eax, [T]}
        mov     dword [PAE_PD + 16], 400000h | P | W | U | PS
        invlpg  [T]
        EXPECT  [T + 1000h], 4001000h
        mov     dword [PDPT], PAE_PD | P | W            ; reserved in a PDPTE
        mov     eax, PDPT
        FAULT   13, 0, {mov cr3, eax}
        EXPECT  [T + 1000h], 4001000h                   ; the old PDPTEs are still in use
        mov     dword [PDPT], PAE_PD | P
        mov     cr3, eax

        TEST    "PG without PE"
        mov     eax, cr0
        and     eax, ~1
        FAULT   13, 0, {mov cr0, eax}
        mov     eax, cr0
        and     eax, 7ffeffffh
        mov     cr0, eax
        SET_CR  cr4, 0

        TEST    "A20"
        mov     dword [100000h], 0
        mov     dword [0], 0a20a20h
        xor     eax, eax
        out     92h, al                 ; A20 off, by both who drive it
        mov     ah, 0ddh
        call    a20_by_8042
        mov     dword [200000h + 500h], 0c0ffeeh
        EXPECT  [100000h], 0a20a20h     ; wraps to 0
        mov     dword [100004h], 77h
        mov     al, 2
        out     92h, al
        mov     ah, 0dfh
        call    a20_by_8042
        EXPECT  [4], 77h
        EXPECT  [100000h], 0
        EXPECT  [200500h], 0c0ffeeh     ; bit 21 is not concerned
        ret

; AH to the 8042's output port.
a20_by_8042:
.wait:  in      al, 64h
        test    al, 2
        jnz     .wait
        mov     al, 0d1h
        out     64h, al
.wait2: in      al, 64h
        test    al, 2
        jnz     .wait2
        mov     al, ah
        out     60h, al
.wait3: in      al, 64h
        test    al, 2
        jnz     .wait3
        ret

        align   4
old_esp:        dd 0
        END_OF_IMAGE
