; speaker.asm - a tune on the PC speaker: 440 Hz for a second, a quarter of silence, 880 Hz for half a second, silence, and a second of
; 1000 Hz made by hand: the speaker's bit switched by the refresh clock. Time comes from the refresh bit of port 61h, 15.085 us each.
%include "demo.inc"

TICKS_SECOND    equ 66291

demo:
        cli
        mov     ebx, 1193182 / 440
        mov     ecx, TICKS_SECOND
        call    tone
        mov     ecx, TICKS_SECOND / 4
        call    delay
        mov     ebx, 1193182 / 880
        mov     ecx, TICKS_SECOND / 2
        call    tone
        mov     ecx, TICKS_SECOND / 4
        call    delay
        ; By hand: counter 2 stands still with its output high, bit 1 is the tone; 33 refreshes a half wave, 1004.5 Hz
        mov     al, 0b6h
        out     43h, al
        mov     edx, 1004 * 2
.half:
        in      al, 61h
        and     al, 0feh
        xor     al, 2
        out     61h, al
        mov     ecx, 33
        call    delay
        dec     edx
        jnz     .half
        sti
        ret

; Divisor BX for ECX refreshes.
tone:
        mov     al, 0b6h
        out     43h, al
        mov     al, bl
        out     42h, al
        mov     al, bh
        out     42h, al
        in      al, 61h
        or      al, 3
        out     61h, al
        call    delay
        in      al, 61h
        and     al, 0fch
        out     61h, al
        ret
; ECX refreshes.
delay:
        in      al, 61h
        and     al, 10h
        mov     ah, al
.same:
        in      al, 61h
        and     al, 10h
        cmp     al, ah
        je      .same
        mov     ah, al
        dec     ecx
        jnz     .same
        ret
        times   SECTORS * 512 - ($ - $$) db 0
