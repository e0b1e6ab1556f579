; mouse.asm - a PS/2 mouse through INT 15h, function C2h: adds up what it moves and shows sums and buttons on the screen's first line.
%include "demo.inc"

demo:
        mov     ax, 3
        int     10h
        mov     ah, 1
        mov     cx, 2000h
        int     10h
        mov     ax, 0c205h              ; interface: packets of three bytes
        mov     bh, 3
        int     15h
        jc      .failed
        xor     ax, ax
        mov     es, ax
        mov     ax, 0c207h              ; whom to call
        mov     bx, handler
        int     15h
        jc      .failed
        mov     ax, 0c200h              ; on
        mov     bh, 1
        int     15h
        jc      .failed
        jmp     show
.failed:
        mov     si, text_failed
        call    say
        ret

; Far call with status, x, y, z on the stack.
handler:
        push    bp
        mov     bp, sp
        pushad
        push    ds
        push    es
        xor     ax, ax
        mov     ds, ax
        mov     al, [bp + 12]           ; bits 4 and 5 are the signs
        mov     bl, al
        and     bl, 7
        mov     [buttons], bl
        movzx   ecx, byte [bp + 10]
        test    al, 10h
        jz      .right
        or      ecx, 0ffffff00h
.right:
        add     [x], ecx
        movzx   ecx, byte [bp + 8]
        test    al, 20h
        jz      .up
        or      ecx, 0ffffff00h
.up:
        sub     [y], ecx                ; upwards is positive
        call    show
        pop     es
        pop     ds
        popad
        pop     bp
        retf

show:
        mov     ax, 0b800h
        mov     es, ax
        xor     di, di
        mov     si, text_x
        mov     eax, [x]
        call    item
        mov     si, text_y
        mov     eax, [y]
        call    item
        mov     si, text_b
        movzx   eax, byte [buttons]
        call    item
        mov     cx, 12
        mov     ax, 0720h
        rep     stosw
        ret
item:
        push    eax
        mov     ah, 7
        call    print
        pop     eax
        or      eax, eax
        jns     .plus
        neg     eax
        push    eax
        mov     ax, 072dh
        stosw
        pop     eax
.plus:
        call    print_number
        ret
text_failed:    db      "no mouse", 10, 0
text_x:         db      "mouse x=", 0
text_y:         db      " y=", 0
text_b:         db      " buttons=", 0
x:              dd      0
y:              dd      0
buttons:        db      0
        times   SECTORS * 512 - ($ - $$) db 0
