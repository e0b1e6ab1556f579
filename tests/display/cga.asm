; cga.asm - the CGA's graphics modes 4, 5 and 6 (MODE), whose lines are interleaved; bars, a diagonal, and the other palette.
%include "demo.inc"

demo:
        mov     al, MODE
        call    set_mode
        mov     ax, 0b800h
        mov     es, ax
        xor     bx, bx                  ; line
.line:
        mov     ax, bx
        shr     ax, 1
        mov     cx, 80
        mul     cx
        mov     di, ax
        test    bx, 1
        jz      .even
        add     di, 2000h
.even:
        xor     si, si
.byte:
        mov     ax, si                  ; the byte: 00 55 AA FF by column, turned by the line
        mov     cl, 20
        div     cl
        mov     cl, 55h
        mul     cl
        mov     cx, bx
        shr     cx, 4
        test    cx, 1
        jz      .plain
        xor     al, 1bh
        mov     cx, si
        add     cx, bx
        ror     al, cl
.plain:
        stosb
        inc     si
        cmp     si, 80
        jb      .byte
        inc     bx
        cmp     bx, 200
        jb      .line
%if MODE == 4
        mov     ah, 0bh                 ; palette 0, background blue
        mov     bx, 100h
        int     10h
        mov     bx, 1
        mov     ah, 0bh
        int     10h
%endif
        ret
        times   SECTORS * 512 - ($ - $$) db 0
