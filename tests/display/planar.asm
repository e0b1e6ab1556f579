; planar.asm - sixteen-colour modes through the graphics controller: write modes 0 to 3, set/reset, bit mask, rotation, the logical
; functions, latched copies, read mode 1. MODE is the BIOS mode, WIDTH and HEIGHT its size.
%include "demo.inc"

PITCH           equ WIDTH / 8

demo:
        mov     al, MODE
        call    set_mode
        mov     ax, 0a000h
        mov     es, ax
        mov     fs, ax
        ; Write mode 2: sixteen vertical bars over the upper half.
        REG     GC, 5, 2
        xor     di, di
        mov     dx, HEIGHT / 2
.bar_line:
        xor     bx, bx
.bar:
        mov     ax, bx                  ; bar: byte * 16 / PITCH
        shl     ax, 4
        mov     cl, PITCH
        div     cl
        mov     [es:di], al
        inc     di
        inc     bx
        cmp     bx, PITCH
        jb      .bar
        dec     dx
        jnz     .bar_line
        ; Write mode 0 with set/reset of planes 0 and 2, bit mask 3Ch, rotation 2, XOR with the latches: a band across the bars.
        REG     GC, 5, 0
        REG     GC, 0, 5
        REG     GC, 1, 5
        REG     GC, 8, 3ch
        REG     GC, 3, 1ah
        mov     di, PITCH * (HEIGHT / 8)
        mov     cx, PITCH * 8
.xor:
        mov     al, [es:di]             ; the latches
        mov     al, 0c3h
        stosb
        loop    .xor
        ; AND and OR with data of the CPU.
        REG     GC, 1, 0
        REG     GC, 8, 0ffh
        REG     GC, 3, 08h
        mov     di, PITCH * (HEIGHT / 8 + 12)
        mov     al, 0f0h
        call    band
        REG     GC, 3, 10h
        mov     di, PITCH * (HEIGHT / 8 + 24)
        mov     al, 0cch
        call    band
        ; Write mode 3: colour 14 where the data's bits are set.
        REG     GC, 3, 0
        REG     GC, 5, 3
        REG     GC, 0, 14
        mov     di, PITCH * (HEIGHT / 8 + 36)
        mov     al, 0aah
        call    band
        ; Read mode 1: where the bars' colour is 9 or 11, written as white below (write mode 0, all planes).
        REG     GC, 5, 8
        REG     GC, 2, 9
        REG     GC, 7, 0dh
        mov     di, 0
        mov     si, PITCH * (HEIGHT / 2 + 4)
        mov     cx, PITCH * 8
.compare:
        mov     al, [es:di]
        mov     ah, al
        push    ax
        REG     GC, 0, 0
        pop     ax
        mov     [es:si], al             ; the latches do not matter: all bits, no function
        inc     di
        inc     si
        loop    .compare
        ; Write mode 1: the bars, copied by the latches, to the bottom.
        REG     GC, 7, 0fh
        REG     GC, 5, 1
        mov     si, 0
        mov     di, PITCH * (HEIGHT - 24)
        mov     cx, PITCH * 16
        push    ds
        push    es
        pop     ds
        rep     movsb
        pop     ds
        ; Map mask: one plane each, a diagonal byte pattern with the CPU's data.
        REG     GC, 5, 0
        mov     bx, 0
.plane:
        mov     cx, bx
        mov     ah, 1
        shl     ah, cl
        mov     al, 2
        mov     dx, SEQ
        out     dx, ax
        mov     ax, PITCH * 6
        mul     bx
        mov     di, ax
        add     di, PITCH * (HEIGHT / 2 + 20)
        mov     cx, PITCH * 5
        mov     al, 0b1h
.fill:
        stosb
        ror     al, 1
        loop    .fill
        inc     bx
        cmp     bx, 4
        jb      .plane
        REG     SEQ, 2, 0fh
        ret

; Eight lines of AL at DI, after a read each.
band:
        mov     cx, PITCH * 8
.next:
        mov     ah, [es:di]
        stosb
        loop    .next
        ret
        times   SECTORS * 512 - ($ - $$) db 0
