; text.asm - text modes. VARIANT 0: mode 3, nine dots, all characters and attributes, blinking, cursor. 1: mode 1, 40 columns. 2: 80x50, fonts of
; eight lines, eight dots. 3: mode 7, monochrome with underline. 4: two fonts at once. 5: panning, preset row scan, split screen.
; 6: sixteen background colours, colour select, dot clock halved by hand.
%include "demo.inc"

MONO            equ VARIANT == 3
%if MONO
SCREEN          equ 0b000h
%else
SCREEN          equ 0b800h
%endif
%if VARIANT == 1 || VARIANT == 6
COLUMNS         equ 40
%else
COLUMNS         equ 80
%endif

demo:
%if VARIANT == 1
        mov     al, 1
%elif MONO
        mov     al, 7
%else
        mov     al, 3
%endif
        call    set_mode
%if VARIANT == 2
        mov     ax, 1112h               ; ROM 8x8 font, 50 rows
        xor     bl, bl
        int     10h
        REG     SEQ, 1, 01h             ; eight dots
%endif
        mov     ax, SCREEN
        mov     es, ax
        ; 16 x 16 characters, their attribute their own number
        xor     bx, bx
.row:
        mov     ax, bx
        shr     ax, 4
        mov     cx, COLUMNS * 2
        mul     cx
        mov     di, ax
        add     di, COLUMNS * 2 * 2
.column:
        mov     al, bl
        mov     ah, bl
        stosw
        mov     ax, 0720h
%if COLUMNS == 80
        stosw
        stosw
        stosw
%endif
        inc     bl
        jz      .done
        test    bl, 15
        jnz     .column
        jmp     .row
.done:
        ; box drawing: the ninth dot repeats the eighth
        mov     si, box
        mov     di, 0
        mov     cx, 3
.line:
        push    cx
        push    di
        mov     ah, 1fh
        call    print
        pop     di
        add     di, COLUMNS * 2
        pop     cx
        loop    .line
%if VARIANT == 0
        mov     cx, 040bh               ; cursor: lines 4 to 11, at row 3, column 30
%else
        mov     ax, 1003h               ; sixteen background colours, no cursor
        xor     bx, bx
        int     10h
        mov     cx, 2000h
%endif
        mov     ah, 1
        int     10h
        mov     ah, 2
        xor     bh, bh
        mov     dx, 031eh
        int     10h
%if MONO
        REG     3b4h, 14h, 0dh          ; underline in line 13
        mov     si, underlined
        mov     di, COLUMNS * 2 * 20
        mov     ah, 1
        call    print
        mov     si, underlined
        mov     ah, 9
        call    print
        mov     si, underlined
        mov     ah, 70h
        call    print
%elif VARIANT == 4
        call    second_font
%elif VARIANT == 5
        ; The window starts in the middle of a row, three dots in, five lines down; from line 200 on, row 0.
        REG     CRTC, 0ch, 0
        REG     CRTC, 0dh, 80 * 3 + 2
        REG     CRTC, 8, 25h            ; byte panning 1, preset row scan 5
        REG     CRTC, 18h, 200
        REG     CRTC, 7, 0fh            ; line compare bit 8 off
        REG     CRTC, 9, 0fh            ; and bit 9
        ATTR_REG 13h, 2                 ; panning: nine dots, so three
        ATTR_REG 10h, 24h               ; which does not hold below the split
%elif VARIANT == 6
        REG     SEQ, 1, 08h             ; nine dots of half the clock
        REG     CRTC, 11h, 0eh          ; CR0 to CR7 may be written
        REG     CRTC, 0, 2dh            ; timing of 40 columns
        REG     CRTC, 1, 39
        REG     CRTC, 2, 28h
        REG     CRTC, 3, 90h
        REG     CRTC, 4, 2bh
        REG     CRTC, 5, 0a0h
        REG     CRTC, 13h, 20
        mov     dx, 3c8h                ; DAC 50h to 5Fh: green to red
        mov     al, 50h
        out     dx, al
        inc     dx
        xor     cl, cl
.color:
        mov     al, cl
        shl     al, 2
        out     dx, al
        neg     al
        add     al, 63
        out     dx, al
        mov     al, cl
        out     dx, al
        inc     cl
        cmp     cl, 16
        jb      .color
        ATTR_REG 10h, 84h               ; P54S: colour select gives the upper bits
        ATTR_REG 14h, 5
%endif
        ret

%if VARIANT == 4
; Font 1: font 0 upside down. Attribute bit 3 then chooses between the two and no longer means bright.
second_font:
        mov     dx, SEQ
        mov     ax, 0402h               ; plane 2 alone, sequential
        out     dx, ax
        mov     ax, 0704h
        out     dx, ax
        mov     dx, GC
        mov     ax, 0204h
        out     dx, ax
        mov     ax, 0005h
        out     dx, ax
        mov     ax, 0406h
        out     dx, ax
        push    ds
        mov     ax, 0a000h
        mov     ds, ax
        mov     es, ax
        xor     si, si
        mov     di, 4000h
        mov     dx, 256
.character:
        mov     bx, 15
.byte:
        mov     al, [si + bx]
        stosb
        dec     bx
        jns     .byte
        add     si, 32
        add     di, 16
        dec     dx
        jnz     .character
        pop     ds
        REG     SEQ, 2, 3
        REG     SEQ, 4, 3
        REG     GC, 4, 0
        REG     GC, 5, 10h
        REG     GC, 6, 0eh
        REG     SEQ, 3, 04h             ; map A: font 1; map B: font 0
        ATTR_REG 12h, 7                 ; bit 3 makes no other colour
        ret
%endif

%if MONO
underlined:     db      " underlined? ", 0
%endif
box:            db      0c9h, 0cdh, 0cdh, 0cbh, 0cdh, 0bbh, 0
                db      0bah, 'A', 'b', 0bah, 0b0h, 0bah, 0
                db      0c8h, 0cdh, 0cdh, 0cah, 0cdh, 0bch, 0
        times   SECTORS * 512 - ($ - $$) db 0
