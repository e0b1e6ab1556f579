#!/bin/bash
# test_sdl.sh TICK86 BUILD SOURCE - the SDL window on an X server of its own (Xvfb), with xdotool as the user: typed keys appear in the guest, the
# window's pixels are those of screendump, host keys, pointer, scaling, full screen, clipboard; and what happens without a display.
set -euo pipefail
tick86=$(realpath "$1")
build_dir=$(realpath "$2")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
here=$source_dir/tests/display
[ -e "$build_dir/tick86-sdl.so" ] || skip "tick86 was built without SDL"
for command in Xvfb openbox xdotool import compare convert xclip; do
    command -v $command >/dev/null || skip "$command is not installed"
done
cd "$scratch"
for name in dialog mouse; do
    nasm -f bin -i "$here/" -o $name.img "$here/$name.asm"
    truncate -s 1440K $name.img
done
nasm -f bin -DWIDTH=640 -DHEIGHT=480 -DBPP=16 -i "$here/" -o vbe.img "$here/vbe.asm"
truncate -s 1440K vbe.img
truncate -s 2M other.iso

# No display: one line, and what there is.
for options in "-display sdl" "-display gtk"; do
    status=0
    # shellcheck disable=SC2086
    env -u DISPLAY -u WAYLAND_DISPLAY SDL_VIDEODRIVER=x11 timeout 20 "$tick86" $options </dev/null >out 2>errors || status=$?
    [ $status = 1 ] && [ "$(wc -l <errors)" = 1 ] || fail "'$options' without a display: status $status, $(cat errors)"
    wants "$options" '^tick86: .*there are (also )?sdl.*curses.*none' errors
done

exec 8>xvfb.display
Xvfb -displayfd 8 -screen 0 1600x1200x24 -nolisten tcp >xvfb.log 2>&1 &
background+=($!)
exec 8>&-
for _ in $(seq 100); do
    [ ! -s xvfb.display ] || break
    sleep 0.1
done
export DISPLAY=:$(tr -d '\n' <xvfb.display)
openbox >openbox.log 2>&1 & # full screen is a window manager's business
background+=($!)
[ "$DISPLAY" != : ] || skip "Xvfb does not start: $(cat xvfb.log)"

# begin OPTION...: tick86 with a monitor on the pipe `monitor`; its window's number in $window.
begin() {
    rm -f monitor
    mkfifo monitor
    "$tick86" -boot a -monitor stdio "$@" <monitor >answers 2>errors &
    pid=$!
    background+=($pid)
    exec 7>monitor
    window=
    for _ in $(seq 200); do
        window=$(xdotool search --name tick86 2>/dev/null | tail -n 1) || true
        [ -z "$window" ] || break
        sleep 0.1
    done
    [ -n "$window" ] || { fail "no window of tick86 $*: $(cat errors)"; exit 1; }
    for _ in $(seq 50); do # it may not be mapped yet
        ! xdotool windowfocus --sync "$window" 2>/dev/null || return 0
        sleep 0.1
    done
    fail "the window takes no focus"
}
# until_shown TEXT: waits for it on the guest's text screen.
until_shown() {
    for _ in $(seq 150); do
        echo "screentext $scratch/screen" >&7
        sleep 0.2
        ! grep -qF -- "$1" screen 2>/dev/null || return 0
    done
    fail "'$1' did not appear on the guest's screen:"
    cat screen || true
}
# until_true COMMAND...
until_true() {
    for _ in $(seq 100); do
        ! "$@" || return 0
        sleep 0.1
    done
    fail "never true: $*"
}
title_has() { xdotool getwindowname "$window" | grep -q -- "$1"; }
key() { xdotool key "$@"; }
# same_as_guest NAME [CONVERT-OPTION...]: the window shows the guest's picture, scaled so.
same_as_guest() {
    local name=$1 differ
    shift
    rm -f "$name.png"
    echo "screendump $scratch/$name.png" >&7
    until_true test -s "$name.png"
    sleep 0.3
    import -silent -window "$window" "$name.window.png"
    convert "$name.png" "$@" "$name.wanted.png"
    keep "$name.window.png" "$name.window.png"
    differ=$(compare -metric AE "$name.wanted.png" "$name.window.png" null: 2>&1) || true
    [ "$differ" = 0 ] || fail "$name: the window differs from the guest's picture in $differ pixels"
}
end() {
    local status=0
    exec 7>&-
    wait $pid || status=$?
    [ $status = 0 ] || fail "tick86 ended with $status: $(cat errors)"
}

# Text: keys go to the guest, pixels come back.
begin -fda dialog.img -cdrom "" -name demo -display sdl,aspect=off,scaling=nearest
until_shown "What is your name?"
title_has '^demo - tick86 - running, [0-9]* %' || fail "the title: $(xdotool getwindowname "$window")"
xdotool type --delay 80 "Ada_Lovelace"
key Return
until_shown "Ada_Lovelace!"
key ctrl+alt+p # pause: the cursor stands still
until_true title_has paused
same_as_guest text
key ctrl+alt+s
until_true test -s tick86-001.png
compare -metric AE tick86-001.png text.png null: 2>/dev/null || fail "the screenshot is another picture"
key ctrl+alt+p
until_true title_has running
printf 'Pasted "text" \xe2\x80\x93 1\n' | xclip -selection clipboard -i
key ctrl+alt+v
until_shown 'Pasted "text" - 1!'
printf '%s' "$scratch/other.iso" | xclip -selection clipboard -i
key ctrl+alt+c
sleep 0.5
echo "info block" >&7
until_true grep -qE 'ide1-cd0: 4096 sectors' answers
key ctrl+alt+e
sleep 0.3
: >answers.mark
echo "info block" >&7
until_true grep -qE 'ide1-cd0: 0 sectors' answers
key ctrl+alt+t
until_true title_has fast-forward
key ctrl+alt+t
until_true title_has running
key ctrl+alt+r
until_shown "What is your name?"
key ctrl+alt+q
end

# A VBE mode has square pixels: twice as large, without interpolation; then whole multiples on the full screen.
begin -fda vbe.img -display sdl,scaling=nearest,zoom=2
until_true sh -c "xdotool getwindowgeometry $window | grep -q 1280x960"
sleep 2
same_as_guest zoomed -sample 1280x960
key ctrl+alt+x # integer
key ctrl+alt+f
until_true sh -c "xdotool getwindowgeometry $window | grep -q 1600x1200"
sleep 0.5
same_as_guest full -sample 1280x960 -background black -gravity center -extent 1600x1200
key ctrl+alt+f
key ctrl+alt+q
end

# A VGA mode fills a 4:3 tube: 720x400 becomes 720x540. The pointer is caught by a click and let go by Ctrl-Alt-G.
begin -fda mouse.img -display sdl
until_shown "mouse x=0 y=0 buttons=0"
until_true sh -c "xdotool getwindowgeometry $window | grep -q 720x540"
xdotool mousemove --window "$window" 360 270
sleep 0.2
xdotool mousemove_relative 20 10
sleep 0.3
echo "screentext $scratch/screen" >&7
sleep 0.3
wants "no grab" "mouse x=0 y=0 buttons=0" screen
xdotool click 1
until_true title_has "Ctrl-Alt-G releases"
xdotool mousemove_relative 20 10
sleep 0.2
xdotool mousemove_relative 15 0
until_shown "mouse x=35 y=10 buttons=0"
xdotool mousedown 3
until_shown "buttons=2"
xdotool mouseup 3
until_shown "buttons=0"
key ctrl+alt+g
sleep 0.3
! title_has "Ctrl-Alt-G releases" || fail "Ctrl-Alt-G does not release"
key ctrl+alt+q
end
exit $failed
