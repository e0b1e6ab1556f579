; clocks.asm - a firmware image that measures the PC's clocks against each other and prints who agrees within 0.1 %.
;
; nasm -f bin -o clocks.rom clocks.asm; given as -bios. Two phases of three seconds each, from one update of the real-time
; clock to another: one polls, one halts and counts interrupts. Every time is taken in microseconds by the clock's own
; rate: TSC by CPUID leaf 15h, PIT 1193182 Hz, ACPI PM timer 3579545 Hz, RTC 1 Hz and 1024 Hz. Text goes to COM1.
        bits    16
        org     0
COM1            equ 3f8h
PM_BASE         equ 0b000h
SECONDS         equ 3
PIT_HZ          equ 1193182
PM_HZ           equ 3579545
IRQ0_COUNT      equ 1193                ; 1000.15 Hz

; Variables, in segment 0.
tsc_hz          equ 500h
tsc_mhz         equ 504h
updates         equ 508h                ; RTC updates seen
periodic        equ 50ch                ; RTC periodic flags
pit_sum         equ 510h
pit_last        equ 514h
irq0            equ 518h
tsc_start       equ 520h
pm_start        equ 528h
periodic_start  equ 52ch
pit_start       equ 530h
is_done         equ 534h
phase           equ 538h                ; offset of its name
micros          equ 540h                ; microseconds: five doublewords
CLOCKS          equ 5

start:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 7c00h
        cld
        xor     di, di                  ; every interrupt returns
        mov     cx, 256
.vector:
        mov     ax, ignore
        stosw
        mov     ax, cs
        stosw
        loop    .vector
        mov     word [8 * 4], on_irq0
        mov     word [70h * 4], on_irq8
        call    set_pics
        call    set_pm_timer
        call    read_cpuid
        mov     dx, COM1 + 3            ; 115200 8N1
        mov     al, 83h
        out     dx, al
        mov     dx, COM1
        mov     al, 1
        out     dx, al
        inc     dx
        xor     al, al
        out     dx, al
        mov     dx, COM1 + 3
        mov     al, 3
        out     dx, al

        mov     word [phase], name_poll
        call    poll_phase
        call    compare_all
        mov     word [phase], name_halt
        call    halt_phase
        call    compare_all
        call    compare_cpuid
        mov     si, text_end
        call    print
.drain: mov     dx, COM1 + 5            ; the last bytes are on the line still
        in      al, dx
        test    al, 40h
        jz      .drain
        mov     dx, 501h
        mov     al, 20
        out     dx, al
.stop:  hlt
        jmp     .stop

; ---- chips ----

set_pics:
        mov     al, 11h
        out     20h, al
        out     0a0h, al
        mov     al, 8
        out     21h, al
        mov     al, 70h
        out     0a1h, al
        mov     al, 4
        out     21h, al
        mov     al, 2
        out     0a1h, al
        mov     al, 1
        out     21h, al
        out     0a1h, al
        mov     al, 0ffh
        out     21h, al
        out     0a1h, al
        ret

; PIIX4 function 3 of device 1: PMBASE (40h), PMREGMISC (80h) bit 0.
set_pm_timer:
        mov     eax, 80000b40h
        mov     dx, 0cf8h
        out     dx, eax
        mov     eax, PM_BASE | 1
        mov     dx, 0cfch
        out     dx, eax
        mov     eax, 80000b80h
        mov     dx, 0cf8h
        out     dx, eax
        mov     al, 1
        mov     dx, 0cfch
        out     dx, al
        ret

read_cpuid:
        xor     eax, eax
        cpuid
        xor     ebx, ebx
        mov     [tsc_hz], ebx
        mov     [tsc_mhz], ebx
        cmp     eax, 16h
        jb      .out
        mov     eax, 15h                ; TSC = ECX * EBX / EAX
        xor     ecx, ecx
        cpuid
        test    eax, eax
        jz      .out
        mov     esi, eax
        mov     eax, ecx
        mul     ebx
        div     esi
        mov     [tsc_hz], eax
        mov     eax, 16h
        cpuid
        movzx   eax, ax
        mov     [tsc_mhz], eax
.out:   ret

rtc_write:                              ; AL: register, AH: value
        out     70h, al
        mov     al, ah
        out     71h, al
        ret

rtc_flags:                              ; register C to AL; reading clears it
        mov     al, 0ch
        out     70h, al
        in      al, 71h
        ret

start_clocks:
        xor     eax, eax
        mov     [updates], eax
        mov     [periodic], eax
        mov     [pit_sum], eax
        mov     [irq0], eax
        mov     [is_done], eax
        mov     ax, 260ah               ; 32.768 kHz, 1024 Hz
        call    rtc_write
        call    rtc_flags
        ret

; ---- start and end of a phase, at an update of the real-time clock ----

at_update:
        inc     dword [updates]
        cmp     dword [updates], 1      ; printing takes its time: measuring begins a second later
        je      .begin
        cmp     dword [updates], 2
        je      .first
        cmp     dword [updates], SECONDS + 2
        je      .last
        ret
.begin: mov     si, [phase]
        call    print
        mov     si, text_begins
        jmp     print
.first: call    read_pm
        mov     [pm_start], eax
        rdtsc
        mov     [tsc_start], eax
        mov     eax, [periodic]
        mov     [periodic_start], eax
        mov     eax, [pit_sum]
        add     eax, [irq0]
        mov     [pit_start], eax
        ret
.last:  call    read_pm
        sub     eax, [pm_start]
        and     eax, 0ffffffh
        mov     ecx, PM_HZ
        call    to_us
        mov     [micros + 8], eax
        rdtsc
        sub     eax, [tsc_start]
        mov     ecx, [tsc_hz]
        call    to_us
        mov     [micros], eax
        mov     dword [micros + 12], SECONDS * 1000000
        mov     eax, [periodic]
        sub     eax, [periodic_start]
        mov     ecx, 1024
        call    to_us
        mov     [micros + 16], eax
        mov     eax, [pit_sum]
        add     eax, [irq0]
        sub     eax, [pit_start]
        mov     ecx, PIT_HZ
        call    to_us
        mov     [micros + 4], eax
        mov     byte [is_done], 1
        mov     si, [phase]
        call    print
        mov     si, text_ends
        jmp     print

; EAX ticks of a clock of ECX Hz in microseconds; 0 when there is no such rate.
to_us:
        jecxz   .none
        mov     edx, 1000000
        mul     edx
        cmp     edx, ecx
        jae     .none
        div     ecx
        ret
.none:  xor     eax, eax
        ret

read_pm:
        mov     dx, PM_BASE + 8
        in      eax, dx
        ret

; ---- phase 1: no interrupt, no HLT ----

poll_phase:
        mov     al, 34h                 ; counter 0, mode 2, 65536
        out     43h, al
        xor     al, al
        out     40h, al
        out     40h, al
        mov     ax, 020bh               ; 24 hours, no interrupts
        call    rtc_write
        call    start_clocks
        call    read_pit
        mov     dword [pit_sum], 0
.loop:  call    read_pit
        call    rtc_flags
        test    al, 40h
        jz      .no_periodic
        inc     dword [periodic]
.no_periodic:
        test    al, 10h
        jz      .no_update
        call    at_update
.no_update:
        cmp     byte [is_done], 0
        je      .loop
        ret

; Counter 0 down from what it was, added up.
read_pit:
        xor     al, al
        out     43h, al
        in      al, 40h
        mov     ah, al
        in      al, 40h
        xchg    al, ah
        movzx   eax, ax
        mov     ecx, [pit_last]
        mov     [pit_last], eax
        sub     ecx, eax
        movzx   ecx, cx
        add     [pit_sum], ecx
        ret

; ---- phase 2: interrupts and HLT ----

halt_phase:
        mov     al, 34h
        out     43h, al
        mov     al, IRQ0_COUNT & 0ffh
        out     40h, al
        mov     al, IRQ0_COUNT >> 8
        out     40h, al
        call    start_clocks
        mov     ax, 520bh               ; periodic and update interrupts
        call    rtc_write
        mov     al, 0fah                ; IRQ 0, cascade
        out     21h, al
        mov     al, 0feh                ; IRQ 8
        out     0a1h, al
.loop:  sti
        hlt
        cli
        cmp     byte [is_done], 0
        je      .loop
        mov     al, 0ffh
        out     21h, al
        out     0a1h, al
        ret

on_irq0:
        push    ax
        add     dword [irq0], IRQ0_COUNT
        mov     al, 20h
        out     20h, al
        pop     ax
        iret

on_irq8:
        pushad
        call    rtc_flags
        test    al, 40h
        jz      .no_periodic
        inc     dword [periodic]
.no_periodic:
        test    al, 10h
        jz      .no_update
        call    at_update
.no_update:
        mov     al, 20h
        out     0a0h, al
        out     20h, al
        popad
        iret

ignore: iret

; ---- verdicts ----

compare_all:
        xor     bx, bx                  ; index of the first of a pair
.first: mov     bp, bx
.second:
        add     bp, 4
        cmp     bp, 4 * CLOCKS
        jae     .next
        mov     si, [phase]
        call    print
        mov     si, bx
        shr     si, 1
        mov     si, [cs:names + si]
        call    print
        mov     si, bp
        shr     si, 1
        mov     si, [cs:names + si]
        call    print
        mov     eax, [micros + bx]
        mov     edx, [ds:micros + bp]
        call    verdict
        jmp     .second
.next:  add     bx, 4
        cmp     bx, 4 * (CLOCKS - 1)
        jb      .first
        ret

compare_cpuid:
        mov     si, text_leaves
        call    print
        mov     eax, [tsc_hz]
        xor     edx, edx
        mov     ecx, 1000000
        div     ecx
        mov     edx, [tsc_mhz]
; EAX and EDX differ by at most a thousandth of EDX, and neither is 0.
verdict:
        mov     ecx, eax
        mov     edi, edx
        mov     eax, edi
        sub     eax, ecx
        jns     .positive
        neg     eax
.positive:
        mov     esi, 1000
        mul     esi
        test    edx, edx
        jnz     .bad
        cmp     eax, edi
        ja      .bad
        jecxz   .bad
        mov     si, text_agree
        jmp     print
.bad:   mov     si, text_differ
        call    print
        mov     eax, ecx
        call    print_number
        mov     si, text_and
        call    print
        mov     eax, edi
        call    print_number
        mov     si, text_newline
        jmp     print

print_number:
        xor     edx, edx
        mov     esi, 10
        div     esi
        push    dx
        test    eax, eax
        jz      .last
        call    print_number
.last:  pop     ax
        add     al, '0'
        jmp     put

print:
        mov     al, [cs:si]
        inc     si
        test    al, al
        jz      .out
        call    put
        jmp     print
.out:   ret

put:
        push    dx
        push    ax
        mov     dx, COM1 + 5
.wait:  in      al, dx
        test    al, 20h
        jz      .wait
        pop     ax
        mov     dx, COM1
        out     dx, al
        pop     dx
        ret

names:          dw name_tsc, name_pit, name_pm, name_rtc, name_periodic
name_tsc:       db " tsc", 0
name_pit:       db " pit", 0
name_pm:        db " pm", 0
name_rtc:       db " rtc", 0
name_periodic:  db " periodic", 0
name_poll:      db "poll", 0
name_halt:      db "halt", 0
text_begins:    db " begins", 13, 10, 0
text_ends:      db " ends", 13, 10, 0
text_agree:     db " agree", 13, 10, 0
text_differ:    db " differ: ", 0
text_and:       db " and ", 0
text_newline:   db 13, 10, 0
text_leaves:    db "cpuid 15h 16h", 0
text_end:       db "CLOCKS-END", 13, 10, 0

        times   0fff0h - ($ - $$) db 0f4h
        jmp     0f000h:start
        times   10000h - ($ - $$) db 0
