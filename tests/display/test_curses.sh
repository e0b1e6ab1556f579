#!/bin/bash
# test_curses.sh TICK86 BUILD SOURCE - -display curses in a terminal that is a program, tmux: line drawing in UTF-8 and in ASCII, sixteen colours
# before and behind, blinking, function and other keys, a terminal that changes its size.
set -euo pipefail
tick86=$(realpath "$1")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
here=$source_dir/tests/display
command -v tmux >/dev/null || skip "tmux is not installed"
cd "$scratch"
nasm -f bin -i "$here/" -o keys.img "$here/keys.asm"
nasm -f bin -DVARIANT=0 -i "$here/" -o blink.img "$here/text.asm"
nasm -f bin -DVARIANT=1 -i "$here/" -o bright.img "$here/text.asm"
truncate -s 1440K ./*.img
server=0
mux() { tmux -L "tick86-test-$$-$server" -f /dev/null "$@"; }
trap 'mux kill-server 2>/dev/null || true; golden_end' EXIT

# begin LOCALE OPTION...: tick86 in a terminal of 100x30.
begin() {
    local locale=$1
    shift
    mux kill-server 2>/dev/null || true
    server=$((server + 1))
    # The server must hold UTF-8 whatever the locale of the test.
    env -u LANG -u LC_CTYPE LC_ALL=C.UTF-8 tmux -L "tick86-test-$$-$server" -f /dev/null new-session -d -x 100 -y 30 \
        "env -u DISPLAY -u WAYLAND_DISPLAY -u LC_ALL $locale TERM=tmux-256color $tick86 -boot a -display curses $*; echo status \$?; sleep 60"
}
shows() {
    for _ in $(seq 150); do
        mux capture-pane -p >pane
        ! grep -qF -- "$1" pane || return 0
        sleep 0.2
    done
    fail "the terminal does not show '$1':"
    cat pane
}
# has_escape TEXT: the pane with its attributes as SGR sequences.
has_escape() {
    mux capture-pane -e -p | sed 's/\x1b/E/g' >escapes
    grep -qE -- "$1" escapes || { fail "no '$1' in:"; cat escapes; }
}

begin LANG= -fda blink.img
shows '╔══╦═╗'
shows '║Ab║░║'
shows '└   ┴   ┬   ├'
has_escape 'E\[5;?[0-9;]*m[^E]*Ç|E\[[0-9;]*;5[0-9;]*m.*Ç|E\[5m' # blinking
begin LANG= -fda bright.img
shows '║Ab║░║'
has_escape 'E\[[0-9;]*(10[0-7]|48;5;(8|9|1[0-5]))m' # a bright background
has_escape 'E\[[0-9;]*(9[0-7]|38;5;(8|9|1[0-5]))' # and foreground
begin LC_ALL=C -fda blink.img
shows '+--+-+'
shows '|Ab|#|'

begin LANG= -fda keys.img
sleep 3
for row in 'F1 [3b00]' 'F12 [8600]' 'Up [48e0]' 'Home [47e0]' 'DC [53e0]' 'PPage [49e0]' 'a [1e61]' 'A [1e41]' '| [2b7c]' 'M-x [2d00]' 'C-c [2e03]' 'Enter [1c0d]' \
    'Tab [0f09]' 'BTab [0f00]' 'S-F1 [5400]' 'C-F2 [5f00]' 'M-F3 [6a00]' 'C-Left [73e0]' 'Escape [011b]' 'BSpace [0e08]'; do
    mux send-keys "${row% \[*}"
    shows "[${row#*\[}"
done
# Smaller than the guest's screen: the part around the cursor; and large again.
mux resize-window -x 60 -y 10
shows '[0e08]'
mux resize-window -x 110 -y 32
shows '[3b00]'
shows 'Alt-2 (or ESC 2)'
# The monitor and the end.
mux send-keys M-2
shows '(tick86)'
mux send-keys -l 'quit'
mux send-keys Enter
shows 'status 0'
exit $failed
