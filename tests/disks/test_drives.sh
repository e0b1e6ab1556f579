#!/bin/bash
# test_drives.sh - drives of tick86 with a guest: a boot sector reads and writes the second disk in every format, through layers, with
# -snapshot, read-only, and with the header of an image format; two programs on one image; change and eject in the monitor.
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
command -v nasm >/dev/null || { echo "nasm is not installed"; exit 77; }
nasm -f bin -o boot.img "$source_dir/tests/disks/drive.asm" || fail "drive.asm"
truncate -s 1M boot.img

# guest SAYS ARGUMENTS...: runs it with these arguments; it says SAYS of the second disk.
guest() {
    local says=$1 status=0
    shift
    timeout 120 "$tick86" -drive file=boot.img,format=raw,index=0,readonly=on "$@" -display none -debugcon file:out.log -device isa-debug-exit \
        -time virtual 2>err.log || status=$?
    [ $status = 1 ] && tail -n 1 out.log | LC_ALL=C grep -aqx "$says" || fail "$* says '$(tail -n 1 out.log)', not '$says' (status $status): $(cat err.log)"
}

# refused TEXT PROGRAM ARGUMENTS...: fails with one line that has TEXT in it
refused() {
    local text=$1
    shift
    timeout 60 "$@" >/dev/null 2>err.log && fail "'$*' succeeded"
    [ "$(wc -l <err.log)" = 1 ] && grep -q "$text" err.log || fail "'$*': $(cat err.log)"
}

fresh() { # a raw disk of 2 MiB that begins with DATA
    rm -f disk
    printf DATA >disk
    truncate -s 2M disk
}

# Raw: a header is refused where the format was only guessed.
fresh
guest DATANwr -hdb disk
[ "$(grep -c "format=raw allows that" err.log)" = 1 ] || fail "the refusal: $(cat err.log)"
[ "$(head -c 4 disk)" = DATA ] || fail "the header was written"
guest DATAOww -drive file=disk,format=raw,index=1
[ "$(head -c 3 disk)" = QFI ] || fail "format=raw did not allow it"
refused "cannot open disk image" "$tick86" -hda disk -display none
guest "QFI.Oww" -drive file=disk,format=raw,index=1

# Written by nobody: -snapshot, readonly=on. Written to a layer: overlay=FILE, made at the first start.
fresh
sum=$(md5sum <disk)
guest DATANww -hdb disk -snapshot # which keeps it for this run alone
guest DATANww -drive file=disk,format=raw,index=1,snapshot=on
guest DATANrr -drive file=disk,index=1,readonly=on
guest DATANww -drive file=disk,index=1,overlay=layer.qcow2
guest "QFI.Oww" -drive file=disk,index=1,overlay=layer.qcow2
[ "$sum" = "$(md5sum <disk)" ] || fail "the image under the layer was written"
qemu-img check -q layer.qcow2 && "$img" check -q layer.qcow2 || fail "check of the layer"
[ "$("$img" info layer.qcow2 | sed -n 's/^backing file format: //p')" = raw ] || fail "the layer's parent"
cp disk another
refused "not a layer over" "$tick86" -drive file=another,overlay=layer.qcow2 -display none
printf x | dd of=disk bs=1 seek=100000 conv=notrunc status=none
refused "has changed since" "$tick86" -drive file=disk,overlay=layer.qcow2 -display none
printf '\0' | dd of=disk bs=1 seek=100000 conv=notrunc status=none # as it was, but for its time
guest "QFI.Oww" -drive file=disk,index=1,overlay=layer.qcow2
"$img" commit -q layer.qcow2 && [ "$(head -c 3 disk)" = QFI ] || fail "commit"

# Every format by its content, whatever the name says.
for format in qcow2 vdi vhd vhdx vmdk; do
    fresh
    rm -f named.iso
    "$img" convert -f raw -O $format disk named.iso || fail "convert to $format"
    guest DATANww -drive file=named.iso,index=1
    guest "QFI.Oww" -drive file=named.iso,index=1
    qemu_check $format named.iso || fail "qemu-img check of $format"
    "$img" convert -O raw named.iso back && printf 'QFI\xfb\0\0\0\3' | cmp -n 8 - back || fail "$format was written otherwise"
    refused "cannot open\|damaged\|no " "$tick86" -drive file=boot.img,format=$format -display none
done

# One writer, or readers.
fresh
mkfifo monitor
"$tick86" -hda disk -display none -S -monitor stdio <monitor >answers 2>/dev/null &
pid=$!
exec 7>monitor
for _ in $(seq 1 100); do
    grep -q tick86 answers 2>/dev/null && break
    sleep 0.1
done
refused "another program" "$tick86" -hda disk -display none
refused "another program" "$tick86" -hda disk -snapshot -display none
refused "another program" "$img" resize disk 4M
refused "another program" "$img" convert -O qcow2 disk other
"$img" info -U disk >/dev/null || fail "info -U of an image in use"
echo quit >&7
wait $pid || fail "the first program: $?"
"$tick86" -hda disk -snapshot -display none -S -monitor stdio <monitor >answers 2>/dev/null &
pid=$!
exec 7>monitor
for _ in $(seq 1 100); do
    grep -q tick86 answers 2>/dev/null && break
    sleep 0.1
done
"$img" convert -O qcow2 disk other || fail "two readers"
refused "another program" "$img" resize disk 4M
echo quit >&7
wait $pid || fail "the reader: $?"
exec 7>&-

# change and eject.
truncate -s 1M one.iso two.iso
for file in one two; do printf '\1CD001' | dd of=$file.iso bs=1 seek=32768 conv=notrunc status=none; done
truncate -s 1440K one.fd
"$img" convert -f raw -O qcow2 two.iso two.qcow2
printf '%s\n' 'info block' 'change ide1-cd0 two.iso' 'info block' 'change ide1-cd0 two.qcow2' 'info block' 'eject ide1-cd0' 'info block' \
    'change ide1-cd0 absent.iso' 'change ide0-hd0 two.iso' 'eject nothing' 'change floppy0 one.fd' 'info block' 'eject floppy0' 'info block' quit |
    "$tick86" -hda disk -cdrom one.iso -drive if=floppy -display none -S -monitor stdio >answers 2>err.log || fail "the monitor: $(cat err.log)"
tr -d '\r' <answers | sed -n 's/ *$//; s/^(tick86) //; /^ide1\|^floppy0\|^Error/p' >got
cat >expected <<'TEXT'
ide1-cd0: 2048 sectors, read-only, one.iso
floppy0: 0 sectors
ide1-cd0: 2048 sectors, read-only, two.iso
floppy0: 0 sectors
ide1-cd0: 2048 sectors, read-only, two.qcow2
floppy0: 0 sectors
ide1-cd0: 0 sectors, read-only
floppy0: 0 sectors
Error: cannot open disk image 'absent.iso': No such file or directory; check the name, or create one with: tick86-img create absent.iso 2G
Error: no CD-ROM drive 'ide0-hd0'; see info block
Error: no CD-ROM drive 'nothing'; see info block
ide1-cd0: 0 sectors, read-only
floppy0: 2880 sectors, one.fd
ide1-cd0: 0 sectors, read-only
floppy0: 0 sectors
TEXT
diff expected got || fail "change and eject"
echo "drives are right"
