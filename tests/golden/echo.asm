; echo.asm - a boot sector that answers on COM1: says ECHO-READY, gives every byte back in brackets, says <break> to a break, and leaves
; through isa-debug-exit with 20 when it gets a Q.
        bits    16
        org     7c00h
COM1            equ 3f8h
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 7c00h
        mov     dx, COM1 + 3
        mov     al, 80h                 ; DLAB
        out     dx, al
        mov     dx, COM1
        mov     al, 1                   ; 115200 baud
        out     dx, al
        inc     dx
        xor     al, al
        out     dx, al
        mov     dx, COM1 + 3
        mov     al, 3                   ; 8N1
        out     dx, al
        dec     dx
        mov     al, 7                   ; FIFOs on and empty
        out     dx, al
        mov     dx, COM1 + 4
        mov     al, 3                   ; DTR, RTS
        out     dx, al
        sti
        mov     si, ready
        call    print
wait_byte:
        hlt                             ; until the timer's next tick
.next:
        mov     dx, COM1 + 5
        in      al, dx
        test    al, 10h                 ; break
        jnz     break
        test    al, 1
        jz      wait_byte
        mov     dx, COM1
        in      al, dx
        cmp     al, 'Q'
        je      leave
        push    ax
        mov     al, '['
        call    put
        pop     ax
        call    put
        mov     al, ']'
        call    put
        jmp     .next
break:
        mov     dx, COM1
        in      al, dx                  ; the zero byte that comes with it
        mov     si, text_break
        call    print
        jmp     wait_byte
leave:
        mov     si, text_bye
        call    print
        mov     dx, COM1 + 5
.drain: in      al, dx
        test    al, 40h
        jz      .drain
        mov     dx, 501h
        mov     al, 20
        out     dx, al
        jmp     $
print:
        lodsb
        test    al, al
        jz      .done
        call    put
        jmp     print
.done:  ret
put:
        push    ax
        mov     dx, COM1 + 5
.wait:  in      al, dx
        test    al, 20h
        jz      .wait
        pop     ax
        mov     dx, COM1
        out     dx, al
        ret
ready:          db "ECHO-READY", 13, 10, 0
text_break:     db "<break>", 0
text_bye:       db 13, 10, "ECHO-BYE", 13, 10, 0
        times   510 - ($ - $$) db 0
        dw      0aa55h
        times   32 * 63 * 512 - ($ - $$) db 0
