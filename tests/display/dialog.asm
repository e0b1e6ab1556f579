; dialog.asm - a boot sector to talk with: asks for a name on the screen, greets on the screen and on COM1, draws where the mouse is not
; asked for; "reset" resets, "off" ends through isa-debug-exit with 5, "panic" says so and hangs.
        bits    16
        org     7c00h
COM1            equ 3f8h
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 7c00h
        cld
ask:
        mov     si, question
        call    say
        mov     di, answer
.key:
        xor     ah, ah
        int     16h
        cmp     al, 13
        je      .done
        stosb
        call    put
        jmp     .key
.done:
        xor     al, al
        stosb
        mov     si, new_line
        call    say
        mov     si, answer
        mov     di, word_reset
        call    same
        je      reset
        mov     di, word_off
        call    same
        je      off
        mov     di, word_panic
        call    same
        je      panic
        mov     si, hello
        call    say
        mov     si, answer
        call    say
        mov     si, bang
        call    say
        jmp     ask
reset:
        mov     al, 0feh
        out     64h, al
        hlt
off:
        mov     dx, 501h
        mov     al, 5
        out     dx, al
        hlt
panic:
        mov     si, text_panic
        call    say
        cli
        hlt

; ZF: the strings at SI and DI are equal; SI stays.
same:
        push    si
.next:
        lodsb
        scasb
        jne     .end
        or      al, al
        jnz     .next
.end:
        pop     si
        ret
; The string at SI, on screen and line.
say:
        lodsb
        or      al, al
        jz      .end
        call    put
        jmp     say
.end:
        ret
put:
        push    ax
        mov     ah, 0eh
        mov     bx, 7
        int     10h
        mov     dx, COM1 + 5
.busy:
        in      al, dx
        test    al, 20h
        jz      .busy
        pop     ax
        mov     dx, COM1
        out     dx, al
        ret

question:       db      "What is your name? ", 0
hello:          db      27, "[1mHello, ", 27, "[0m", 0
bang:           db      "!", 13, 10, 0
new_line:       db      13, 10, 0
word_reset:     db      "reset", 0
word_off:       db      "off", 0
word_panic:     db      "panic", 0
text_panic:     db      "Kernel panic", 0
        times   510 - ($ - $$) db 0
        dw      0aa55h
answer          equ 7e00h
