#!/bin/bash
# test_vendors.sh - what qemu-img does not make: differencing VHD, VDI and VHDX images and VHDX logs, built and read back from the
# formats' descriptions (handmade.py); and the kinds of VMDK, whose parts qemu-img makes.
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
handmade=$source_dir/tests/disks/handmade.py
seeds=${DISKS_SEEDS:-1}
operations=${DISKS_OPERATIONS:-250}

refused() { # TEXT ARGUMENTS...: tick86-img fails with one line that has TEXT in it
    local text=$1
    shift
    "$img" "$@" >/dev/null 2>err.log && fail "'$*' succeeded"
    [ "$(wc -l <err.log)" = 1 ] && grep -q "$text" err.log || fail "'$*': $(cat err.log)"
}

# A chain of three is read, written, is a parent itself, takes a commit, and notices another parent.
chain() { # FORMAT SEED
    local format=$1 folder=$1.$2 sums
    mkdir "$folder" other
    python3 "$handmade" make "$format" "$folder" "$2" || fail "making $format"
    "$img" compare -q -F raw "$folder/layer2.$format" "$folder/model" || fail "$format $2 differs"
    [ "$("$img" info --backing-chain "$folder/layer2.$format" | grep -c '^file format')" = 3 ] || fail "the chain of $format"
    sums=$(md5sum "$folder/layer0.$format" "$folder/layer1.$format")
    "$stress" run "$folder/layer2.$format" "$folder/model" "$2" "$operations" || fail "writing to differencing $format"
    python3 "$handmade" read "$format" "$folder/layer2.$format" out && cmp out "$folder/model" || fail "$format $2, written"
    "$img" compare -q -F raw "$folder/layer2.$format" "$folder/model" || fail "$format $2, written, differs here"
    [ "$format" = vhd ] || "$img" check -q "$folder/layer2.$format" || fail "check of differencing $format"
    [ "$sums" = "$(md5sum "$folder/layer0.$format" "$folder/layer1.$format")" ] || fail "a parent of $format was written"

    "$img" create -q -f qcow2 -b "layer2.$format" -F "$format" "$folder/layer.qcow2" || fail "a layer over $format"
    "$stress" run "$folder/layer.qcow2" "$folder/model" "$2" "$operations" || fail "writing over $format"
    "$img" compare -q -F raw "$folder/layer.qcow2" "$folder/model" || fail "over $format $2 differs"
    "$img" commit -q "$folder/layer.qcow2" || fail "commit to $format"
    python3 "$handmade" read "$format" "$folder/layer2.$format" out && cmp out "$folder/model" || fail "$format $2, committed"

    python3 "$handmade" make "$format" other $(($2 + 77))
    cp "other/layer1.$format" "$folder/layer1.$format"
    case $format in
    vdi) refused "put the parent's" info "$folder/layer2.$format" ;;
    *) refused "restore the parent" compare "$folder/layer2.$format" "$folder/model" ;;
    esac
    rm -rf "$folder" other
}

for ((seed = 1; seed <= seeds; seed++)); do
    for format in vhd vdi vhdx; do
        chain $format $seed
    done
done

# A VHDX log: played back here as by qemu-img.
mkdir log
python3 "$handmade" make vhdx_log log 1 || fail "making a log"
cp log/log.vhdx theirs.vhdx
refused "log must be played back" compare log/log.vhdx log/model
qemu-img check -q -r all theirs.vhdx >check.log 2>&1 || fail "qemu-img check -r: $(cat check.log)"
"$img" check -q --repair log/log.vhdx || fail "playing the log back"
qemu-img compare -q log/log.vhdx theirs.vhdx && same vhdx log/log.vhdx log/model || fail "the log was played back otherwise"
python3 "$handmade" read vhdx log/log.vhdx out && cmp out log/model || fail "the log was played back wrongly"

# VMDK: each kind that qemu-img makes is read, and written where it can be.
"$img" create -q -f raw model 5M
"$stress" run model model 5 30 2>/dev/null
head -c 3000000 "$tick86" | dd of=model bs=64K seek=3 conv=notrunc status=none
for kind in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat streamOptimized; do
    rm -f disk*.vmdk
    cp model changed
    qemu-img convert -O vmdk -o subformat=$kind model disk.vmdk || fail "qemu-img convert $kind"
    "$img" compare -q -F raw disk.vmdk model || fail "VMDK $kind differs"
    "$img" info disk.vmdk | grep -q "create type: $kind" || fail "info of VMDK $kind"
    if [ $kind = streamOptimized ]; then
        refused "compressed VMDK" rebase -u -b '' disk.vmdk
        continue
    fi
    "$stress" run disk.vmdk changed 7 "$operations" || fail "writing to VMDK $kind"
    qemu_check vmdk disk.vmdk && same vmdk disk.vmdk changed || fail "VMDK $kind, written"
done

# Several extents, with lines of DOS and a part of zeros; writing crosses from one into the other.
rm -f disk*.vmdk
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse disk.vmdk 4100M
[ "$(ls disk-s00?.vmdk | wc -l)" = 3 ] || fail "qemu-img made other extents"
python3 - "$img" <<'PYTHON' || fail "three extents"
import os, subprocess, sys
for at, value in ((2146435072 - 65536, 1), (2 * 2146435072 - 4096, 2), (0, 3)):
    open("piece", "wb").write(bytes([value]) * 131072)
    subprocess.run(["qemu-io", "-f", "vmdk", "-c", "write -s piece %d 131072" % at, "disk.vmdk"], check=True, capture_output=True)
PYTHON
sed -i 's/$/\r/' disk.vmdk
qemu-img convert -f vmdk -O raw disk.vmdk large.raw && "$img" compare -q -F raw disk.vmdk large.raw || fail "three extents differ"
"$img" convert -O qcow2 disk.vmdk large.qcow2 && qemu-img compare -q large.qcow2 large.raw || fail "three extents converted"
rm -f large.* disk*.vmdk
head -c 1048576 "$tick86" >part-f001.vmdk
printf '# Disk DescriptorFile\nversion=1\nCID=1234abcd\nparentCID=ffffffff\ncreateType="vmfs"\n\nRW 1000 FLAT "part-f001.vmdk" 24\nRW 100 ZERO\nRDONLY 512 FLAT "part-f001.vmdk" 1024\n' >parts.vmdk
{ dd if=part-f001.vmdk bs=512 skip=24 count=1000 status=none && head -c 51200 /dev/zero &&
    dd if=part-f001.vmdk bs=512 skip=1024 count=512 status=none; } >parts.raw
"$img" compare -q -F raw parts.vmdk parts.raw || fail "flat and zero extents differ"
printf '# Disk DescriptorFile\nCID=1234abcd\nparentCID=ffffffff\ncreateType="x"\nRW 100 FLAT "../model" 0\n' >outside.vmdk
refused "not a file of the same folder" info outside.vmdk

# A layer of VMDK over VMDK; its parent changes.
qemu-img convert -O vmdk model base.vmdk
qemu-img create -q -f vmdk -b base.vmdk -F vmdk layer.vmdk
cp model changed
"$stress" run layer.vmdk changed 8 "$operations" || fail "writing to a VMDK layer"
qemu-img compare -q -f vmdk -F raw layer.vmdk changed && "$img" compare -q -F raw layer.vmdk changed || fail "a VMDK layer differs"
"$img" compare -q -F raw base.vmdk model || fail "the parent of a VMDK layer was written"
"$stress" run base.vmdk model 9 20 || fail "writing to the parent"
refused "has changed since" compare layer.vmdk changed
echo "images of all vendors are right"
