; facts.asm - what programs ask a VGA for, as text. VARIANT 0: frames a second and lines a frame by the retrace bits against the interval timer, the
; DAC's address register. 1: the monitor's EDID through VBE/DDC.
%include "demo.inc"

demo:
%if VARIANT == 0
        mov     si, modes
        mov     di, results
        mov     cx, (modes_end - modes) / 2
.mode:
        push    cx
        push    di
        lodsw
        push    si
        test    ah, ah
        jnz     .vbe
        int     10h
        jmp     .set
.vbe:
        mov     bx, ax
        mov     ax, 4f02h
        int     10h
.set:
        call    measure
        pop     si
        pop     di
        stosd
        mov     eax, ebx
        stosd
        pop     cx
        loop    .mode
        mov     ax, 3
        int     10h
        mov     ah, 1
        mov     cx, 2000h
        int     10h
        mov     ax, 0b800h
        mov     es, ax
        mov     cx, (modes_end - modes) / 2
        mov     bx, results
        mov     bp, names
        xor     di, di
.print:
        push    di
        mov     si, bp
        mov     ah, 7
        call    print
        mov     bp, si
        mov     eax, [bx]
        call    print_number
        mov     si, text_hz
        mov     ah, 7
        call    print
        mov     eax, [bx + 4]
        call    print_number
        mov     si, text_lines
        mov     ah, 7
        call    print
        add     bx, 8
        pop     di
        add     di, 160
        loop    .print
        add     di, 160
        call    check_dac
        ret

; EAX: frames a second, rounded; EBX: lines displayed.
measure:
        mov     al, 34h                 ; counter 0: rate generator, 65536
        out     43h, al
        xor     al, al
        out     40h, al
        out     40h, al
        mov     dx, [463h]              ; the CRT controller, at 3B4h or 3D4h
        add     dx, 6
        call    frame
        call    ticks
        mov     [last], ax
        mov     dword [total], 0
        mov     cx, 32
.frames:
        call    frame
        call    ticks
        mov     bx, [last]
        mov     [last], ax
        sub     bx, ax                  ; it counts down
        movzx   ebx, bx
        add     [total], ebx
        loop    .frames
        push    dx
        mov     eax, 1193182 * 32
        mov     edx, [total]
        shr     edx, 1
        add     eax, edx
        xor     edx, edx
        div     dword [total]
        pop     dx
        push    eax
        ; Lines: falling edges of bit 0 from one retrace to the next.
        call    frame
        xor     ebx, ebx
.blank:
        in      al, dx
        test    al, 8
        jnz     .out
        test    al, 1
        jnz     .blank
        inc     ebx
.shown:
        in      al, dx
        test    al, 1
        jz      .shown
        jmp     .blank
.out:
        pop     eax
        ret
; Waits for the end of the next vertical retrace.
frame:
        in      al, dx
        test    al, 8
        jz      frame
.in:
        in      al, dx
        test    al, 8
        jnz     .in
        ret
ticks:
        xor     al, al
        out     43h, al
        in      al, 40h
        mov     ah, al
        in      al, 40h
        xchg    al, ah
        ret

; Writes colours 253 to 255 and 0 in one go (the index wraps), reads them back, checks the state register and the index after reading.
check_dac:
        mov     dx, 3c8h
        mov     al, 253
        out     dx, al
        inc     dx
        mov     cx, 12
        mov     al, 5
.write:
        out     dx, al
        add     al, 5
        loop    .write
        mov     dx, 3c7h
        in      al, dx                  ; 0: writing
        or      al, al
        jnz     .bad
        mov     al, 253
        out     dx, al
        in      al, dx
        cmp     al, 3                   ; reading
        jne     .bad
        mov     dx, 3c9h
        mov     cx, 12
        mov     bl, 5
.read:
        in      al, dx
        cmp     al, bl
        jne     .bad
        add     bl, 5
        loop    .read
        dec     dx
        in      al, dx
        cmp     al, 2                   ; 253 + 4, and one fetched ahead
        jne     .bad
        mov     si, text_good
        jmp     .say
.bad:
        mov     si, text_bad
.say:
        mov     ah, 7
        jmp     print

modes:          dw      0003h, 0007h, 0013h, 0012h, 0010h, 4112h, 411bh
modes_end:
names:          db      "80x25 text: ", 0, "monochrome text: ", 0, "320x200: ", 0, "640x480: ", 0, "640x350: ", 0
                db      "VBE 640x480x24: ", 0, "VBE 1280x1024x24: ", 0
text_hz:        db      " Hz, ", 0
text_lines:     db      " lines", 0
text_good:      db      "the DAC counts as it should", 0
text_bad:       db      "the DAC does not count as it should", 0
last:           dw      0
total:          dd      0
results         equ     6000h
%else
        mov     ax, 3
        int     10h
        mov     ah, 1
        mov     cx, 2000h
        int     10h
        mov     ax, 4f15h               ; DDC capabilities
        xor     bx, bx
        xor     cx, cx
        int     10h
        mov     [capabilities], bx
        push    ax
        xor     ax, ax
        mov     es, ax
        mov     di, edid
        mov     ax, 4f15h
        mov     bx, 1
        xor     cx, cx
        xor     dx, dx
        int     10h
        pop     bx
        mov     cx, 0b800h
        mov     es, cx
        xor     di, di
        push    ax
        mov     ax, bx
        call    hex_word
        mov     ax, [capabilities]
        call    hex_word
        pop     ax
        call    hex_word
        mov     si, edid
        mov     bx, 8
        xor     dl, dl                  ; checksum
.line:
        add     di, 160
        mov     ax, di
        mov     cl, 160
        div     cl
        mul     cl
        mov     di, ax
        mov     cx, 16
.byte:
        lodsb
        add     dl, al
        call    hex
        mov     ax, 0720h
        stosw
        loop    .byte
        dec     bx
        jnz     .line
        mov     di, 160 * 10
        mov     al, dl
        call    hex
        ret
hex_word:
        push    ax
        mov     al, ah
        call    hex
        pop     ax
        call    hex
        mov     ax, 0720h
        stosw
        ret
hex:
        push    ax
        shr     al, 4
        call    .digit
        pop     ax
        and     al, 15
.digit:
        add     al, '0'
        cmp     al, '9'
        jbe     .out
        add     al, 'a' - '0' - 10
.out:
        mov     ah, 7
        stosw
        ret
capabilities:   dw      0
edid            equ     6000h
%endif
        times   SECTORS * 512 - ($ - $$) db 0
