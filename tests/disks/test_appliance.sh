#!/bin/bash
# test_appliance.sh - an OVA with two disks: its disks are read where they are, its settings are taken, writes go to a layer.
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"

"$img" create -q -f raw one.raw 8M
"$stress" run one.raw one.raw 3 0 2>/dev/null
head -c 3000000 "$tick86" | dd of=one.raw conv=notrunc status=none
head -c 3000000 "$img" >two.raw
truncate -s 5M two.raw
qemu-img convert -O vmdk -o subformat=streamOptimized one.raw vm-disk1.vmdk
qemu-img convert -O vmdk two.raw vm-disk2.vmdk
cat >vm.ovf <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<!-- <File ovf:id="file1" ovf:href="wrong.vmdk"/> -->
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r">
 <ovf:References>
  <ovf:File ovf:id="file1" ovf:href="vm-disk1.vmdk" ovf:size="1"/>
  <ovf:File ovf:href='vm-disk2.vmdk' ovf:id='file2'/>
 </ovf:References>
 <ovf:DiskSection><ovf:Disk ovf:diskId="d1" ovf:fileRef="file1" ovf:capacity="8"/><ovf:Disk ovf:diskId="d2" ovf:fileRef="file2"/></ovf:DiskSection>
 <ovf:VirtualSystem ovf:id="A &amp; B">
  <ovf:VirtualHardwareSection>
   <ovf:Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></ovf:Item>
   <ovf:Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>96</rasd:VirtualQuantity></ovf:Item>
  </ovf:VirtualHardwareSection>
 </ovf:VirtualSystem>
</ovf:Envelope>
XML
tar --format=ustar -cf vm.ova vm.ovf vm-disk1.vmdk vm-disk2.vmdk
mkdir folder
cp vm.ovf vm-disk1.vmdk vm-disk2.vmdk folder
for file in vm.ova folder/vm.ovf; do
    "$img" compare -q $file one.raw || fail "the disk of $file"
    [ "$("$img" info $file | sed -n 's/^ *disk format: //p')" = vmdk ] || fail "info $file"
done
# A layer over it takes writes, and the appliance stays.
sum=$(md5sum <vm.ova)
"$img" create -q -f qcow2 -b vm.ova -F ova layer.qcow2 || fail "a layer over an appliance"
"$img" compare -q layer.qcow2 one.raw || fail "a layer over an appliance shows something else"
[ "$sum" = "$(md5sum <vm.ova)" ] || fail "the appliance was written"

# What tick86 makes of it: both disks and the memory.
timeout 20 "$tick86" vm.ova -display none -monitor stdio -S <<<"quit" >out.log 2>err.log
grep -q -- "-drive 'file=vm.ova,disk=0,index=0,snapshot=on' -drive 'file=vm.ova,disk=1,index=1,snapshot=on' -m 96\|-drive file=vm.ova,disk=0,index=0,snapshot=on -drive file=vm.ova,disk=1,index=1,snapshot=on -m 96" err.log ||
    fail "chosen: $(cat err.log)"

# Cut off, and pointing outside.
head -c 200000 vm.ova >cut.ova
"$img" info cut.ova >/dev/null 2>err.log && fail "a cut archive was opened"
[ "$(wc -l <err.log)" = 1 ] || fail "$(cat err.log)"
sed 's/vm-disk1.vmdk/..\/one.raw/' vm.ovf >folder/outside.ovf
"$img" info folder/outside.ovf >/dev/null 2>err.log && fail "a disk outside of the folder was opened"
grep -q "outside of its folder" err.log || fail "$(cat err.log)"
echo "appliances are read"
