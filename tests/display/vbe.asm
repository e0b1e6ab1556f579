; vbe.asm - a VBE mode of WIDTH x HEIGHT with BPP bits, found in the BIOS' list. BANKED: through the window at A0000h, else through the
; linear frame buffer. SCROLL: twice as wide a line, display start at (32, 16). A colour picture with a white frame; for 8 bits x ^ y.
%include "demo.inc"

%ifndef BANKED
%define BANKED 0
%endif
%ifndef SCROLL
%define SCROLL 0
%endif
BYTES           equ (BPP + 7) / 8
info            equ 5000h
mode            equ 5200h

demo:
        xor     ax, ax
        mov     es, ax
        mov     di, info
        mov     dword [info], 'VBE2'
        mov     ax, 4f00h
        int     10h
        cmp     ax, 4fh
        jne     failed
        lfs     si, [info + 14]
.next:
        mov     cx, [fs:si]
        add     si, 2
        cmp     cx, 0ffffh
        je      failed
        push    cx
        push    si
        mov     di, mode
        mov     ax, 4f01h
        int     10h
        pop     si
        pop     cx
        cmp     ax, 4fh
        jne     .next
        cmp     word [mode + 18], WIDTH
        jne     .next
        cmp     word [mode + 20], HEIGHT
        jne     .next
        cmp     byte [mode + 25], BPP
        jne     .next
        mov     bx, cx
%if !BANKED
        or      bh, 40h
%endif
        mov     ax, 4f02h
        int     10h
        cmp     ax, 4fh
        jne     failed
        movzx   eax, word [mode + 16]
        mov     [pitch], eax
%if SCROLL
        mov     ax, 4f06h
        xor     bl, bl
        mov     cx, WIDTH * 2
        int     10h
        movzx   ebx, bx
        mov     [pitch], ebx
        mov     ax, 4f07h
        xor     bx, bx
        mov     cx, 32
        mov     dx, 16
        int     10h
%endif
%if BPP == 8
        ; Eight bits of each colour, if the BIOS can; a palette of 256 reds and blues.
        mov     ax, 4f08h
        mov     bx, 800h
        int     10h
        mov     dx, 3c8h
        xor     al, al
        out     dx, al
        inc     dx
        xor     cl, cl
.color:
        mov     al, cl
        out     dx, al
        mov     al, cl
        shl     al, 3
        out     dx, al
        mov     al, cl
        not     al
        out     dx, al
        inc     cl
        jnz     .color
%endif
        call    unreal
%if BANKED
        mov     edi, 0a0000h
        mov     word [bank], 0
        call    set_bank
%else
        mov     edi, [mode + 40]
%endif
        mov     [line], edi
        xor     ebp, ebp                ; y
.line:
        xor     esi, esi                ; x
        mov     edi, [line]
.dot:
        call    pixel
%if BPP == 8
        mov     [es:edi], al
%elif BYTES == 2
        mov     [es:edi], ax
%elif BYTES == 3
        mov     [es:edi], ax
        shr     eax, 16
        mov     [es:edi + 2], al
%else
        mov     [es:edi], eax
%endif
        add     edi, BYTES
%if BANKED
        cmp     edi, 0b0000h
        jb      .same
        mov     edi, 0a0000h
        inc     word [bank]
        call    set_bank
.same:
%endif
        inc     esi
        cmp     esi, WIDTH + SCROLL * 32
        jb      .dot
%if !BANKED
        mov     eax, [pitch]
        add     [line], eax
%else
        mov     [line], edi
%endif
        inc     ebp
        cmp     ebp, HEIGHT + SCROLL * 16
        jb      .line
        ret

; The colour of dot ESI, EBP in EAX.
pixel:
        cmp     esi, SCROLL * 32
        je      .white
        cmp     esi, WIDTH + SCROLL * 32 - 1
        je      .white
        cmp     ebp, SCROLL * 16
        je      .white
        cmp     ebp, HEIGHT + SCROLL * 16 - 1
        je      .white
%if BPP == 8
        mov     eax, esi
        xor     eax, ebp
        ret
.white: mov     al, 0ffh
        ret
%else
        ; 16.16 steps, no divisions: red grows with x, green with y, blue is a pattern
        imul    eax, esi, 255 * 65536 / (WIDTH * 2)
        shr     eax, 15
        mov     ebx, eax                ; red
        imul    eax, ebp, 255 * 65536 / (HEIGHT * 2)
        shr     eax, 15
        mov     ecx, eax                ; green
        mov     edx, esi
        xor     edx, ebp
        and     edx, 0ffh               ; blue
%if BPP == 15
        shr     ebx, 3
        shr     ecx, 3
        shr     edx, 3
        shl     ebx, 10
        shl     ecx, 5
%elif BPP == 16
        shr     ebx, 3
        shr     ecx, 2
        shr     edx, 3
        shl     ebx, 11
        shl     ecx, 5
%else
        shl     ebx, 16
        shl     ecx, 8
%endif
        mov     eax, ebx
        or      eax, ecx
        or      eax, edx
        ret
.white: mov     eax, 0ffffffh
        ret
%endif

%if BANKED
set_bank:
        pushad
        mov     ax, 4f05h
        xor     bx, bx
        mov     dx, [bank]
        int     10h
        call    unreal                  ; the BIOS may have loaded ES
        popad
        ret
bank:           dw      0
%endif

; ES with a limit of 4 GiB.
unreal:
        cli
        lgdt    [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, 8
        mov     es, bx
        and     al, 0feh
        mov     cr0, eax
        xor     bx, bx
        mov     es, bx
        sti
        ret
failed:
        mov     si, text_failed
        call    say
        cli
        hlt
text_failed:    db      "this VGA BIOS cannot do that", 10, 0
pitch:          dd      0
line:           dd      0
        align   8
gdt:            dq      0, 00cf92000000ffffh
gdt_pointer:    dw      15
                dd      gdt
        times   SECTORS * 512 - ($ - $$) db 0
