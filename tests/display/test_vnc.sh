#!/bin/bash
# test_vnc.sh TICK86 BUILD SOURCE - -display vnc with libvncclient as the viewer: handshake, password, keys as keysyms and as scan codes, pointer,
# two viewers, a change of size, and frames that are the guest's to the last pixel.
set -euo pipefail
tick86=$(realpath "$1")
build_dir=$(realpath "$2")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
here=$source_dir/tests/display
[ -e "$build_dir/tick86-vnc.so" ] || skip "tick86 was built without libvncserver"
[ -x "$build_dir/vncclient" ] || skip "libvncclient is not installed"
cd "$scratch"
for name in dialog mouse; do
    nasm -f bin -i "$here/" -o $name.img "$here/$name.asm"
    truncate -s 1440K $name.img
done
nasm -f bin -DWIDTH=800 -DHEIGHT=600 -DBPP=16 -i "$here/" -o vbe.img "$here/vbe.asm"
truncate -s 1440K vbe.img
number=$((100 + $$ % 400)) port=0

# begin OPTION...: tick86 on the first free display from $number on, with a monitor on the pipe `monitor`.
begin() {
    rm -f monitor
    mkfifo monitor
    for _ in 1 2 3 4 5; do
        number=$((number + 1))
        port=$((5900 + number))
        "$tick86" -boot a -monitor stdio -name demo "$@" -display "vnc=:$number${password:+,password=$password}" <monitor >answers 2>errors &
        pid=$!
        exec 7>monitor
        sleep 0.5
        ! kill -0 $pid 2>/dev/null || break
    done
    background+=($pid)
}
viewer() {
    viewer_exact "$@" || fail "vncclient $*"
}
viewer_exact() {
    timeout 60 "$build_dir/vncclient" $port "${password:--}" "$@"
}
until_shown() {
    for _ in $(seq 100); do
        echo "screentext $scratch/screen" >&7
        sleep 0.2
        ! grep -qF -- "$1" screen 2>/dev/null || return 0
    done
    fail "'$1' did not appear on the guest's screen:"
    cat screen || true
}
end() {
    local status=0
    echo quit >&7
    exec 7>&-
    wait $pid || status=$?
    [ $status = 0 ] || fail "tick86 ended with $status: $(cat errors)"
}

# Text typed by a viewer; both viewers then have the guest's picture.
password=sesame
begin -fda dialog.img
until_shown "What is your name?"
[ "$(viewer name)" = demo ] || fail "the desktop's name"
[ "$(viewer size)" = 720x400 ] || fail "the size"
viewer text 'Ada:"Lovelace"' key ff0d wait 300
until_shown 'Ada:"Lovelace"!'
viewer scancode 1e scancode 30 key ff0d wait 300 # A and B by their place
until_shown 'ab!'
viewer down ffe1 key 41 up ffe1 key 62 key 43 key ff0d wait 300 # Shift by the user, and where the layout leaves it out
until_shown 'AbC!'
printf 'stop\nscreendump %s/guest.ppm\n' "$scratch" >&7
sleep 1
viewer_exact wait 300 same guest.ppm 5000 &
first=$!
viewer_exact wait 300 same guest.ppm 5000 wait 500 same guest.ppm 100 || fail "the second viewer has another picture"
wait $first || fail "the first viewer has another picture"
! timeout 20 "$build_dir/vncclient" $port wrong size 2>wrong || fail "any password will do"
wants "wrong password" "no connection" wrong

# The same port again, and addresses that are none.
for value in ":$number" "nowhere.invalid:1" "192.0.2.1:3"; do
    status=0
    "$tick86" -display "vnc=$value" </dev/null >out 2>refused || status=$?
    [ $status = 1 ] && [ "$(wc -l <refused)" = 1 ] || fail "vnc=$value: status $status, $(cat refused)"
    wants "$value" '^tick86: VNC cannot listen on ' refused
done
# Loopback alone.
if command -v ss >/dev/null; then
    ss -ltn | grep -q "127.0.0.1:$port " || fail "not on the loopback address: $(ss -ltn)"
fi
end

# A mode change while a viewer looks: from 720x400 to 800x600.
password=
begin -fda vbe.img -S -serial file:serial
echo cont >&7
[ "$(viewer wait 6000 size)" = 800x600 ] || fail "the size of a VBE mode"
for _ in $(seq 100); do # it has drawn
    ! grep -q ready serial || break
    sleep 0.2
done
printf 'stop\nscreendump %s/vbe.ppm\n' "$scratch" >&7
sleep 1
viewer_exact wait 200 same vbe.ppm 5000 || fail "a VBE mode's picture"
end

# The pointer moves a PS/2 mouse.
begin -fda mouse.img
until_shown "mouse x=0 y=0 buttons=0"
viewer pointer 100 100 0 pointer 140 90 0 pointer 140 90 1 wait 300
until_shown "mouse x=40 y=-10 buttons=1"
viewer pointer 140 90 0 wait 300
until_shown "buttons=0"
end
exit $failed
