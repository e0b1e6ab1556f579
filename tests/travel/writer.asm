; writer.asm - a boot sector that writes to its disk for ever and checks what it reads back against what it remembers.
;
; Sectors 64 to 127 hold 128 copies of a doubleword that counts up with every write. The table at 1000:0 has what each sector
; must hold. A sector that is older or newer than memory says: disk and memory are not of one moment. Then BAD goes to COM1
; and 1 to isa-debug-exit. After the number of writes in `limit`, DONE and 2. A dot after every 256 writes.
        bits 16
        org 7c00h
start:  cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 7c00h
        mov ax, 1000h
        mov es, ax
        xor ax, ax
        xor di, di
        mov cx, 128
        rep stosw               ; 64 doublewords: the disk starts with zeros
        mov [drive], dl
        sti
        mov esi, 12345          ; of the sequence of sectors
        xor ebp, ebp            ; count of writes
next:   inc ebp
        imul esi, esi, 1103515245
        add esi, 12345
        mov eax, esi
        shr eax, 16
        and ax, 63
        mov bx, ax
        shl bx, 2
        mov [es:bx], ebp
        add ax, 64
        mov [lba], ax
        call fill
        mov ah, 43h
        call disk
        imul esi, esi, 1103515245
        add esi, 12345
        mov eax, esi
        shr eax, 16
        and ax, 63
        mov bx, ax
        shl bx, 2
        add ax, 64
        mov [lba], ax
        mov ah, 42h
        call disk
        mov eax, [es:bx]
        cmp [8000h], eax
        jne bad
        cmp [81fch], eax
        jne bad
        test ebp, 255
        jnz quiet
        mov al, '.'
        call put
quiet:  cmp ebp, [limit]
        jb next
        mov si, done
        mov bl, 2
        jmp leave_
bad:    mov si, wrong
        mov bl, 1
leave_: lodsb
        test al, al
        jz .end
        call put
        jmp leave_
.end:   mov al, bl
        mov dx, 501h
        out dx, al
        hlt
        jmp $-1

fill:   push es
        push ds
        pop es
        mov di, 8000h
        mov cx, 128
        mov eax, ebp
        rep stosd
        pop es
        ret
disk:   pushad
        mov si, packet
        mov al, 0
        mov dl, [drive]
        int 13h
        popad
        ret
put:    push dx
        push ax
        mov dx, 3fdh
.wait:  in al, dx
        test al, 20h
        jz .wait
        pop ax
        mov dx, 3f8h
        out dx, al
        pop dx
        ret
packet: db 16, 0
        dw 1, 8000h, 0
lba:    dd 0, 0
drive:  db 0
done:   db "DONE", 0
wrong:  db "BAD", 0
%ifndef LIMIT
%define LIMIT 20000
%endif
limit:  dd LIMIT
        times 510-($-$$) db 0
        dw 0aa55h
        times 1048576-($-$$) db 0
