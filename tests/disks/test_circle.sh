#!/bin/bash
# test_circle.sh - a bootable Linux disk (GRUB in the gap behind the MBR, ext4 with Debian's kernel) goes through every writable format in a
# circle and is byte-identical; a copy in each format boots from there, writes a file, and the file is on that disk.
#
# By default the root is busybox and two formats are booted. With Debian's own root, unpacked by debootstrap (as root) and
# all formats booted, where the guest's dpkg installs Debian's first two packages, as debootstrap's second stage does:
#   DISKS_DEBIAN=1 bash tests/disks/test_circle.sh build/tick86 build .     or DISKS_DEBIAN=FOLDER, a root that is there already
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
scratch=$work
# shellcheck source=tests/support/guest.sh
. <(sed 's/^guests=.*/guests=$build\/guests/' "$source_dir/tests/support/guest.sh")
installer=/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
grub=/usr/lib/grub/i386-pc
skip() {
    echo "SKIPPED: $*"
    exit 77
}
[ -r $installer/linux ] || skip "package debian-installer-12-netboot-i386 is not installed"
[ -r $grub/boot.img ] || skip "package grub-pc-bin is not installed"
for tool in grub-mkimage mke2fs debugfs e2fsck cpio apt-get; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
guest_package i386 busybox-static >/dev/null || skip "busybox-static for i386 cannot be downloaded"

# The initramfs: drivers, the disk's own root on /mnt, its /start in it.
root=$work/initramfs
mkdir -p "$root"
guest_modules "$root" ata_piix sd_mod crc32c_generic ext4 || skip "the modules of Debian's kernel cannot be downloaded"
cat >"$root/init" <<'END'
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "cannot load $module"; done
while [ ! -b /dev/sda1 ]; do sleep 0.1; done
mount -t ext4 /dev/sda1 /mnt || echo "cannot mount"
mount -t devtmpfs dev /mnt/dev
mount -t proc proc /mnt/proc
chroot /mnt /bin/sh /start
umount /mnt/proc /mnt/dev
umount /mnt && echo "GUEST-UNMOUNTED"
poweroff -f
END
net_applets="chroot umount" guest_initrd "$root" "$work/initrd.gz" || fail "the initramfs"

# The disk's root.
tree=$work/tree
case ${DISKS_DEBIAN:-} in
'')
    mkdir -p "$tree"/{bin,proc,dev}
    cp -a "$root/bin/." "$tree/bin/"
    for name in sha1sum cut find sort xargs; do ln -sf busybox "$tree/bin/$name"; done
    head -c 6000000 "$tick86" >"$tree/data"
    echo busybox >"$tree/version"
    megabytes=64
    ;;
1) debootstrap --foreign --arch=i386 --variant=minbase bookworm "$tree" >"$work/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")" ;;
*) cp -a "$DISKS_DEBIAN" "$tree" ;;
esac
if [ -n "${DISKS_DEBIAN:-}" ]; then
    megabytes=480
    mv "$tree"/var/cache/apt/archives/base-{files,passwd}_*.deb "$tree" || fail "debootstrap's packages"
    rm -rf "$tree"/var/cache/apt/archives/*.deb
    for name in dev proc sys; do # in a container debootstrap makes links to the host's: never through them
        rm -rf "${tree:?}/$name" && mkdir "$tree/$name"
    done
    echo "Debian $(cat "$tree/etc/debian_version")" >"$tree/version"
fi
mkdir -p "$tree/boot/grub"
cat >"$tree/start" <<'END'
export PATH=/bin:/usr/bin:/sbin:/usr/sbin
echo "GUEST-BOOTED $(cat /version)"
if [ -x /usr/bin/dpkg ]; then
    touch /var/lib/dpkg/status
    dpkg --force-depends --install /base-passwd_*.deb /base-files_*.deb
    echo "GUEST-PACKAGES $(dpkg-query -W -f '${Package} ${Status}; ') perl: $(perl -e 'print 6 * 7')"
fi
echo "GUEST-SUM $(find /bin/ /data -xdev -type f 2>/dev/null | sort | xargs sha1sum | sha1sum | cut -c 1-40)"
echo "written by the guest, $(cat /version)" >/written
sync
END
cp $installer/linux "$tree/boot/vmlinuz"
cp "$work/initrd.gz" "$tree/boot/initrd.gz"
printf 'linux /boot/vmlinuz console=ttyS0,115200 quiet\ninitrd /boot/initrd.gz\nboot\n' >"$tree/boot/grub/grub.cfg"
sum=$(cd "$tree" && find bin/ data -xdev -type f 2>/dev/null | sed 's|^|/|' | LC_ALL=C sort | sed "s|^|$tree|" | xargs sha1sum | sed "s|$tree||" |
    sha1sum | cut -c 1-40)

truncate -s "$megabytes"M part
mke2fs -q -t ext4 -O ^metadata_csum_seed,^orphan_file -d "$tree" part || fail "mke2fs"
grub-mkimage -O i386-pc -o core.img -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 linux normal boot configfile || fail "grub-mkimage"
[ "$(stat -c %s core.img)" -lt $((2047 * 512)) ] || fail "GRUB does not fit"
# boot.img loads sector 1, where core.img's first sector finds the rest by itself; one active Linux partition from 1 MiB on.
cp $grub/boot.img disk.raw
python3 - "$megabytes" <<'PYTHON'
import struct, sys
with open("disk.raw", "r+b") as disk:
    disk.seek(446)
    disk.write(struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xfe\xff\xff", 2048, int(sys.argv[1]) * 2048).ljust(64, b"\0") + b"\x55\xaa")
    disk.seek(512)
    disk.write(open("core.img", "rb").read())
PYTHON
truncate -s 1M disk.raw
cat part >>disk.raw
rm -rf part "$tree"

# The circle: the last image is the first one, byte by byte, and qemu-img agrees about each on the way.
formats="qcow2 vdi vhd vhdx vmdk raw"
from=disk.raw
for format in $formats; do
    "$img" convert -f "$("$img" info --output=json "$from" | sed -n 's/.*"format": "\(.*\)",/\1/p' | head -n 1)" -O "$format" "$from" "circle.$format" ||
        fail "convert to $format"
    qemu_check "$format" "circle.$format" || fail "qemu-img check of $format"
    qemu-img compare -q -f "$(qemu_name "$format")" -F raw "circle.$format" disk.raw || fail "the circle at $format"
    [ "$from" = disk.raw ] || [ -z "${DISKS_DEBIAN:-}" ] || mv "$from" boot."${from#*.}"
    from=circle.$format
done
cmp circle.raw disk.raw || fail "the circle's end is not its beginning"
echo "$(sha256sum <disk.raw | cut -c 1-16) is the same through $formats"

# Booting from the copies; each writes to itself.
[ -n "${DISKS_DEBIAN:-}" ] || DISKS_BOOT=${DISKS_BOOT:-qcow2 vmdk}
for format in ${DISKS_BOOT:-$formats}; do
    image=circle.$format
    [ -e "$image" ] || image=boot.$format
    timeout 3000 "$tick86" -m 192 -drive file="$image",format="$format" -display none -serial file:serial.log -time virtual 2>err.log ||
        fail "tick86 with $format: $(cat err.log)"
    for line in "GUEST-BOOTED" "GUEST-SUM $sum" GUEST-UNMOUNTED ${DISKS_DEBIAN:+"GUEST-PACKAGES.*base-files install ok"}; do
        grep -aq "^$line" serial.log || fail "$format did not say '$line': $(tail -n 20 serial.log)"
    done
    qemu_check "$format" "$image" || fail "qemu-img check of $format, booted"
    qemu-img convert -f "$(qemu_name "$format")" -O raw "$image" after || fail "qemu-img convert of $format"
    "$img" compare -q -F raw "$image" after || fail "$format, booted, reads differently"
    dd if=after of=part bs=1M skip=1 status=none
    debugfs -R "cat /written" part 2>/dev/null | grep -q "^written by the guest" || fail "no file on the $format disk"
    e2fsck -fn part >fsck.log 2>&1 || fail "$format: $(cat fsck.log)"
    echo "$format: $(grep -a "^GUEST-[BP]" serial.log | tr -d '\r' | tr '\n' ' ')"
    rm -f after part
done
