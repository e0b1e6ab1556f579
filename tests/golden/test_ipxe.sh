#!/bin/bash
# test_ipxe.sh TICK86 BUILD SOURCE - iPXE's own CD to its prompt, where it takes commands and reboots; twice the same to the last bit.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
iso=/usr/lib/ipxe/ipxe.iso
[ -r $iso ] || skip "package ipxe is not installed"

# type_text TEXT: sendkey commands for letters, digits and blanks.
type_text() {
    local n key
    for ((n = 0; n < ${#1}; n++)); do
        key=${1:n:1}
        [ "$key" != ' ' ] || key=spc
        printf 'sendkey %s\nrun 0.3\n' "$key"
    done
    printf 'sendkey ret\nrun 1\n'
}

for run in 1 2; do
    {
        echo 'run 60 "Press Ctrl-B"'
        echo 'sendkey ctrl-b'
        echo 'run 20 "iPXE>"'
        echo 'run 0.5' # Ctrl is let go
        type_text "set city amsterdam"
        type_text "show city"
        type_text "echo done"
        echo "screentext $scratch/screen.$run"
        echo "screendump $scratch/screen.$run.ppm"
        type_text "reboot"
        echo 'run 100' # -no-reboot ends it at once
        echo quit
    } >"$scratch/script"
    run_script "$scratch/out.$run" -m 128 -cdrom $iso -boot d -no-reboot -time virtual,ratio=8 -print-hash <"$scratch/script"
done
same_screen ipxe "$scratch/screen.1"
same_picture ipxe "$scratch/screen.1.ppm"
diff <([ "$(sed -n 's/.*time_ns=\([0-9]*\) .*/\1/p' "$scratch/out.1")" -lt 100000000000 ] || fail "iPXE's reboot did not reset the machine"
grep -ao 'icount=.* hash=.*' "$scratch/out.1") <([ "$(sed -n 's/.*time_ns=\([0-9]*\) .*/\1/p' "$scratch/out.1")" -lt 100000000000 ] || fail "iPXE's reboot did not reset the machine"
grep -ao 'icount=.* hash=.*' "$scratch/out.2") || fail "two equal runs differ"
[ "$(sed -n 's/.*time_ns=\([0-9]*\) .*/\1/p' "$scratch/out.1")" -lt 100000000000 ] || fail "iPXE's reboot did not reset the machine"
grep -ao 'icount=.* hash=.*' "$scratch/out.1"
exit $failed
