; ferr.asm - x87 errors the AT's way, with CR0.NE clear: FERR#, IRQ 13, port F0h and IGNNE#. SDM vol. 1, 8.7 and D.2.
%include "system.inc"

irq_hook:                               ; EAX: the vector
        inc     dword [irqs]
        fnstsw  [irq_status]            ; does not wait
        out     0f0h, al
        cmp     dword [irqs], 1
        jne     .no_ignne
        fld1                            ; waiting instructions go on while IGNNE# is there
        fstp    st0
        inc     dword [went_on]
.no_ignne:
        fnclex
        mov     al, 20h
        out     0a0h, al
        out     20h, al
        ret

main:
        mov     al, 11h                 ; the controllers: vectors 50h and 58h, IRQ 13 open
        out     20h, al
        out     0a0h, al
        mov     al, 50h
        out     21h, al
        mov     al, 58h
        out     0a1h, al
        mov     al, 4
        out     21h, al
        mov     al, 2
        out     0a1h, al
        mov     al, 1
        out     21h, al
        out     0a1h, al
        mov     al, 0fbh
        out     21h, al
        mov     al, 0dfh
        out     0a1h, al

        TEST    "CR0.NE set: #MF"
        mov     eax, cr0
        or      al, 20h
        mov     cr0, eax
        fninit
        fldcw   [zero_divide]
        fld1
        fldz
        fdivp                           ; no exception yet: at the next waiting instruction
        FAULT   16, NO_ERROR, {fwait}
        FAULT   16, NO_ERROR, {fld1}
        fnclex

        TEST    "CR0.NE clear: IRQ 13"
        mov     eax, cr0
        and     al, ~20h
        mov     cr0, eax
        fninit
        fldcw   [zero_divide]
        fld1
        fldz
        fdivp
        EXPECT  [irqs], 0
        mov     dword [hook], irq_hook
        sti
        nop
        EXPECT  [irqs], 0               ; not before a waiting instruction
.waits: fld1
.after: cli
        mov     dword [hook], 0
        EXPECT  [irqs], 1
        EXPECT  [went_on], 1
        EXPECT  [seen_vector], 5dh
        EXPECT  [seen_eip], .waits
        movzx   eax, word [irq_status]
        and     eax, 84h
        EXPECT  eax, 84h                ; ES, ZE
        fnstsw  ax
        and     eax, 0ffh
        EXPECT  eax, 0

        TEST    "once more, after a new exception"
        fninit
        fldcw   [zero_divide]
        fld1
        fldz
        fdivp
        mov     dword [hook], irq_hook
        sti
.wait2: fwait
        cli
        mov     dword [hook], 0
        EXPECT  [irqs], 2
        EXPECT  [seen_eip], .wait2
        ret

        align   4
irqs:           dd 0
went_on:        dd 0
irq_status:     dd 0
zero_divide:    dw 37bh                 ; ZM clear
        END_OF_IMAGE
