#!/bin/bash
# test_frontend.sh TICK86 BUILD SOURCE - the monitor over a pipe and over TCP, limits, hashes, signals, the exit status.
set -euo pipefail
tick86=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failed=0

# wants NAME PATTERN FILE: the file has a line that matches.
wants() {
    if ! grep -qE "$2" "$3"; then
        echo "$1: no line matches '$2' in:"
        cat "$3"
        failed=1
    fi
}

# The monitor, with input from a pipe.
printf '%s\n' 'info status' 'info version' 'xp /4xb 0xfffffff0' 'x/2xw 0xffff0' 'info nothing' 'nonsense' 'sendkey ctrl-alt-delete' \
    'sendkey foo' 'mouse_move 1 2' 'info registers' 'screendump shot.png' 'eject nowhere' 'info block' 'system_reset' 'quit' |
    timeout 60 "$tick86" -S -display none -monitor stdio >out 2>errors || { echo "monitor: status $?"; failed=1; }
wants status 'VM status: paused' out
wants version 'tick86 [0-9.]+' out
wants "reset vector" '^\(tick86\) 00000000fffffff0: 0xea 0x5b 0xe0 0x00' out
wants unknown "unknown command 'nonsense'" out
wants "unknown key" "no key named 'foo'" out
wants "unknown drive" "no CD-ROM drive 'nowhere'" out
[ "$(head -c 4 shot.png | tail -c 3)" = PNG ] || { echo "screendump wrote no PNG"; failed=1; }

# The monitor's run stops at exact points of guest time, so that what follows it in a script happens there.
for n in 1 2; do
    printf '%s\n' 'run 1.5' 'info status' 'run 0.25' 'info status' 'run 100 SeaBIOS' 'info status' 'run 0.3 "not on the screen"' \
        'run soon' 'screentext screen' 'screendump shot.ppm' 'info hash' quit |
        timeout 120 "$tick86" -S -display none -vga std -boot menu=on -time virtual,ratio=8 -monitor stdio >out.$n 2>errors || {
        echo "run: status $?"
        failed=1
    }
done
wants run ' time_ns=150000000[0-9] ' out.1
wants "run on" ' time_ns=175000000[0-9] ' out.1
wants "run to a text" '^icount=[0-9]* time_ns=1750' out.1
wants "run to nowhere" "'not on the screen' did not appear on the screen" out.1
wants "run's argument" "'soon' is not a number of seconds" out.1
wants screentext '^SeaBIOS \(version' screen
head -c 15 shot.ppm | tr '\n' ' ' | grep -qx 'P6 720 400 255 ' || { echo "screendump wrote no PPM"; failed=1; }
diff out.1 out.2 || { echo "equal scripts, different runs"; failed=1; }

# Equal runs are equal, with the block cache and without.
for way in "" "" --self-check=slow; do
    # shellcheck disable=SC2086
    timeout 300 "$tick86" -display none -time virtual -stop-at insns=3000000 -print-hash $way >hash.new 2>errors
    wants limit 'ended at icount=3000000 ' errors
    wants hash '^icount=3000000 time_ns=[0-9]+ hash=[0-9a-f]{16}$' hash.new
    if [ -e hash ] && ! cmp -s hash hash.new; then
        echo "equal runs differ ($way): $(cat hash) and $(cat hash.new)"
        failed=1
    fi
    mv hash.new hash
done

# The firmware talks on the debug console; the guest's clock follows the wall clock.
timeout 120 "$tick86" -display none -debugcon file:bios.log -stop-at time=2 2>errors
wants seabios '^SeaBIOS \(version' bios.log

# A signal ends it cleanly, with status 0 and the pidfile telling whom to send it to.
"$tick86" -display none -pidfile pid -serial file:serial 2>errors &
for ((n = 0; n < 100; n++)); do
    [ ! -s pid ] || break
    sleep 0.1
done
sleep 1
kill -TERM "$(cat pid)"
status=0
wait $! || status=$?
[ $status = 0 ] || { echo "SIGTERM: status $status"; failed=1; }

# The monitor over TCP, on a port that is probably free.
port=$((20000 + $$ % 20000))
"$tick86" -display none -monitor "tcp:127.0.0.1:$port,server,nowait" 2>errors &
pid=$!
for ((n = 0; n < 50; n++)); do
    if { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
        printf 'info status\nquit\n' >&3
        timeout 20 cat <&3 >out || true
        exec 3>&-
        break
    fi
    sleep 0.1
done
status=0
wait $pid || status=$?
[ $status = 0 ] || { echo "TCP monitor: status $status"; cat errors; failed=1; }
wants "TCP monitor" 'VM status: running' out
exit $failed
