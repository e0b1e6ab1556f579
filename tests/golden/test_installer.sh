#!/bin/bash
# test_installer.sh TICK86 BUILD SOURCE - Debian 12's untouched installer (kernel 6.1 i386) boots by -kernel and -initrd to its first
# menu on the VGA text screen; keys move the menu and choose; a second run with the same keys ends with the same state to the last bit.
set -euo pipefail
tick86=$1
source_dir=$3
. "$source_dir/tests/support/golden.sh"
need_installer

for run in 1 2; do
    cat >"$scratch/script" <<END
run 300 "Select a language"
run 2
screentext $scratch/menu.$run
screendump $scratch/menu.$run.ppm
sendkey down
run 2
sendkey down
run 2
screentext $scratch/down.$run
screendump $scratch/down.$run.ppm
sendkey end
run 1
sendkey pgup
run 1
sendkey home
run 1
sendkey g
run 2
sendkey down
run 2
screendump $scratch/german.$run.ppm
screentext $scratch/german.$run
sendkey ret
run 60 "Auswählen des Standorts"
run 2
screentext $scratch/location.$run
screendump $scratch/location.$run.ppm
quit
END
    # Without its framebuffer the installer stays in text mode.
    run_script "$scratch/out.$run" -m 512 -kernel $installer/linux -initrd $installer/initrd.gz \
        -append "vga=normal fb=false modprobe.blacklist=bochs" -time virtual,ratio=8 -print-hash <"$scratch/script"
done
for name in menu down german location; do
    same_screen installer-$name "$scratch/$name.1"
    same_picture installer-$name "$scratch/$name.1.ppm"
done
diff <(grep -ao 'icount=.* hash=.*' "$scratch/out.1") <(grep -ao 'icount=.* hash=.*' "$scratch/out.2") ||
    fail "two runs with the same keys differ"
exit $failed
