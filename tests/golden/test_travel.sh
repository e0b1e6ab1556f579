#!/bin/bash
# test_travel.sh TICK86 BUILD SOURCE - snapshots, recordings, replays, the way back, checkpoints of a guest that is killed; with damaged,
# newer and foreign files. TRAVEL_LONG=1 does the long version: 200 kills, 1000 points.
set -euo pipefail
tick86=$1
build=$2
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
command -v perl >/dev/null || skip "perl is not installed"
cd "$scratch"
long=${TRAVEL_LONG:-}
bios=/usr/share/seabios/bios-256k.bin
vgabios=/usr/share/seabios/vgabios-stdvga.bin
nasm -f bin -o writer.img "$source_dir/tests/travel/writer.asm"
nasm -f bin -DLIMIT=400 -o short.img "$source_dir/tests/travel/writer.asm"
nasm -f bin -o echo.img "$source_dir/tests/golden/echo.asm"
hash_of() {
    grep -ao 'hash=[0-9a-f]*' "$1" | tail -n 1
}

# ---- snapshots: the machine that is loaded goes on like the one that was saved ----
machine="-m 16 -hda echo.img -snapshot -time virtual,ratio=8"
cat >script <<END
run 0.3
savevm first
sendkey a
run 0.1
savevm -i second
run 0.2
savevm -z third
sendkey b
run 0.2
info snapshots
info hash
quit
END
# shellcheck disable=SC2086
run_script saved $machine <script
wants snapshots 'first .*first.t86' saved
wants snapshots 'second .*second.t86 over .*first.t86' saved
cat >rest <<END
sendkey b
run 0.2
info hash
quit
END
run_script third.out -loadvm third <rest # by name: the snapshot knows the machine
# shellcheck disable=SC2086
run_script third.again $machine -loadvm third.t86 <rest
{ echo run 0.2 && cat rest; } >longer
run_script second.out -loadvm second.t86 <longer
{ printf 'loadvm second\nrun 0.2\n' && cat rest; } >monitor
# shellcheck disable=SC2086
run_script monitor.out $machine <monitor
for out in third.out third.again second.out monitor.out; do
    [ "$(hash_of $out)" = "$(hash_of saved)" ] || fail "$out: $(hash_of $out), not $(hash_of saved)"
done
printf 'delvm first\ndelvm second\ndelvm first\nquit\n' >script
"$tick86" -S -display none -monitor stdio -loadvm third <script >deleted 2>&1 || fail "delvm"
wants delvm 'second.t86. has pages in .*first.t86' deleted
[ ! -e first.t86 ] && [ ! -e second.t86 ] || fail "delvm leaves files"

# refuses NAME PATTERN OPTION...: status 1 and one line.
refuses() {
    local name=$1 pattern=$2 status=0
    shift 2
    timeout 60 "$tick86" -display none -stop-at insns=1 "$@" </dev/null >refused 2>&1 || status=$?
    [ $status = 1 ] && [ "$(wc -l <refused)" = 1 ] && grep -qE "^tick86: .*($pattern)" refused ||
        fail "$name: status $status, $(cat refused)"
}
# edit FILE OFFSET BYTES: with the header's checksum made right.
edit() {
    perl -e 'use strict; my ($file, $at, $bytes) = @ARGV; local $/; open my $f, "+<", $file or die; binmode $f;
        my $head = <$f>; substr($head, $at, length $bytes) = $bytes;
        my $crc = 0xffffffff; for my $b (unpack "C60", $head) { $crc ^= $b; $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1..8 }
        substr($head, 60, 4) = pack "V", $crc ^ 0xffffffff; seek $f, 0, 0; print $f substr $head, 0, 64' "$@"
}
cp third.t86 newer.t86 && edit newer.t86 16 $'\2'
refuses newer 'format has version 2, and this tick86 knows version 1' -loadvm newer.t86
head -c 5000 third.t86 >cut.t86
refuses cut 'ends too early' -loadvm cut.t86
head -c 10 third.t86 >cut.t86
refuses foreign 'no snapshot of tick86' -loadvm cut.t86
refuses memory '16 MiB of ram' -m 32 -hda echo.img -snapshot -loadvm third.t86
refuses component "component '(debugcon|debug_exit)'" -m 16 -hda echo.img -snapshot -debugcon null -device isa-debug-exit -loadvm third.t86
# A field of a version to come: its name is in the message (the table of parts gets its checksums anew).
perl -e 'use strict; local $/; open my $f, "<", "third.t86" or die; binmode $f; my $all = <$f>;
    my ($at, $size) = unpack "Q<Q<", substr $all, 32, 16; my $meta = substr $all, $at, $size;
    $meta =~ s/dead_since_ns/dead_sinke_ns/ or die;
    sub crc { my $crc = 0xffffffff; for my $b (unpack "C*", $_[0]) { $crc ^= $b; $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1..8 } $crc ^ 0xffffffff }
    substr($all, $at, $size) = $meta; substr($all, 56, 4) = pack "V", crc($meta); substr($all, 60, 4) = pack "V", crc(substr $all, 0, 60);
    open my $o, ">", "field.t86" or die; binmode $o; print $o $all'
refuses checksum 'wrong checksum' -loadvm field.t86 # of all parts together, which stands for the snapshot

# ---- recordings ----
talk() {
    sleep 0.3
    for word in ab cd ef; do
        printf '%s' "$word"
        sleep 0.1
    done
    printf Q
    sleep 0.2
}
status=0
# Paced: every change of the ratio is an input.
talk | timeout 120 "$tick86" -m 16 -hda echo.img -snapshot -display none -serial stdio -device isa-debug-exit -record talk.rec >talk.out 2>&1 || status=$?
[ $status = 41 ] || fail "recording: status $status, $(tail -n 3 talk.out)"
replays() {
    local status=0
    timeout 120 "$tick86" -display none -serial file:replay.out -replay "$@" </dev/null >replay.text 2>&1 || status=$?
    [ $status = 0 ] || fail "replay $*: status $status, $(cat replay.text)"
}
replays talk.rec
wants replay 'replayed to its end at instruction [0-9]+: [0-9]+ checks agree' replay.text
wants replay '\[a\]\[b\]' replay.out
# Embedded, from a snapshot, recorded with keys on another machine's account: nothing else is needed.
cat >script <<END
run 0.1
sendkey x
run 0.2
quit
END
run_script embedded -loadvm third.t86 -record embedded.rec,embed=on <script
mkdir elsewhere
mv third.t86 elsewhere/
replays embedded.rec
wants embedded 'checks agree' replay.text
mv elsewhere/third.t86 .
run_script referring -loadvm third.t86 -record referring.rec <script
replays referring.rec
refuses "another image" "is not what it was when" -replay talk.rec -hda writer.img -m 16
# Cut anywhere and with any bit flipped: a clear message, never a crash.
size=$(stat -c %s talk.rec)
damaged() {
    local status=0
    timeout 60 "$tick86" -display none -replay damaged.rec </dev/null >damaged.text 2>&1 || status=$?
    case $status in
    0 | 1 | 3) [ "$(grep -c '^tick86: ' damaged.text)" -ge 1 ] || fail "$1: no message: $(cat damaged.text)" ;;
    *) fail "$1: status $status, $(cat damaged.text)" ;;
    esac
}
count=$([ -n "$long" ] && echo 200 || echo 25)
for ((n = 0; n < count; n++)); do
    at=$(((n * 2654435761 + 12345) % size))
    head -c $at talk.rec >damaged.rec
    damaged "cut at $at"
    cp talk.rec damaged.rec
    perl -e 'open my $f, "+<", "damaged.rec" or die; seek $f, $ARGV[0], 0; read $f, my $b, 1; seek $f, $ARGV[0], 0; print $f chr(ord($b) ^ 1 << $ARGV[1])' $at $((n % 8))
    damaged "bit $((n % 8)) of byte $at flipped"
done
# An input that was another one: the first check after it names count, device and field.
perl -e 'use strict; local $/; open my $f, "<", "talk.rec" or die; binmode $f; my $all = <$f>; my $at = 20;
    sub crc { my $crc = 0xffffffff; for my $b (unpack "C*", $_[0]) { $crc ^= $b; $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1..8 } $crc ^ 0xffffffff }
    while ($at < length $all) { my $size = unpack "V", substr $all, $at, 4; my $chunk = substr $all, $at + 8, $size;
        if ($chunk =~ /^I/ && $chunk =~ s/cd$/cD/) { substr($all, $at + 8, $size) = $chunk; substr($all, $at + 4, 4) = pack "V", crc(pack("V", $size) . $chunk) }
        $at += 8 + $size }
    open my $o, ">", "other.rec" or die; binmode $o; print $o $all'
status=0
timeout 60 "$tick86" -display none -replay other.rec </dev/null >other.text 2>&1 || status=$?
[ $status = 3 ] || fail "another input: status $status, $(cat other.text)"
wants "another input" 'diverged between instruction [0-9]+ and [0-9]+: [a-z0-9_]+[.:]' other.text

# ---- backwards ----
cat >script <<END
checkpoints 32M
run 0.3
info hash
reverse-stepi 1000000
reverse-stepi
reverse-continue 0x7c00
last-write -p 0x10000 4
retrace 100..103
goto 1000000
replay stop
quit
END
run_script back -m 16 -hda short.img -snapshot -time virtual,ratio=8 <script
wants reverse-continue 'pc=0x7c00' back
wants last-write '0x10000 was (written|not written)' back
wants retrace '^101 0x' back
printf 'run 0\ngoto 5000000\ninfo hash\ngoto 100\nreverse-stepi\ngoto 5000000\ninfo hash\nquit\n' >script
run_script replay.back -replay talk.rec <script
[ "$(grep -ac hash= replay.back)" = 2 ] && [ "$(grep -ao 'hash=.*' replay.back | sort -u | wc -l)" = 1 ] || fail "goto: $(cat replay.back)"

# ---- random moments ----
points=$([ -n "$long" ] && echo 1000 || echo 50)
if [ -r $installer/linux ] && [ -r $bios ]; then
    kernel=("kernel=$installer/linux" "initrd=$installer/initrd.gz" "loader=$build/roms/loader.bin" "append=vga=normal fb=false console=ttyS0")
    insns=$([ -n "$long" ] && echo 6000000000 || echo 30000000)
    "$build/travel_check" $bios $vgabios save "${kernel[@]}" ram=64 insns=$insns "points=$points" seed=7 >save.out || fail "save: $(cat save.out)"
    "$build/travel_check" $bios $vgabios history "${kernel[@]}" ram=64 insns=$((insns * 2)) points=20 steps=5 seed=7 >history.out ||
        fail "history: $(cat history.out)"
    cat save.out history.out
fi

# ---- killed ----
kills=$([ -n "$long" ] && echo 200 || echo 12)
for ((n = 0; n < kills; n++)); do
    "$tick86" -m 4 -display none -serial file:killed.out -hda writer.img -time virtual,ratio=8 -device isa-debug-exit -checkpoint state,every=0.05 \
        </dev/null >killed.text 2>&1 &
    pid=$!
    perl -e 'srand $ARGV[0]; select undef, undef, undef, 0.05 + rand 0.4' $n
    kill -9 $pid 2>/dev/null || true
    status=0
    wait $pid 2>/dev/null || status=$?
    case $status in
    137) ;;
    5) break ;;
    *) fail "kill $n: status $status, $(cat killed.text killed.out)" ;;
    esac
done
[ $failed = 0 ] || exit 1
if [ $status = 137 ]; then
    status=0
    timeout 600 "$tick86" -m 4 -display none -serial file:killed.out -hda writer.img -time virtual,ratio=8 -device isa-debug-exit \
        -checkpoint state </dev/null >killed.text 2>&1 || status=$?
    [ $status = 5 ] || fail "after $kills kills: status $status, $(cat killed.text killed.out)"
fi
[ ! -e state ] || fail "the checkpoint is still there after the guest ended"
# What it wrote is in the image now: 20000 was its last count.
perl -e 'use strict; open my $f, "<", "writer.img" or die; binmode $f; my $most = 0;
    for my $s (64 .. 127) { seek $f, $s * 512, 0; read $f, my $b, 512; my @d = unpack "V*", $b; die "torn sector $s" if grep { $_ != $d[0] } @d; $most = $d[0] if $d[0] > $most }
    die "the last write has $most" unless $most == 20000' || fail "the image after the checkpoints"
exit $failed
