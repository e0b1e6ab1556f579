#!/bin/bash
# test_smp.sh TICK86 BUILD SOURCE - several processors: SeaBIOS finds them, the kernels of Debian 12's i386 and amd64 installers start
# them and count them; a second run ends in the same state to the last bit; a seed is a schedule.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
need_installer

# state OPTION...: the state in which a second of firmware ends.
state() {
    "$tick86" -smp 8 -m 64 -display none -monitor none -serial none -time virtual -stop-at time=1 -print-hash \
        -debugcon "file:$scratch/firmware" "$@" | grep -o 'icount=.*'
}
plain=$(state)
grep -q 'Found 8 cpu(s) max supported 8' "$scratch/firmware" || fail "SeaBIOS does not find 8 processors"
seven=$(state -sched seed=7)
[ "$plain" != "$seven" ] || fail "seed 7 is the schedule without a seed"
[ "$seven" = "$(state -sched seed=7)" ] || fail "two runs with seed 7 differ"
[ "$seven" != "$(state -sched seed=8)" ] || fail "seeds 7 and 8 are the same schedule"
[ "$plain" = "$(state --self-check=slow)" ] || fail "without the block cache the state is another one"

# keys TEXT: sendkey lines that type it.
keys() {
    local text=$1 n key
    for ((n = 0; n < ${#text}; n++)); do
        case ${text:n:1} in
        ' ') key=spc ;;
        '/') key=slash ;;
        '-') key=minus ;;
        *) key=${text:n:1} ;;
        esac
        echo "sendkey $key"
        echo "run 0.3" # the queue of keys is short
    done
    echo "sendkey ret"
}

# count NAME PROCESSORS KERNEL-DIRECTORY: what the kernel counts.
count() {
    cat >"$scratch/script" <<END
run 120 "~ #"
$(keys "mount -t proc p /proc")
run 1
$(keys "grep -c bogomips /proc/cpuinfo")
run 1
screentext $scratch/$1
quit
END
    run_script "$scratch/$1.out" -smp "$2" -m 512 -kernel "$3/linux" -initrd "$3/initrd.gz" \
        -append "vga=normal fb=false rdinit=/bin/sh" -time virtual,ratio=4 -print-hash <"$scratch/script"
    if [ "$(grep -A1 'cpuinfo$' "$scratch/$1" | tail -n 1 | tr -d ' ')" != "$2" ]; then
        fail "$1: not $2 processors:"
        cat "$scratch/$1"
    fi
    grep -ao 'icount=.* hash=.*' "$scratch/$1.out" >"$scratch/$1.state"
}
count i386-4 4 $installer
count i386-4-again 4 $installer
diff "$scratch/i386-4.state" "$scratch/i386-4-again.state" || fail "two runs with four processors differ"
amd64=${installer//i386/amd64}
if [ -r "$amd64/linux" ]; then
    count amd64-1 1 "$amd64"
    count amd64-4 4 "$amd64"
fi
exit $failed
