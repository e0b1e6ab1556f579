#!/bin/bash
# test_modes.sh TICK86 BUILD SOURCE - every mode of the VGA and of VBE, as boot sectors of ours draw it, against pictures.sha256. With
# GOLDEN_ACTUAL=DIRECTORY the pictures (a second's, where one blinks) are kept there, to be looked at before their hashes are stored.
set -euo pipefail
tick86=$(realpath "$1")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
here=$source_dir/tests/display
cd "$scratch"

# demo NAME SOURCE DEFINITION...
demo() {
    local name=$1 source=$2 status=0 hashes
    shift 2
    nasm -Wall -Werror -f bin "${@/#/-D}" -i "$here/" -o "$name.img" "$here/$source.asm"
    truncate -s 1440K "$name.img"
    printf 'wait-serial "ready\\n" 60s\nsleep 20ms\n' >"$name.script"
    if [ -n "${GOLDEN_ACTUAL:-}" ]; then
        for n in 1 2 3 4 5 6 7 8; do
            printf 'screendump %s/%s.%s.ppm\nsleep 60ms\n' "$GOLDEN_ACTUAL" "$name" $n
        done >>"$name.script"
    fi
    hashes=$(awk -v name="$name" '$2 == name { print $1 }' "$here/pictures.sha256")
    [ -n "$hashes" ] || echo 'wait-screen 00000000 1ms' >>"$name.script"
    for hash in $hashes; do
        echo "wait-screen $hash 2s" >>"$name.script"
    done
    timeout 300 "$tick86" -fda "$name.img" -boot a -display none -time virtual,ratio=8 --script "$name.script" 2>errors || status=$?
    if [ $status != 0 ]; then
        fail "$name: status $status"
        cat errors
    fi
}

demo text-80x25 text VARIANT=0 # blinks: four pictures
demo text-40x25 text VARIANT=1
demo text-80x50 text VARIANT=2
demo text-mono text VARIANT=3
demo text-fonts text VARIANT=4
demo text-panning text VARIANT=5
demo text-halfclock text VARIANT=6
demo cga-4 cga MODE=4
demo cga-5 cga MODE=5
demo cga-6 cga MODE=6
demo ega-0d planar MODE=0dh WIDTH=320 HEIGHT=200
demo ega-0e planar MODE=0eh WIDTH=640 HEIGHT=200
demo ega-0f planar MODE=0fh WIDTH=640 HEIGHT=350
demo ega-10 planar MODE=10h WIDTH=640 HEIGHT=350
demo vga-11 planar MODE=11h WIDTH=640 HEIGHT=480
demo vga-12 planar MODE=12h WIDTH=640 HEIGHT=480
demo vga-13 vga256 VARIANT=0
demo vga-13-unchained vga256 VARIANT=5
demo vga-13-mask vga256 VARIANT=6
demo vga-x-split vga256 VARIANT=1
demo vga-x-320x400 vga256 VARIANT=2
demo vga-x-360x480 vga256 VARIANT=3
demo vga-x-wrap vga256 VARIANT=4
demo vbe-8 vbe WIDTH=640 HEIGHT=480 BPP=8
demo vbe-8-banked vbe WIDTH=640 HEIGHT=480 BPP=8 BANKED=1
demo vbe-15 vbe WIDTH=800 HEIGHT=600 BPP=15
demo vbe-16 vbe WIDTH=800 HEIGHT=600 BPP=16
demo vbe-16-scroll vbe WIDTH=800 HEIGHT=600 BPP=16 SCROLL=1
demo vbe-24 vbe WIDTH=1024 HEIGHT=768 BPP=24
demo vbe-32 vbe WIDTH=1280 HEIGHT=1024 BPP=32
demo vbe-32-banked vbe WIDTH=640 HEIGHT=480 BPP=32 BANKED=1
demo vbe-32-large vbe WIDTH=2560 HEIGHT=1600 BPP=32
demo facts-timing facts VARIANT=0
demo facts-edid facts VARIANT=1
exit $failed
