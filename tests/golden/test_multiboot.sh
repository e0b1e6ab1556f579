#!/bin/bash
# test_multiboot.sh TICK86 BUILD SOURCE - the loader ROM starts Multiboot kernels, ELF and with addresses, and hands over
# modules, command line and memory map.
set -euo pipefail
tick86=$1
source_dir=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

printf 'first content\0' >one
printf 'second content\0' >two
nasm -f bin -DELF -o kernel-elf "$source_dir/tests/golden/multiboot.asm"
nasm -f bin -o kernel-flat "$source_dir/tests/golden/multiboot.asm"

# start KERNEL OPTION...
start() {
    local kernel=$1 status=0
    shift
    timeout 120 "$tick86" -display none -time virtual -m 32 -device isa-debug-exit -serial file:serial -kernel "$kernel" \
        "$@" -stop-at time=60 2>errors || status=$?
    if [ $status != 41 ]; then # (20 << 1) | 1
        echo "kernel $kernel: status $status"
        cat errors serial
        exit 1
    fi
}
expect() {
    if ! diff -u expected serial; then
        echo "kernel $1: serial output differs"
        exit 1
    fi
}

start kernel-elf -initrd "one arg1 arg2,two" -append "root=none quiet"
cat >expected <<'END'
flags 0000024D
loader tick86
line kernel-elf root=none quiet
upper 00007BF8
modules 00000002
module first content
module second content
ram 01F9DC00
MULTIBOOT-OK
END
expect kernel-elf

start "$scratch/kernel-flat"
cat >expected <<'END'
flags 00000245
loader tick86
line kernel-flat 
upper 00007BF8
modules 00000000
ram 01F9DC00
MULTIBOOT-OK
END
expect kernel-flat

head -c 100 kernel-elf >truncated
if "$tick86" -display none -kernel truncated 2>errors || [ "$(wc -l <errors)" != 1 ]; then
    echo "a truncated kernel was accepted"
    exit 1
fi
