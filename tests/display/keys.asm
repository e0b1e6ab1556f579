; keys.asm - shows each key as INT 16h, function 10h, gives it: "[scan code, character]" in hexadecimal, on screen.
%include "demo.inc"

demo:
        mov     ax, 3
        int     10h
        mov     si, text_ready
        call    say
.next:
        mov     ah, 10h
        int     16h
        push    ax
        mov     al, '['
        call    put
        pop     ax
        push    ax
        mov     al, ah
        call    hex
        pop     ax
        call    hex
        mov     al, ']'
        call    put
        inc     byte [count]
        test    byte [count], 7
        jnz     .next
        mov     al, 13
        call    put
        mov     al, 10
        call    put
        jmp     .next
count:          db      0
hex:
        push    ax
        shr     al, 4
        call    .digit
        pop     ax
        and     al, 15
.digit:
        add     al, '0'
        cmp     al, '9'
        jbe     put
        add     al, 'a' - '0' - 10
put:
        mov     ah, 0eh
        mov     bx, 7
        int     10h
        ret
        times   SECTORS * 512 - ($ - $$) db 0
