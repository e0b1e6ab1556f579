; Boot sector: reads sectors all over the disk through INT 13h, writes and verifies, says so on the debug port 402h.
bits 16
org 0x7c00
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    mov [drive], dl
    mov cx, 80          ; one sector of each cylinder, head 1
next:
    push cx
    mov ax, 0x0201
    mov bx, 0x8000
    mov ch, cl
    dec ch
    mov cl, 7
    mov dh, 1
    mov dl, [drive]
    int 0x13
    pop cx
    jc bad
    mov al, [0x8000]    ; the test wrote the cylinder there
    inc al
    cmp al, cl
    jne bad
    loop next
    mov di, 0x8000      ; write to cylinder 40, read it back
    mov cx, 256
    mov ax, 0xa55a
    rep stosw
    mov ax, 0x0301
    mov bx, 0x8000
    mov cx, 0x2803
    mov dx, [drive]
    mov dh, 0
    int 0x13
    jc bad
    mov ax, 0x0201
    mov bx, 0x8400
    mov cx, 0x2803
    mov dx, [drive]
    mov dh, 0
    int 0x13
    jc bad
    mov si, 0x8000
    mov di, 0x8400
    mov cx, 512
    repe cmpsb
    jne bad
    mov ax, 0x0211      ; 17 sectors at once, then the geometry
    mov bx, 0x9000
    mov cx, 0x0001
    mov dx, [drive]
    mov dh, 1
    int 0x13
    jc bad
    mov ah, 8
    mov dl, [drive]
    int 0x13
    jc bad
    cmp bl, 4
    jne bad
    mov si, good_text
    jmp say
bad:
    mov si, bad_text
say:
    mov dx, 0x402
    lodsb
    or al, al
    jz done
    out dx, al
    jmp say
done:
    mov dx, 0x501
    mov al, [result]
    out dx, al
    hlt
drive: dw 0
result: db 0x10
good_text: db "floppy good", 10, 0
bad_text: db "floppy bad", 10, 0
times 510-($-$$) db 0
dw 0xaa55
