; loader.asm - option ROM that boots the kernel given with -kernel.
;
; Follows the Plug and Play BIOS Specification 1.0A, section 3 (expansion header with a Bootstrap Entry Vector), the
; "Linux/x86 boot protocol" 2.00 to 2.15 (Documentation/arch/x86/boot.rst) and the Multiboot Specification 0.6.96.
; What to load comes from fw_cfg (QEMU, docs/specs/fw_cfg): the host side, machine/kernel_loader.c, has taken the image
; apart and patched its header. What is left for the ROM is what only the running firmware knows: the memory map
; (INT 15h, E820h), and so where the initrd may lie, and the registers of the entry point.
;
; SETUP_SIZE not 0: Linux. SETUP_SIZE 0: Multiboot; then INITRD is the Multiboot information, below 64 KiB, in which
; the ROM fills in the memory sizes and the memory map.
;
; Not implemented: Multiboot 2, PVH, EFI handover, Multiboot video modes and APM table.
;
; Memory while the ROM works: 0600h-7bffh stack, 7e00h-7fffh variables, 8000h-8fffh Multiboot memory map. Everything
; above 9000h belongs to what is loaded. The ROM itself lies in shadow RAM that is write-protected by now.

        bits    16
        cpu     486
        org     0

FW_SELECTOR     equ 510h
FW_DATA         equ 511h
FW_DMA_HIGH     equ 514h
FW_DMA_LOW      equ 518h

KEY_SIGNATURE   equ 00h
KEY_ID          equ 01h
KEY_KERNEL_ADDR equ 07h
KEY_KERNEL_SIZE equ 08h
KEY_INITRD_ADDR equ 0ah
KEY_INITRD_SIZE equ 0bh
KEY_KERNEL_ENTRY equ 10h
KEY_KERNEL_DATA equ 11h
KEY_INITRD_DATA equ 12h
KEY_CMDLINE_ADDR equ 13h
KEY_CMDLINE_SIZE equ 14h
KEY_CMDLINE_DATA equ 15h
KEY_SETUP_ADDR  equ 16h
KEY_SETUP_SIZE  equ 17h
KEY_SETUP_DATA  equ 18h

ID_DMA          equ 02h
DMA_ERROR       equ 01h
DMA_READ_SELECT equ 0ah                 ; read, after selecting the key in bits 31-16

RAMDISK_IMAGE   equ 218h                ; Linux setup header
RAMDISK_SIZE    equ 21ch

MBI_FLAGS       equ 0                   ; Multiboot information
MBI_MEM_LOWER   equ 4
MBI_MEM_UPPER   equ 8
MBI_MMAP_LENGTH equ 44
MBI_MMAP_ADDR   equ 48
MBI_HAS_MEMORY  equ 1 << 0
MBI_HAS_MMAP    equ 1 << 6

STACK_TOP       equ 7c00h
MMAP            equ 8000h
MMAP_END        equ 9000h - 24

        absolute 7e00h                  ; variables, DS = 0
dma_control     resd 1                  ; big-endian, as are the next two
dma_length      resd 1
dma_address     resd 2
gdt_pointer     resw 1
gdt_base        resd 1
has_dma         resb 1
                resb 1
setup_addr      resd 1
cmdline_addr    resd 1
initrd_size     resd 1
initrd_limit    resd 1
initrd_floor    resd 1
initrd_best     resd 1
region          resd 6                  ; one E820h entry

; Sum of the two bytes of a label's offset, and of the constant bytes of the PnP header: "$PnP", 1, 2.
%define SUM(label) (((label - rom_start) & 255) + ((label - rom_start) >> 8))
PNP_CONSTANT    equ '$' + 'P' + 'n' + 'P' + 1 + 2

        section .text

; ---- headers ----
rom_start:
        dw      0aa55h
        db      (rom_end - rom_start) / 512
        jmp     near initialize
        db      0                       ; checksum: filled in by roms/checksum.sh
        times   18h - ($ - rom_start) db 0
        dw      0                       ; no PCI data structure
        dw      pnp_header
        align   16
pnp_header:
        db      "$PnP"
        db      1                       ; structure revision
        db      2                       ; length in 16 bytes
        dw      0                       ; no further header
        db      0
        db      -(PNP_CONSTANT + SUM(manufacturer) + SUM(product) + SUM(boot)) & 255 ; all 32 bytes add up to 0
        dd      0                       ; device identifier
        dw      manufacturer
        dw      product
        db      0, 0, 0                 ; device type
        db      0                       ; device indicators
        dw      0                       ; boot connection vector
        dw      0                       ; disconnect vector
        dw      boot                    ; bootstrap entry vector
        dw      0
        dw      0
manufacturer:
        db      "tick86", 0
product:
        db      "tick86 kernel loader", 0

; Called by the firmware's ROM scan: AX bit 5 = we boot an operating system (PnP BIOS, 3.3).
initialize:
        mov     ax, 20h
        retf

; ---- bootstrap entry vector ----
boot:
        cli
        cld
        xor     ax, ax
        mov     ss, ax
        mov     esp, STACK_TOP
        mov     ds, ax
        mov     es, ax
        sti
        in      al, 92h                 ; A20 on, without touching the reset bit
        or      al, 2
        and     al, 0feh
        out     92h, al

        mov     ax, KEY_SIGNATURE
        call    fw_read32
        cmp     eax, "QEMU"
        mov     si, message_no_fw_cfg
        jne     fail
        mov     ax, KEY_ID
        call    fw_read32
        and     al, ID_DMA
        mov     [has_dma], al

        mov     eax, cs                 ; descriptor table, by linear address
        shl     eax, 4
        add     eax, gdt
        mov     [gdt_base], eax
        mov     word [gdt_pointer], gdt_end - gdt - 1

        mov     ax, KEY_SETUP_SIZE
        call    fw_read32
        test    eax, eax
        jz      boot_multiboot

; ---- Linux ----
boot_linux:
        mov     ax, KEY_SETUP_ADDR
        call    fw_read32
        mov     [setup_addr], eax
        mov     edi, eax
        mov     ax, KEY_SETUP_SIZE
        mov     bx, KEY_SETUP_DATA
        call    fw_read_sized

        mov     ax, KEY_CMDLINE_ADDR
        call    fw_read32
        mov     [cmdline_addr], eax
        mov     edi, eax
        mov     ax, KEY_CMDLINE_SIZE
        mov     bx, KEY_CMDLINE_DATA
        call    fw_read_sized

        mov     ax, KEY_KERNEL_ADDR
        call    fw_read32
        mov     edi, eax
        mov     ax, KEY_KERNEL_SIZE
        mov     bx, KEY_KERNEL_DATA
        call    fw_read_sized
        mov     [initrd_floor], edi     ; end of what was read

        mov     ax, KEY_INITRD_SIZE
        call    fw_read32
        mov     [initrd_size], eax
        test    eax, eax
        jz      .enter
        mov     ax, KEY_INITRD_ADDR
        call    fw_read32
        add     eax, [initrd_size]      ; the host side has seen to it that this does not wrap
        mov     [initrd_limit], eax
        call    place_initrd
        mov     edi, [initrd_best]
        test    edi, edi
        mov     si, message_no_room
        jz      fail
        mov     eax, [setup_addr]
        shr     eax, 4
        mov     es, ax
        mov     [es:RAMDISK_IMAGE], edi
        mov     ecx, [initrd_size]
        mov     [es:RAMDISK_SIZE], ecx
        mov     ax, KEY_INITRD_DATA
        call    fw_read_block
.enter:
        cli                             ; boot.rst, "Running the kernel"
        mov     edx, [setup_addr]
        mov     esp, [cmdline_addr]     ; stack and heap reach up to the command line
        sub     esp, edx
        cmp     esp, 0fff0h
        jbe     .stack_fits
        mov     esp, 10000h
.stack_fits:
        sub     esp, 16
        shr     edx, 4
        mov     ds, dx
        mov     es, dx
        mov     fs, dx
        mov     gs, dx
        mov     ss, dx
        add     dx, 20h
        push    dx
        push    word 0
        xor     eax, eax
        xor     ebx, ebx
        xor     ecx, ecx
        xor     edx, edx
        xor     esi, esi
        xor     edi, edi
        xor     ebp, ebp
        retf

; Highest page in RAM at which initrd_size bytes end at or below initrd_limit and start at or above initrd_floor, into
; initrd_best; 0 when there is none.
place_initrd:
        mov     dword [initrd_best], 0
        xor     ebx, ebx
.next:
        call    e820_next
        jc      .done
        cmp     dword [region + 4], 0   ; starts above 4 GiB
        jne     .skip
        cmp     dword [region + 16], 1
        jne     .skip
        mov     eax, [region]
        mov     ecx, eax
        add     eax, [region + 8]
        mov     edx, [region + 12]
        adc     edx, 0
        jnz     .limit                  ; ends above 4 GiB
        cmp     eax, [initrd_limit]
        jbe     .end_known
.limit:
        mov     eax, [initrd_limit]
.end_known:
        sub     eax, [initrd_size]
        jb      .skip
        and     eax, 0fffff000h
        cmp     eax, ecx
        jb      .skip
        cmp     eax, [initrd_floor]
        jb      .skip
        cmp     eax, [initrd_best]
        jbe     .skip
        mov     [initrd_best], eax
.skip:
        test    ebx, ebx
        jnz     .next
.done:
        ret

; Next memory map entry into `region`. EBX: continuation, 0 at first and after the last. CF: there is none.
e820_next:
        push    es
        xor     ax, ax
        mov     es, ax
        mov     di, region
        mov     eax, 0e820h
        mov     edx, "PAMS"
        mov     ecx, 20
        int     15h
        pop     es
        ret

; ---- Multiboot ----
boot_multiboot:
        mov     ax, KEY_KERNEL_ADDR
        call    fw_read32
        mov     edi, eax
        mov     ax, KEY_KERNEL_SIZE
        mov     bx, KEY_KERNEL_DATA
        call    fw_read_sized

        mov     ax, KEY_INITRD_ADDR
        call    fw_read32
        mov     bp, ax                  ; BP: Multiboot information; addressed through DS below
        mov     edi, eax
        mov     ax, KEY_INITRD_SIZE
        mov     bx, KEY_INITRD_DATA
        call    fw_read_sized

        int     12h
        movzx   eax, ax
        mov     [ds:bp + MBI_MEM_LOWER], eax
        mov     dword [ds:bp + MBI_MEM_UPPER], 0
        mov     dword [ds:bp + MBI_MMAP_ADDR], MMAP
        mov     si, MMAP
        xor     ebx, ebx
.region:
        push    si
        call    e820_next
        pop     si
        jc      .regions_done
        mov     dword [si], 20          ; size of what follows
        mov     eax, [region + 0]
        mov     [si + 4], eax
        mov     eax, [region + 4]
        mov     [si + 8], eax
        mov     eax, [region + 8]
        mov     [si + 12], eax
        mov     eax, [region + 12]
        mov     [si + 16], eax
        mov     eax, [region + 16]
        mov     [si + 20], eax
        add     si, 24
        cmp     dword [region], 100000h ; memory from 1 MiB up to the first hole
        jne     .not_upper
        cmp     dword [region + 4], 0
        jne     .not_upper
        cmp     dword [region + 16], 1
        jne     .not_upper
        mov     eax, [region + 8]
        mov     edx, [region + 12]
        shrd    eax, edx, 10
        mov     [ds:bp + MBI_MEM_UPPER], eax
.not_upper:
        test    ebx, ebx
        jz      .regions_done
        cmp     si, MMAP_END
        jbe     .region
.regions_done:
        sub     si, MMAP
        movzx   eax, si
        mov     [ds:bp + MBI_MMAP_LENGTH], eax
        or      dword [ds:bp + MBI_FLAGS], MBI_HAS_MEMORY | MBI_HAS_MMAP

        mov     ax, KEY_KERNEL_ENTRY
        call    fw_read32
        mov     esi, eax
        movzx   ebx, bp

        cli                             ; Multiboot 3.2, "Machine state"
        o32 lgdt [gdt_pointer]
        mov     ecx, cs
        shl     ecx, 4
        add     ecx, .protected
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        push    dword SELECTOR_CODE
        push    ecx
        o32 retf

        bits    32
.protected:
        mov     eax, SELECTOR_DATA
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        mov     ss, ax
        mov     eax, 2badb002h
        jmp     esi
        bits    16

; ---- fw_cfg ----

; EAX = the 32-bit little-endian item AX. Changes CX, DX.
fw_read32:
        mov     dx, FW_SELECTOR
        out     dx, ax
        mov     dx, FW_DATA
        mov     cx, 4
.byte:
        in      al, dx
        ror     eax, 8
        loop    .byte
        ret

; Reads item BX, whose size is in item AX, to physical address EDI, and sets EDI to the end.
fw_read_sized:
        call    fw_read32
        mov     ecx, eax
        mov     ax, bx
        ; falls through

; Reads ECX bytes of item AX to physical address EDI, and sets EDI to the end.
fw_read_block:
        test    ecx, ecx
        jz      .done
        cmp     byte [has_dma], 0
        je      .programmed
        xchg    al, ah                  ; big-endian bytes: key high, key low, 0, flags
        movzx   eax, ax
        or      eax, DMA_READ_SELECT << 24
        mov     [dma_control], eax
        mov     eax, ecx
        bswap   eax
        mov     [dma_length], eax
        mov     dword [dma_address], 0
        mov     eax, edi
        bswap   eax
        mov     [dma_address + 4], eax
        add     edi, ecx
        mov     dx, FW_DMA_HIGH
        xor     eax, eax
        out     dx, eax
        mov     dx, FW_DMA_LOW
        mov     eax, dma_control
        bswap   eax
        out     dx, eax
.wait:
        mov     eax, [dma_control]
        bswap   eax
        test    al, DMA_ERROR
        mov     si, message_dma
        jnz     fail
        test    eax, eax
        jnz     .wait
.done:
        ret

; Without DMA: byte by byte, through an ES without limit (real mode with a 4 GiB segment).
.programmed:
        mov     dx, FW_SELECTOR
        out     dx, ax
        mov     dx, FW_DATA
        cli
        push    es
        o32 lgdt [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     short .flush
.flush:
        mov     bx, SELECTOR_DATA
        mov     es, bx
        and     al, 0feh
        mov     cr0, eax
        jmp     short .flush_again
.flush_again:
        xor     bx, bx
        mov     es, bx
        a32 rep insb
        pop     es
        sti
        ret

; ---- failure ----

; Prints the message at CS:SI and lets the firmware try the next boot device.
fail:
        push    si
        mov     si, message_prefix
        call    print
        pop     si
        call    print
        sti
        int     18h
.halt:
        hlt
        jmp     .halt

print:
        cs lodsb
        test    al, al
        jz      .done
        mov     ah, 0eh
        mov     bx, 7
        int     10h
        jmp     print
.done:
        ret

message_prefix:         db 13, 10, "tick86 kernel loader: ", 0
message_no_fw_cfg:      db "no fw_cfg device", 13, 10, 0
message_no_room:        db "no memory left for the initrd; give the machine more with -m", 13, 10, 0
message_dma:            db "fw_cfg DMA failed", 13, 10, 0

; Flat 32-bit code and data.
        align   8
gdt:
        dq      0
        dw      0ffffh, 0
        db      0, 9bh, 0cfh, 0
        dw      0ffffh, 0
        db      0, 93h, 0cfh, 0
gdt_end:
SELECTOR_CODE   equ 8
SELECTOR_DATA   equ 16

        align   512, db 0
rom_end:
