; Boot sector of the first disk: reads sector 0 of the second one through INT 13h and says on the debug port 402h what it begins
; with and whether sector 5 begins with "guest"; writes sector 5, then the header of a qcow2 image to sector 0.
bits 16
org 0x7c00
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    mov cx, 0x0001
    mov ax, 0x0201
    call disk
    jc failed
    mov si, 0x8000
    mov cx, 4
.letter:
    lodsb
    out dx, al
    loop .letter
    mov cx, 0x0006      ; sector 5
    mov ax, 0x0201
    call disk
    jc failed
    mov si, 0x8000
    mov di, guest
    mov cx, 5
    repe cmpsb
    mov al, 'N'         ; new
    jne .say
    mov al, 'O'         ; old
.say:
    out dx, al
    mov si, guest
    mov di, 0x8000
    mov cx, 5
    rep movsb
    mov cx, 0x0006
    mov ax, 0x0301
    call disk
    call result
    mov si, header
    mov di, 0x8000
    mov cx, 8
    rep movsb
    mov cx, 0x0001
    mov ax, 0x0301
    call disk
    call result
    mov al, 10
    out dx, al
    xor al, al
    jmp leave
failed:
    mov dx, 0x402
    mov al, '!'
    out dx, al
    mov al, 1
leave:
    mov dx, 0x501
    out dx, al
    hlt
    jmp leave

result:                 ; w: written, r: refused
    mov al, 'w'
    jnc .say
    mov al, 'r'
.say:
    out dx, al
    ret

disk:                   ; AX: function and count, CX: address; DX becomes the debug port
    mov bx, 0x8000
    mov dx, 0x0081
    int 0x13
    mov dx, 0x402
    ret

guest: db "guest"
header: db "QFI", 0xfb, 0, 0, 0, 3
    times 510 - ($ - $$) db 0
    dw 0xaa55
