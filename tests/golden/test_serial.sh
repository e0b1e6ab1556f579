#!/bin/bash
# test_serial.sh TICK86 BUILD SOURCE - COM1 on every kind of stream, both ways, with a guest that answers each byte; the keys of the
# shared terminal (Ctrl-A x c h b t s); the monitor on sockets.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
command -v perl >/dev/null || skip "perl is not installed"
talk=$source_dir/tests/support/talk.pl
cd "$scratch"
nasm -f bin -o echo.img "$source_dir/tests/golden/echo.asm"
guest="-hda echo.img -snapshot -display none -device isa-debug-exit -time virtual,ratio=8"
port=$((20000 + $$ % 20000))

conversation='expect ECHO-READY
send ab
expect \[a\]\[b\]
send c
expect \[c\]
send \x{c3}\0\x0d
expect \[\xc3\]\[\x00\]\[\x0d\]
send Q
expect ECHO-BYE'

# start OPTION...: tick86 in the background, its pid in `pid`, its messages in `errors`.
start() {
    # shellcheck disable=SC2086
    timeout 300 "$tick86" $guest "$@" </dev/null >out 2>errors &
    pid=$!
    background+=("$pid")
}
# left NAME: it must have ended with the guest's word.
left() {
    local status=0
    wait "$pid" || status=$?
    [ $status = 41 ] || fail "$1: status $status, $(cat errors)"
}
converse() {
    perl "$talk" "$1" <<<"$conversation" || fail "$1"
}

# The terminal, or pipes in its place.
status=0
perl "$talk" "run:timeout 300 '$tick86' $guest -serial stdio" <<<"$conversation" || status=$?
[ $status = 41 ] || fail "stdio: status $status"

# A file takes the output.
start -serial file:log -stop-at time=20
wait "$pid" || fail "file: status $?"
wants file '^ECHO-READY' log

# Nothing: the guest does not notice.
start -serial null -stop-at time=5
wait "$pid" || fail "null: status $?"
start -serial none -stop-at time=5
wait "$pid" || fail "none: status $?"

start -serial pty
for ((n = 0; n < 200; n++)); do
    ! grep -q ' is on /dev' errors || break
    sleep 0.1
done
# What was said before somebody opened the other end may be gone: a byte shows that the guest is there.
name=$(sed -n 's/.*serial port 1 is on //p' errors)
perl "$talk" "open:$name" <<<"insist x => \[x\]
send c
expect \[c\]
send Q" || fail pty # the last words go with the terminal
left pty

start -serial unix:socket,server
converse unix:socket
left "unix server"
[ ! -e socket ] || fail "the socket was left behind"
start -serial unix:socket,server,nowait
perl "$talk" unix:socket <<<'insist x => \[x\]
close' || fail "first client"
perl "$talk" unix:socket <<<'send y
expect \[y\]
send Q
expect ECHO-BYE
end' || fail "second client"
left "two clients"
perl "$talk" unix-listen:other <<<"$conversation" &
background+=($!)
listener=$!
for ((n = 0; n < 200; n++)); do
    [ ! -S other ] || break
    sleep 0.1
done
start -serial unix:other
wait $listener || fail "unix client"
left "unix client"

start -serial "tcp:127.0.0.1:$port,server"
converse "tcp:127.0.0.1:$port"
left "tcp server"
perl "$talk" "tcp-listen:$((port + 1))" <<<"$conversation" &
background+=($!)
listener=$!
sleep 1
start -serial "tcp:127.0.0.1:$((port + 1))"
wait $listener || fail "tcp client"
left "tcp client"

# The shared terminal.
for option in -nographic "-serial mon:stdio"; do
    status=0
    perl "$talk" "run:timeout 300 '$tick86' $guest $option" <<'END' || status=$?
expect ECHO-READY
send \x01h
expect Ctrl-A h +this help.*Ctrl-A x
send \x01b
expect <break>
send \x01\x01
expect \[\x01\]
send \x01c
expect \(tick86\)
send info status\r
expect VM status: running
send stop\r
expect \(tick86\)
send info status\r
expect VM status: paused
send cont\r
expect \(tick86\)
send info pic\r
expect \(tick86\)
send \x01c
send z
expect \[z\]
send \x01t
send \x01s
send \x01x
expect ended by Ctrl-A x
end
END
    [ $status = 0 ] || fail "$option: status $status"
done

# The monitor on a socket of its own, beside the serial port.
start -serial unix:socket,server,nowait -monitor unix:control,server,nowait
perl "$talk" unix:control <<'END' || fail "monitor on a socket"
expect type 'help' for the commands.*\(tick86\)
send info registers\r
expect EIP=.*\(tick86\)
send info tlb\r
expect \(tick86\)
send info mem\r
expect \(tick86\)
send info qtree\r
expect i440fx.*\(tick86\)
send system_reset\r
expect \(tick86\)
send nonsense\r
expect unknown command 'nonsense'
send quit\r
end
END
wait "$pid" || fail "quit: status $?"
exit $failed
