#!/bin/bash
# test_memtest.sh TICK86 BUILD SOURCE - memtest86+ 6.10 (its ia32 CD) tests 16 MiB through a whole pass and finds no error. 41 thousand
# million instructions, about 80 seconds.
set -euo pipefail
tick86=$1
build_dir=$(realpath "$2")
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
# shellcheck source=tests/support/guest.sh
. "$source_dir/tests/support/guest.sh"
command -v apt-get >/dev/null || skip "apt-get is not installed"
package=$(guest_package i386 memtest86+) || skip "package memtest86+ cannot be downloaded"
dpkg-deb --fsys-tarfile "$package" | tar -x -C "$scratch" --wildcards './usr/lib/memtest86+/*ia32.iso'
iso=$(find "$scratch" -name '*ia32.iso')
cat >"$scratch/script" <<END
run 60 "Test #"
screentext $scratch/early
run 2000 "Pass:  1"
run 1
screentext $scratch/pass
screendump $scratch/pass.png
quit
END
run_script "$scratch/out" -m 16 -cdrom "$iso" -boot d -time virtual,ratio=8 -print-hash <"$scratch/script"
wants title 'Memtest86\+ v6\.10' "$scratch/early"
wants memory 'Memory *: *16MB' "$scratch/early"
wants pass 'Pass:  1 +Errors: 0( |$)' "$scratch/pass"
wants status 'Status: Pass' "$scratch/pass"
wants banner '##### +##### *$' "$scratch/pass"
grep -ao 'icount=.* hash=.*' "$scratch/out" || fail "no hash was printed"
exit $failed
