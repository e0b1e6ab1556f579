; multiboot.asm - a Multiboot kernel that prints on COM1 what its loader told it and leaves through isa-debug-exit.
;
; nasm -f bin -DELF makes an ELF32 file with one segment, without ELF an image whose Multiboot header gives addresses.
        bits    32
LOAD            equ 100000h
MAGIC           equ 1badb002h
%ifdef ELF
FLAGS           equ 3                   ; page-aligned modules, memory information
%else
FLAGS           equ 10003h              ; and addresses
%endif
COM1            equ 3f8h
BSS             equ 64

        org     LOAD
file:
%ifdef ELF
        db      7fh, "ELF", 1, 1, 1, 0
        dq      0
        dw      2, 3                    ; executable, 386
        dd      1
        dd      start + 0c0000000h      ; virtual, as of a kernel in the upper half
        dd      segments - file
        dd      0, 0
        dw      52, 32, 1, 40, 0, 0
segments:
        dd      1, 0, LOAD + 0c0000000h, LOAD
        dd      end - file, end - file + BSS, 7, 1000h
%endif
        align   4
header:
        dd      MAGIC, FLAGS, -(MAGIC + FLAGS)
%ifndef ELF
        dd      header, file, end, end + BSS, start
%endif

start:
        mov     esp, stack_top
        cmp     eax, 2badb002h
        mov     esi, text_bad
        jne     fail
        mov     esi, text_flags
        call    print
        mov     eax, [ebx]
        call    print_hex
        mov     esi, text_loader
        call    print
        mov     esi, [ebx + 64]
        call    print
        mov     esi, text_line
        call    print
        mov     esi, [ebx + 16]
.base:  mov     edi, esi                ; the kernel's name without its folder
.scan:  mov     al, [esi]
        inc     esi
        cmp     al, '/'
        je      .base
        cmp     al, ' '
        ja      .scan
        mov     esi, edi
        call    print
        mov     esi, text_upper
        call    print
        mov     eax, [ebx + 8]
        call    print_hex
        mov     esi, text_modules
        call    print
        mov     eax, [ebx + 20]
        call    print_hex
        mov     ecx, [ebx + 20]
        mov     edi, [ebx + 24]
.module:
        jecxz   .map
        mov     esi, text_module
        call    print
        mov     esi, [edi]
        test    esi, 0fffh
        jnz     .unaligned
        call    print
.unaligned:
        add     edi, 16
        dec     ecx
        jmp     .module
.map:
        mov     esi, [ebx + 48]         ; RAM in the map, all added up
        mov     ecx, [ebx + 44]
        add     ecx, esi
        xor     eax, eax
.entry:
        cmp     esi, ecx
        jae     .summed
        cmp     dword [esi + 20], 1
        jne     .next
        add     eax, [esi + 12]
.next:
        add     esi, [esi]
        add     esi, 4
        jmp     .entry
.summed:
        mov     esi, text_ram
        call    print
        call    print_hex
        mov     esi, text_bss
        cmp     dword [end], 0          ; BSS is zero
        jne     fail
        mov     esi, text_end
        call    print
        mov     dx, COM1 + 5
.drain: in      al, dx
        test    al, 40h
        jz      .drain
        mov     dx, 501h
        mov     al, 20
        out     dx, al
        jmp     $
fail:
        call    print
        mov     dx, 501h
        mov     al, 1
        out     dx, al
        jmp     $

print:
        pushad
.next:
        lodsb
        test    al, al
        jz      .done
        call    put
        jmp     .next
.done:
        popad
        ret

put:
        push    edx
        push    eax
        mov     dx, COM1 + 5
.wait:  in      al, dx
        test    al, 20h
        jz      .wait
        pop     eax
        mov     dx, COM1
        out     dx, al
        pop     edx
        ret

print_hex:
        pushad
        mov     ecx, 8
.digit:
        rol     eax, 4
        push    eax
        and     al, 0fh
        cmp     al, 10
        sbb     al, 69h
        das
        call    put
        pop     eax
        loop    .digit
        popad
        ret

text_bad:       db "bad magic", 10, 0
text_bss:       db 10, "BSS is not zero", 10, 0
text_flags:     db "flags ", 0
text_loader:    db 10, "loader ", 0
text_line:      db 10, "line ", 0
text_upper:     db 10, "upper ", 0
text_modules:   db 10, "modules ", 0
text_module:    db 10, "module ", 0
text_ram:       db 10, "ram ", 0
text_end:       db 10, "MULTIBOOT-OK", 10, 0
        align   16
        times   256 db 0cch
stack_top:
end:
