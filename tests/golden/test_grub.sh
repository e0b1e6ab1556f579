#!/bin/bash
# test_grub.sh TICK86 BUILD SOURCE - an unmodified GRUB CD (grub-mkrescue) comes up to its menu through SeaBIOS and ATAPI, twice with
# the same state to the last bit, and shows the same screen without the block cache's help for the first instructions.
set -euo pipefail
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for tool in grub-mkrescue xorriso mformat; do
    command -v $tool >/dev/null || { echo "SKIPPED: $tool is not installed"; exit 77; }
done
bios=/usr/share/seabios/bios-256k.bin
vga=/usr/share/seabios/vgabios-stdvga.bin
mkdir -p "$work/root/boot/grub"
cat >"$work/root/boot/grub/grub.cfg" <<'C'
set timeout=-1
menuentry "tick86 golden entry one" { true }
menuentry "tick86 golden entry two" { true }
C
grub-mkrescue -o "$work/grub.iso" "$work/root" >/dev/null 2>&1
export BOOT_CD=$work/grub.iso BOOT_NS_PER_INSN=8 BOOT_LOG=0
"$build/tests/boot" $bios $vga 400000000 >"$work/one" 2>&1
"$build/tests/boot" $bios $vga 400000000 >"$work/two" 2>&1
grep -q 'GNU GRUB  version 2' "$work/one" || { cat "$work/one"; exit 1; }
grep -q '^ │\*tick86 golden entry one' "$work/one"
grep -q '^ │ tick86 golden entry two' "$work/one"
diff <(grep -e '---- hash' "$work/one") <(grep -e '---- hash' "$work/two")
# The same instructions decoded one by one give the same machine.
"$build/tests/boot" $bios $vga 20000000 >"$work/cached" 2>&1
BOOT_SLOW=1 "$build/tests/boot" $bios $vga 20000000 >"$work/slow" 2>&1
diff <(grep -e '---- hash' "$work/cached") <(grep -e '---- hash' "$work/slow")
echo "GRUB menu reached; runs identical"
