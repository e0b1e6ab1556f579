#!/bin/bash
# test_layers.sh - chains, snapshots, commit, rebase, diff, resize and map, with qemu-img looking at every result.
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"

good() { # FILE MODEL WHAT
    qemu-img check -q "$1" || fail "$3: qemu-img check"
    "$img" check -q "$1" || fail "$3: check"
    same qcow2 "$1" "$2" || fail "$3: content"
}

"$img" create -q -f qcow2 base.qcow2 24M
truncate -s 24M base.raw
"$stress" run base.qcow2 base.raw 11 500 || fail "base"
"$img" create -q -f qcow2 -b base.qcow2 -F qcow2 layer.qcow2 30M || fail "create -b"
cp base.raw model
truncate -s 30M model
"$stress" run layer.qcow2 model 12 400 || fail "layer"
good layer.qcow2 model "a layer"

"$img" map --output=json layer.qcow2 >ours.json
qemu-img map --output=json layer.qcow2 >theirs.json
python3 - <<'PYTHON' || fail "map"
import json
def runs(path):
    out = []
    for e in json.load(open(path)):
        at = e.get("offset") if e["data"] else None
        zero = e["zero"] and not e["data"] # qemu-img tells the holes in clusters, too
        if out and out[-1][2:4] == [zero, e["data"]] and (at is None or out[-1][4] + out[-1][1] == at):
            out[-1][1] += e["length"]
        else:
            out.append([e["start"], e["length"], zero, e["data"], at])
    return out
assert runs("ours.json") == runs("theirs.json")
PYTHON

"$img" snapshot -c one layer.qcow2 || fail "snapshot -c"
cp model one
good layer.qcow2 model "a snapshot"
"$stress" run layer.qcow2 model 13 400 || fail "writing behind a snapshot"
good layer.qcow2 model "written behind a snapshot"
"$img" snapshot -c two layer.qcow2 || fail "snapshot -c two"
qemu-img snapshot -c three layer.qcow2 || fail "qemu-img snapshot -c"
[ "$("$img" snapshot -l layer.qcow2 | grep -cE '^[123] +(one|two|three) ')" = 3 ] || fail "snapshot -l"
"$stress" run layer.qcow2 model 14 400 || fail "writing behind three snapshots"
good layer.qcow2 model "three snapshots"
"$img" convert -l one -O raw layer.qcow2 one.raw && cmp one one.raw || fail "convert -l"
"$img" snapshot -a one layer.qcow2 || fail "snapshot -a"
good layer.qcow2 one "a snapshot applied"
for name in two one three; do
    "$img" snapshot -d $name layer.qcow2 || fail "snapshot -d $name"
    good layer.qcow2 one "snapshot $name deleted"
done

"$img" create -q -f qcow2 other.qcow2 20M
truncate -s 20M other.raw
"$stress" run other.qcow2 other.raw 21 300 || fail "other"
"$img" rebase -b other.qcow2 -F qcow2 layer.qcow2 || fail "rebase"
good layer.qcow2 one "rebased"
"$img" rebase -b '' layer.qcow2 || fail "rebase to nothing"
good layer.qcow2 one "flattened"
qemu-img info layer.qcow2 | grep -q backing && fail "flattened, and has a parent"

"$img" diff base.qcow2 layer.qcow2 upgrade.qcow2 || fail "diff"
good upgrade.qcow2 one "an upgrade"

# A changed parent is noticed, one that was only copied or touched is not.
cp base.qcow2 saved.qcow2
qemu-io -c "write -P 7 1M 4k" base.qcow2 >/dev/null
"$img" compare upgrade.qcow2 one 2>err.log && fail "a changed parent was not noticed"
grep -q "has changed since" err.log || fail "$(cat err.log)"
"$img" check -q upgrade.qcow2 2>/dev/null && fail "check did not notice a changed parent"
cp saved.qcow2 base.qcow2
good upgrade.qcow2 one "the parent restored"

"$img" commit -q upgrade.qcow2 || fail "commit"
good base.qcow2 one "committed"
good upgrade.qcow2 one "a layer after its commit"
[ "$(stat -c %s upgrade.qcow2)" -lt 24000000 ] || echo "note: the emptied layer keeps its length"

"$img" resize -q upgrade.qcow2 20M 2>/dev/null && fail "shrunk without --shrink"
"$img" resize -q --shrink upgrade.qcow2 20M && "$img" resize -q upgrade.qcow2 +40M || fail "resize"
truncate -s 20M one
truncate -s 60M one
good upgrade.qcow2 one "shrunk and grown"

# Damage is found and repaired: a refcount block of zeros, as after a lost write.
offset=$(python3 -c 'import struct; f = open("base.qcow2", "rb"); f.seek(48); f.seek(struct.unpack(">Q", f.read(8))[0]); print(struct.unpack(">Q", f.read(8))[0])')
dd if=/dev/zero of=base.qcow2 bs=1 seek="$offset" count=64 conv=notrunc status=none
"$img" check -q base.qcow2 && fail "damage was not found"
"$img" check -q --repair base.qcow2 || fail "repair"
truncate -s 30M one
"$img" check -q base.qcow2 && qemu-img check -q base.qcow2 || fail "repaired, and still damaged"

# Errors are one line and change nothing.
for arguments in "bogus" "create x" "create -f nothing x 1G" "info nope" "convert -c -O vdi one x.vdi" \
    "create -f qcow2 -o nothing=3 x 1G" "resize one 5X" "rebase one" "commit one" "snapshot -a none base.qcow2"; do
    # shellcheck disable=SC2086
    "$img" $arguments >/dev/null 2>err.log && fail "'$arguments' succeeded"
    [ "$(wc -l <err.log)" = 1 ] || fail "'$arguments': $(cat err.log)"
done
echo "layers are right"
