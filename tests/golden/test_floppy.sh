#!/bin/bash
# test_floppy.sh TICK86 BUILD SOURCE - the floppy controller with two clients: SeaBIOS (boots a sector that reads, writes and verifies
# through INT 13h) and Linux' floppy driver (reads and writes a disk, notices that the monitor changed it).
set -euo pipefail
tick86=$(realpath "$1")
build_dir=$(realpath "$2")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
# shellcheck source=tests/support/guest.sh
. "$source_dir/tests/support/guest.sh"

# ---- SeaBIOS ----
nasm -f bin -o "$scratch/boot.bin" "$source_dir/tests/golden/floppy.asm"
truncate -s 1440K "$scratch/boot.img"
dd if="$scratch/boot.bin" of="$scratch/boot.img" conv=notrunc status=none
for cylinder in $(seq 0 79); do # the cylinder's number in the seventh sector of head 1
    # shellcheck disable=SC2059
    printf "\\$(printf %03o "$cylinder")" |
        dd of="$scratch/boot.img" bs=1 seek=$(((cylinder * 36 + 24) * 512)) conv=notrunc status=none
done
status=0
timeout 300 "$tick86" -fda "$scratch/boot.img" -boot a -display none -debugcon file:"$scratch/bios" -device isa-debug-exit \
    -time virtual || status=$?
[ $status = 33 ] || fail "SeaBIOS: status $status" # (10h << 1) | 1
wants SeaBIOS '^floppy good' "$scratch/bios"
[ "$(dd if="$scratch/boot.img" bs=512 skip=$((40 * 36 + 2)) count=1 status=none | tr -d '\132\245' | wc -c)" = 0 ] ||
    fail "SeaBIOS: what it wrote is not on the disk"

# ---- Linux ----
need_installer
guest_package i386 busybox-static >/dev/null || skip "busybox-static for i386 cannot be downloaded"
root=$scratch/root
mkdir -p "$root"
guest_modules "$root" floppy || skip "the modules of Debian's kernel cannot be downloaded"
cat >"$root/init" <<'END'
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "cannot load $module"; done
while [ ! -b /dev/fd0 ]; do sleep 0.1; done
echo "GUEST-READ $(dd if=/dev/fd0 bs=18k 2>/dev/null | md5sum)"
seq 1 3000 | dd of=/dev/fd0 bs=512 seek=100 conv=notrunc 2>/dev/null
sync
echo "GUEST-WROTE"
while ! dd if=/dev/fd0 bs=512 count=1 2>/dev/null | grep -q second; do sleep 0.2; done
echo "GUEST-CHANGED $(dd if=/dev/fd0 bs=18k 2>/dev/null | md5sum)"
poweroff -f
END
guest_initrd "$root" "$scratch/initrd.gz"
head -c 1474560 "$tick86" >"$scratch/first.img"
{ echo second; head -c 1474553 "$source_dir/CMakeLists.txt"; } >"$scratch/second.img"
truncate -s 1440K "$scratch/first.img" "$scratch/second.img"
first=$(md5sum <"$scratch/first.img") second=$(md5sum <"$scratch/second.img")
mkfifo "$scratch/monitor"
timeout 900 "$tick86" -m 96 -kernel "$installer/linux" -initrd "$scratch/initrd.gz" -append "console=ttyS0,115200 quiet" -display none \
    -serial file:"$scratch/serial" -monitor stdio -fda "$scratch/first.img" -time virtual <"$scratch/monitor" >"$scratch/answers" &
pid=$!
exec 7>"$scratch/monitor"
for _ in $(seq 1 1500); do
    ! grep -qa GUEST-WROTE "$scratch/serial" 2>/dev/null || break
    kill -0 $pid 2>/dev/null || break
    sleep 0.2
done
echo "change floppy0 $scratch/second.img" >&7
status=0
wait $pid || status=$?
exec 7>&-
[ $status = 0 ] || fail "Linux: status $status"
wants Linux "^GUEST-READ ${first%% *}" "$scratch/serial"
wants Linux "^GUEST-CHANGED ${second%% *}" "$scratch/serial"
cmp -i 51200:0 -n 13893 "$scratch/first.img" <(seq 1 3000) || fail "Linux: what it wrote is not on the disk"
# The change itself is an error to whoever was reading.
! sed '/GUEST-WROTE/q' "$scratch/serial" | grep -aE 'I/O error, dev fd0|floppy.*(timeout|error|reset)' || fail "Linux met floppy errors"
