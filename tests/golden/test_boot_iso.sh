#!/bin/bash
# test_boot_iso.sh TICK86 BUILD SOURCE - Debian's kernel from a CD (isolinux, El Torito, SeaBIOS, ATAPI) with busybox: mounts an ATA disk that
# mke2fs made, writes to it, powers off through ACPI. The host finds the file; a -snapshot run leaves the image as it was; equal runs
# end with equal hashes.
set -euo pipefail
tick86=$1
build_dir=$(realpath "$2")
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
# shellcheck source=tests/support/guest.sh
. "$source_dir/tests/support/guest.sh"
need_installer
for tool in xorriso cpio mke2fs debugfs e2fsck apt-get; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -r /usr/lib/ISOLINUX/isolinux.bin ] || skip "package isolinux is not installed"
guest_package i386 busybox-static >/dev/null || skip "busybox-static for i386 cannot be downloaded"

root=$scratch/root
mkdir -p "$root"
guest_modules "$root" ata_piix sd_mod crc32c_generic ext4 || skip "the modules of Debian's kernel cannot be downloaded"
cat >"$root/init" <<'END'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "cannot load $module"; done
echo "GUEST-READY $(uname -m) $(uname -r)"
while [ ! -b /dev/sda ]; do sleep 0.1; done
mount -t ext4 /dev/sda /mnt && echo "GUEST-MOUNTED $(cat /mnt/before)"
seq 1 20000 >/mnt/numbers
mkdir /mnt/folder
echo "written by the guest" >/mnt/folder/after
sync
umount /mnt
echo "GUEST-DONE $(dd if=/dev/sda bs=64k 2>/dev/null | md5sum)"
poweroff -f
END
guest_initrd "$root" "$scratch/initrd.gz"
guest_iso "$scratch/guest.iso" "$scratch/initrd.gz" "console=tty0 console=ttyS0,115200"

fresh_disk() {
    rm -rf "$scratch/content"
    mkdir "$scratch/content"
    echo "put there by the host" >"$scratch/content/before"
    rm -f "$1"
    truncate -s 64M "$1"
    mke2fs -q -t ext4 -d "$scratch/content" "$1"
}

# guest_run NAME OPTION...: boots it; leaves NAME.serial, NAME.hash and NAME.errors.
guest_run() {
    local name=$1 status=0
    shift
    "$tick86" -m 128 -cdrom "$scratch/guest.iso" -boot d -display none -monitor none -serial file:"$scratch/$name.serial" \
        -time virtual,ratio=8 -stop-at time=300 -print-hash "$@" >"$scratch/$name.hash" 2>"$scratch/$name.errors" || status=$?
    if [ $status != 0 ]; then
        fail "$name: status $status"
        cat "$scratch/$name.errors"
    fi
    wants "$name" '^GUEST-READY i686 6\.1\.' "$scratch/$name.serial"
    wants "$name" '^GUEST-MOUNTED put there by the host' "$scratch/$name.serial"
    wants "$name" '^GUEST-DONE [0-9a-f]{32}' "$scratch/$name.serial"
    wants "$name" 'reboot: Power down' "$scratch/$name.serial"
    ! grep -a 'cannot load' "$scratch/$name.serial" || fail "$name: a module did not load"
    ! grep -aE 'Buffer I/O error|ata[12].*(exception|failed command|timeout)|EXT4-fs error' "$scratch/$name.serial" ||
        fail "$name: the guest met disk errors"
    # The time limit would also give status 0.
    [ "$(sed -n 's/.*time_ns=\([0-9]*\) .*/\1/p' "$scratch/$name.hash")" -lt 300000000000 ] || fail "$name: did not power off"
}

# What the guest left: the files, a clean file system, the bytes that the guest itself read back.
check_disk() {
    debugfs -R "cat /folder/after" "$scratch/disk" 2>/dev/null | grep -qx "written by the guest" || fail "no such file on the disk"
    debugfs -R "cat /numbers" "$scratch/disk" 2>/dev/null | cmp - <(seq 1 20000) || fail "the file's bytes are not the guest's"
    e2fsck -fn "$scratch/disk" >"$scratch/e2fsck" 2>&1 || { fail "e2fsck finds errors:"; cat "$scratch/e2fsck"; }
    wants "bytes on the disk" "^GUEST-DONE $(md5sum <"$scratch/disk" | cut -d ' ' -f 1)" "$1"
}

fresh_disk "$scratch/disk"
cp "$scratch/disk" "$scratch/original"
guest_run snapshot -hda "$scratch/disk" -snapshot
cmp "$scratch/disk" "$scratch/original" || fail "-snapshot wrote to the image"
guest_run written -hda "$scratch/disk"
check_disk "$scratch/written.serial"
cp "$scratch/original" "$scratch/disk"
guest_run again -hda "$scratch/disk"
check_disk "$scratch/again.serial"
cmp "$scratch/written.serial" "$scratch/again.serial" || fail "equal runs say different things"
diff "$scratch/written.hash" "$scratch/again.hash" || fail "equal runs differ"
diff "$scratch/snapshot.hash" "$scratch/again.hash" || fail "a -snapshot run differs from one that writes"
cat "$scratch/again.hash"
exit $failed
