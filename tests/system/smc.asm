; smc.asm - code that changes itself and code that others change: SDM vol. 3, 8.1.3. P6 processors see every change, even of
; the next instruction.
%include "system.inc"

CODE            equ 220000h             ; where programs are made
PAGE            equ 221000h

main:
        TEST    "the next instruction"
        mov     byte [.imm1 + 1], 5
.imm1:  mov     al, 1
        movzx   eax, al
        EXPECT  eax, 5
        mov     dword [.imm2 + 1], 12345678h
        nop
        nop
.imm2:  mov     eax, 0
        EXPECT  eax, 12345678h
        mov     byte [.op], 40h         ; inc eax
        mov     byte [.op + 1], 40h
.op:    nop
        nop
        EXPECT  eax, 1234567ah

        TEST    "a loop that counts in its own constant"
        mov     ecx, 200
        xor     eax, eax
.loop:  inc     dword [.imm3 + 1]
.imm3:  add     eax, strict dword 0
        loop    .loop
        EXPECT  eax, 200 * 201 / 2

        TEST    "a subroutine between calls"
        mov     byte [CODE], 0b0h       ; mov al, imm8; ret
        mov     byte [CODE + 2], 0c3h
        mov     ebx, CODE
        xor     esi, esi
        mov     ecx, 100
.calls: mov     [CODE + 1], cl
        xor     eax, eax
        call    ebx
        add     esi, eax
        loop    .calls
        EXPECT  esi, 100 * 101 / 2

        TEST    "data beside code"
        mov     dword [CODE + 16], 0
        mov     ecx, 100
.beside: inc    dword [CODE + 16]
        call    ebx
        loop    .beside
        EXPECT  [CODE + 16], 100
        EXPECT  eax, 1

        TEST    "by a push"
        mov     [old_esp], esp
        mov     esp, CODE + 12
        push    dword 0c3909090h
        push    dword 9090b090h         ; nop; mov al, 90h; nop
        push    dword 0c307b0h          ; mov al, 7; ret
        mov     esp, [old_esp]
        xor     eax, eax
        call    ebx
        EXPECT  eax, 7

        TEST    "by a string instruction"       ; (one that overwrites itself is not specified)
        mov     edi, .after
        mov     al, 42h                 ; inc edx
        mov     ecx, 20
        xor     edx, edx
        rep     stosb
.after: times   20 nop
        EXPECT  edx, 20

        TEST    "across a page"
        mov     byte [PAGE - 2], 0b8h   ; mov eax, imm32; ret
        mov     dword [PAGE - 1], 11111111h
        mov     byte [PAGE + 3], 0c3h
        mov     ebx, PAGE - 2
        call    ebx
        EXPECT  eax, 11111111h
        mov     byte [PAGE + 2], 22h
        call    ebx
        EXPECT  eax, 22111111h
        mov     byte [PAGE - 1], 33h
        call    ebx
        EXPECT  eax, 22111133h
        mov     word [PAGE - 1], 4455h
        call    ebx
        EXPECT  eax, 22114455h
        mov     dword [PAGE - 2], 0c0c0c0b0h    ; mov al, c0h; then rol al, imm8
        mov     word [PAGE + 2], 0c304h
        mov     eax, 0
        call    ebx
        EXPECT  eax, 0ch

        TEST    "through another address"
        mov     edi, PAGES
        xor     eax, eax
        mov     ecx, 1000h
        rep     stosd
        mov     edi, PAGES + 1000h
        mov     eax, 7
.fill:  stosd
        add     eax, 1000h
        cmp     eax, 400000h
        jb      .fill
        mov     dword [PAGES], (PAGES + 1000h) | 7
        mov     dword [PAGES + 4], (PAGES + 1000h) | 7  ; the same 4 MiB again
        mov     eax, PAGES
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 80000000h
        mov     cr0, eax
        mov     byte [CODE], 0b0h
        mov     word [CODE + 1], 0c301h
        mov     ebx, CODE
        xor     eax, eax
        call    ebx
        EXPECT  eax, 1
        mov     byte [CODE + 400001h], 2
        call    ebx
        EXPECT  eax, 2
        add     ebx, 400000h
        call    ebx
        EXPECT  eax, 2
        mov     byte [CODE + 1], 3
        call    ebx
        EXPECT  eax, 3

        TEST    "a page table entry changes what a page of code is"
        mov     byte [PAGE + 1000h], 0b0h
        mov     word [PAGE + 1001h], 0c309h
        mov     byte [PAGE + 2000h], 0b0h
        mov     word [PAGE + 2001h], 0c30ah
        mov     ebx, PAGE + 1000h
        call    ebx
        EXPECT  eax, 9
        mov     dword [PAGES + 1000h + 4 * ((PAGE + 1000h) >> 12)], (PAGE + 2000h) | 7
        invlpg  [PAGE + 1000h]
        call    ebx
        EXPECT  eax, 10
        mov     dword [PAGES + 1000h + 4 * ((PAGE + 1000h) >> 12)], (PAGE + 1000h) | 7
        mov     eax, cr3
        mov     cr3, eax
        xor     eax, eax
        call    ebx
        EXPECT  eax, 9
        mov     eax, cr0
        and     eax, 7fffffffh
        mov     cr0, eax

        TEST    "by DMA"
        mov     byte [CODE], 0b0h       ; mov al, 1; ret
        mov     word [CODE + 1], 0c301h
        mov     ebx, CODE
        xor     eax, eax
        call    ebx
        EXPECT  eax, 1
        mov     dword [DATA], 0a000000h ; fw_cfg DMA: select key 0 ("QEMU"), read; big-endian
        mov     dword [DATA + 4], 01000000h     ; one byte
        mov     dword [DATA + 8], 0
        mov     eax, CODE + 1
        bswap   eax
        mov     [DATA + 12], eax
        xor     eax, eax
        mov     dx, 514h
        out     dx, eax
        mov     eax, DATA
        bswap   eax
        mov     dx, 518h
        out     dx, eax
        xor     eax, eax
        call    ebx
        EXPECT  eax, 'Q'
        ret

        align   4
old_esp:        dd 0
        END_OF_IMAGE
