#!/bin/bash
# test_gdb.sh TICK86 BUILD SOURCE - real gdb, and gdb-multiarch, over the socket: from the reset vector through SeaBIOS, GRUB's
# real-mode stage and the mode switches of a boot to Linux' start_kernel, backwards over instructions, and away again.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
command -v gdb >/dev/null || skip "gdb is not installed"
need_installer

# with_gdb OUT GDB SCRIPT OPTION...: starts tick86 stopped behind a socket and lets gdb run the script's lines.
with_gdb() {
    local out=$1 program=$2 script=$3 pid status=0 line
    local lines=(-ex "set confirm off" -ex "set pagination off" -ex "target remote $scratch/gdb.sock")
    shift 3
    rm -f "$scratch/gdb.sock"
    "$tick86" -S -gdb "unix:$scratch/gdb.sock" -display none -time virtual "$@" >"$out.tick86" 2>&1 </dev/null &
    pid=$!
    background+=("$pid")
    while [ ! -S "$scratch/gdb.sock" ] && kill -0 $pid 2>/dev/null; do sleep 0.1; done
    while IFS= read -r line; do
        [ -z "$line" ] || lines+=(-ex "$line")
    done <"$script"
    timeout 300 "$program" -nx -batch "${lines[@]}" >"$out" 2>&1 </dev/null || status=$?
    [ $status = 0 ] || { fail "$program: status $status"; tail -n 40 "$out"; }
    kill $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
}

kernel=(-kernel $installer/linux -initrd $installer/initrd.gz -m 256 -append "console=ttyS0,115200 nokaslr" -cpu pentium3)

# ---- from reset to start_kernel, and back ----
cat >"$scratch/boot.gdb" <<G
echo at reset:\n
p/x \$cs
p/x \$cs_base
p/x \$pc
x/i \$pc
info threads
stepi
x/i \$pc
echo in SeaBIOS:\n
break *0xfe05b if \$esp == 0
tbreak *0xfd0a0
watch *(int *) 0x6f04
delete 3
echo mode switch:\n
monitor catch mode
continue
monitor info breakpoints
p/x \$cr0
stepi
stepi
p/x \$cs
p \$cs_limit
monitor delete
echo physical watch:\n
monitor watch phys:0x400 2 if pw[0x400] == 0x3f8
continue
p/x *(unsigned short *) 0x400
monitor delete
delete
echo kernel:\n
hbreak *0x1000000
continue
delete
monitor symbols kernel
monitor symbols write $scratch/kernel.elf
symbol-file $scratch/kernel.elf
break start_kernel
continue
delete
set architecture i386
x/2i \$pc
p/x \$cr3 != 0
monitor bt
echo steps:\n
set \$before = (long) \$eax + (long) \$esp
p \$pc
stepi 100
p \$pc
reverse-stepi 100
p \$pc
p \$before == (long) \$eax + (long) \$esp
stepi 100
p \$pc
tbreak *0x1000000
reverse-continue
p \$pc
break vprintk
continue
delete
echo iret:\n
monitor catch irq any
continue
monitor delete
p/x \$cs
monitor catch cr 3
continue
monitor delete
detach
G
with_gdb "$scratch/boot" gdb "$scratch/boot.gdb" "${kernel[@]}" -checkpoints mem=64M
wants "reset: cs" '^\$1 = 0xf000$' "$scratch/boot"
wants "reset: base" '^\$2 = 0xffff0000$' "$scratch/boot"
wants "reset: instruction" 'ljmp +\$0xf000,\$0xe05b' "$scratch/boot"
wants "threads" '^\* 1 +Thread 1 \(CPU#0 \[running\] real\)' "$scratch/boot"
wants "SeaBIOS" '0xfe05b:.*cmpl' "$scratch/boot"
wants "mode switch" 'breakpoint [0-9]+: mode' "$scratch/boot"
wants "32-bit code after two steps" '^\$[0-9]+ = 0x8$' "$scratch/boot"
wants "watch on a physical page" 'breakpoint [0-9]+: data 0x400 written' "$scratch/boot"
wants "COM1 in the BIOS data area" '^\$[0-9]+ = 0x3f8$' "$scratch/boot"
wants "kernel symbols" '^[0-9]{5,} symbols' "$scratch/boot"
wants "start_kernel" '^Breakpoint [0-9]+, 0x[0-9a-f]+ in start_kernel \(\)' "$scratch/boot"
wants "disassembly with names" '<start_kernel>:.*call.*<__fentry__>' "$scratch/boot"
wants "monitor backtrace" '^#0 .* start_kernel' "$scratch/boot"
wants "breakpoint in the kernel" '^Breakpoint [0-9]+, 0x[0-9a-f]+ in vprintk \(\)' "$scratch/boot"
wants "interrupt" 'breakpoint [0-9]+: interrupt 0x' "$scratch/boot"
wants "CR3 write" 'breakpoint [0-9]+: CR 0x3, value' "$scratch/boot"
wants "detach" 'detached' "$scratch/boot"
# Where 100 steps lead, back, and again: the first and third pc of four are equal, the second and fourth too.
mapfile -t pcs < <(sed -n '/^steps:/,/^iret:/p' "$scratch/boot" | grep -oE '^\$[0-9]+ = \(void \(\*\)\(\)\) 0x[0-9a-f]+' | awk '{ print $NF }')
if [ ${#pcs[@]} -lt 5 ] || [ "${pcs[0]}" != "${pcs[2]}" ] || [ "${pcs[1]}" != "${pcs[3]}" ] || [ "${pcs[0]}" = "${pcs[1]}" ]; then
    fail "100 steps and back: ${pcs[*]}"
fi
[ "${pcs[4]:-}" = 0x1000000 ] || fail "reverse-continue to the kernel's first instruction: ${pcs[4]:-}"
wants "registers after going back" '^\$[0-9]+ = 1$' "$scratch/boot"

# ---- detach, let it run, and come back ----
cat >"$scratch/leave.gdb" <<G
break *0xfe05b
continue
detach
shell for n in \$(seq 100); do grep -qa "Linux version" $scratch/serial && break; sleep 0.2; done
target remote $scratch/gdb.sock
p/x \$cs != 0
kill
G
with_gdb "$scratch/leave" gdb "$scratch/leave.gdb" "${kernel[@]}" -serial "file:$scratch/serial"
wants "guest went on" 'Linux version' "$scratch/serial"
wants "attached again" '^\$1 = 0x1$' "$scratch/leave"
wants "killed" '\[Inferior 1 \(.*\) killed\]' "$scratch/leave"

# ---- long mode: the description announced at the reset vector serves all modes; threads are processors ----
amd64=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
if [ -r $amd64/linux ]; then
    cat >"$scratch/long.gdb" <<G
p/x \$pc
hbreak *0x1000000
continue
monitor symbols kernel
monitor symbols write $scratch/kernel64.elf
symbol-file $scratch/kernel64.elf
delete
break start_kernel
continue
p/x \$efer & 0x400
info threads
stepi
x/i \$pc
monitor gdb arch i8086
unset tdesc filename
show architecture
monitor gdb arch auto
unset tdesc filename
show architecture
detach
G
    with_gdb "$scratch/long" gdb "$scratch/long.gdb" -kernel $amd64/linux -m 256 -smp 2 -append "console=ttyS0,115200 nokaslr"
    wants "reset with a 64-bit description" '^\$1 = 0xfffffff0$' "$scratch/long"
    wants "64-bit start_kernel" 'Breakpoint [0-9]+, 0xffffffff8[0-9a-f]+ in start_kernel' "$scratch/long"
    wants "long mode" '^\$2 = 0x400$' "$scratch/long"
    wants "two processors" '^  2 +Thread 2 \(CPU#1 \[halted\]' "$scratch/long"
    wants "another description" 'currently "i8086"' "$scratch/long"
    wants "and back" 'currently "i386:x86-64"' "$scratch/long"
else
    echo "note: without debian-installer-12-netboot-amd64 long mode is not debugged"
fi

# ---- GRUB's first stage from a CD, with gdb-multiarch where there is one ----
if command -v grub-mkrescue >/dev/null && command -v xorriso >/dev/null && command -v mformat >/dev/null; then
    multiarch=$(command -v gdb-multiarch || command -v gdb)
    mkdir -p "$scratch/root/boot/grub"
    echo 'set timeout=-1' >"$scratch/root/boot/grub/grub.cfg"
    grub-mkrescue -o "$scratch/grub.iso" "$scratch/root" >/dev/null 2>&1
    cat >"$scratch/grub.gdb" <<G
break *0x7c00
continue
x/2i \$pc
p/x \$dl
stepi 20
monitor catch mode
continue
monitor print cr0 & 1
monitor x/2i pc
monitor info gdt
monitor find 0x7c00 0x200 0x55 0xaa
G
    with_gdb "$scratch/grub" "$multiarch" "$scratch/grub.gdb" -cdrom "$scratch/grub.iso" -m 64 -cpu pentium3
    wants "GRUB's boot sector" '^Breakpoint 1, 0x00007c00' "$scratch/grub"
    wants "GRUB's switch" 'breakpoint [0-9]+: mode' "$scratch/grub"
    wants "protected mode" '^0x1 1' "$scratch/grub"
else
    echo "note: without grub-mkrescue GRUB is not debugged"
fi
exit $failed
