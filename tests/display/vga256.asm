; vga256.asm - 256 colours. VARIANT 0: mode 13h, chained. 1: mode X, 320x240, latched copies, split screen and panning. 2: 320x400.
; 3: 360x480. 4: 320x240 with a start address near the end of the planes, which wraps. 5: mode 13h, then unchained without clearing: the bytes stay
; where they are. 6: the palette mask.
%include "demo.inc"

%if VARIANT == 3
WIDTH           equ 360
HEIGHT          equ 480
%elif VARIANT == 2
WIDTH           equ 320
HEIGHT          equ 400
%elif VARIANT == 0 || VARIANT == 5 || VARIANT == 6
WIDTH           equ 320
HEIGHT          equ 200
%else
WIDTH           equ 320
HEIGHT          equ 240
%endif
%define CHAINED (VARIANT == 0 || VARIANT == 5 || VARIANT == 6)

demo:
        mov     al, 13h
        call    set_mode
        ; Palette: red, green and blue ramps and greys.
        mov     dx, 3c8h
        xor     al, al
        out     dx, al
        inc     dx
        xor     cx, cx
.color:
        mov     bl, cl
        and     bl, 3fh                 ; level
        mov     bh, cl
        shr     bh, 6                   ; kind: 0 red, 1 green, 2 blue, 3 grey
        xor     si, si
.component:
        mov     ax, si
        cmp     bh, 3
        je      .lit
        cmp     bh, al
        mov     al, 0
        jne     .out
.lit:
        mov     al, bl
.out:
        out     dx, al
        inc     si
        cmp     si, 3
        jb      .component
        inc     cl
        jnz     .color
        mov     ax, 0a000h
        mov     es, ax
%if CHAINED
        xor     di, di
        xor     bx, bx
.line:
        xor     si, si
.dot:
        mov     ax, si
        add     ax, bx
        xor     al, bl
        stosb
        inc     si
        cmp     si, WIDTH
        jb      .dot
        inc     bx
        cmp     bx, HEIGHT
        jb      .line
%if VARIANT == 5
        REG     SEQ, 4, 6               ; no chain-4, and the CRT controller still in doublewords
        REG     SEQ, 2, 4               ; plane 2: a line of white in every fourth dot
        mov     di, 320 * 100 / 4 * 4
        mov     cx, 80
        mov     al, 0ffh
.white:
        mov     [es:di], al
        add     di, 4
        loop    .white
%elif VARIANT == 6
        mov     dx, 3c6h
        mov     al, 0f3h
        out     dx, al
%endif
        ret
%else
        REG     SEQ, 4, 6               ; sequential
        REG     SEQ, 2, 0fh
        REG     CRTC, 14h, 0            ; bytes
        REG     CRTC, 17h, 0e3h
        call    clear
        call    tweak
        ; One plane after the other: dot x of plane x & 3.
        xor     bp, bp
.plane:
        mov     cx, bp
        mov     ah, 1
        shl     ah, cl
        mov     al, 2
        mov     dx, SEQ
        out     dx, ax
%if VARIANT == 4
        mov     di, 0ff00h              ; the picture wraps from FFFFh to 0
%elif VARIANT == 1
        mov     di, 88 * 20             ; room for the panel above
%else
        xor     di, di
%endif
        xor     bx, bx
.row:
        mov     si, bp
.pixel:
        mov     ax, si
        add     ax, bx
        mov     cx, bx
        shr     cx, 1
        xor     al, cl
        stosb
        add     si, 4
        cmp     si, WIDTH
        jb      .pixel
%if VARIANT == 1
        add     di, 88 - WIDTH / 4
%endif
        inc     bx
        cmp     bx, HEIGHT
        jb      .row
        inc     bp
        cmp     bp, 4
        jb      .plane
%if VARIANT == 1
        ; Latched copies (write mode 1): a block of the picture to its middle.
        REG     SEQ, 2, 0fh
        REG     GC, 5, 41h
        mov     si, 88 * 20
        mov     di, 88 * 120 + 30
        mov     dx, 40
        push    ds
        push    es
        pop     ds
.copy:
        mov     cx, 20
        rep     movsb
        add     si, 88 - 20
        add     di, 88 - 20
        dec     dx
        jnz     .copy
        pop     ds
        REG     GC, 5, 40h
        ; The panel at address 0: 20 lines of stripes.
        xor     di, di
        mov     cx, 88 * 20
.panel:
        mov     ax, di
        shl     al, 2
        or      al, 0c3h
        stosb
        loop    .panel
        ; The picture starts 3 dots in and 2 lines down, the panel from line 400 on without panning.
        REG     CRTC, 13h, 44           ; 88 bytes a line
        mov     ax, 88 * 22
        call    set_start
        ATTR_REG 13h, 6
        ATTR_REG 10h, 61h
        REG     CRTC, 18h, (440 - 1) & 0ffh
        REG     CRTC, 7, 3eh            ; line compare bit 8 is set
        REG     CRTC, 9, 01h            ; bit 9 is not, two lines each
%elif VARIANT == 4
        mov     ax, 0ff00h
        call    set_start
%endif
        ret
set_start:
        mov     bx, ax
        mov     al, 0ch
        mov     ah, bh
        mov     dx, CRTC
        out     dx, ax
        mov     al, 0dh
        mov     ah, bl
        out     dx, ax
        ret
clear:
        xor     di, di
        xor     ax, ax
        mov     cx, 8000h
        rep     stosw
        ret
; The CRT controller's registers for the size.
tweak:
%if VARIANT == 2
        REG     CRTC, 9, 40h            ; every line once
        ret
%else
        mov     dx, 3c2h
        mov     al, TWEAK_MISC
        out     dx, al
        REG     CRTC, 11h, 2ch          ; CR0 to CR7 may be written
        mov     si, table
        mov     cx, (table_end - table) / 2
        mov     dx, CRTC
.next:
        lodsw
        out     dx, ax
        loop    .next
        ret
%if VARIANT == 3
TWEAK_MISC      equ 0e7h                ; 28 MHz, 480 lines
table:          dw      6b00h, 5901h, 5a02h, 8e03h, 5e04h, 8a05h, 0d06h, 3e07h, 4009h, 0ea10h, 2c11h, 0df12h, 2d13h, 0e715h, 0616h
table_end:
%else
TWEAK_MISC      equ 0e3h                ; 25 MHz, 480 lines
table:          dw      0d06h, 3e07h, 4109h, 0ea10h, 2c11h, 0df12h, 0e715h, 0616h
table_end:
%endif
%endif
%endif
        times   SECTORS * 512 - ($ - $$) db 0
