#!/bin/bash
# test_forward.sh TICK86 BUILD SOURCE - ways in and out of the user network: an echo server of the guest through hostfwd, added and removed
# by the monitor too; the host's loopback, which the guest cannot reach by any of its names unless it is opened.
set -euo pipefail
tick86=$1
build_dir=$2
source_dir=$3
. "$source_dir/tests/support/golden.sh"
. "$source_dir/tests/support/guest.sh"
. "$source_dir/tests/net/common.sh"
need_installer
need_user_network
net_initrd "$scratch/initrd.gz"

# linux NAME TASK NETWORK OPTION...: in the background.
linux() {
    local name=$1 task=$2 network=$3
    shift 3
    "$tick86" -m 128 -kernel "$installer/linux" -initrd "$scratch/initrd.gz" -display none -serial "file:$scratch/$name" \
        -append "console=ttyS0 quiet driver=e1000 $task" -no-reboot -nic "$network" "$@" <&0 >"$scratch/$name.out" 2>&1 & # bash gives /dev/null otherwise
    guest=$!
    background+=($guest)
}

# echoed PORT TEXT
echoed() {
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf '%s\n' "$2" >&3
    local answer=
    read -r -t 60 answer <&3 || true
    exec 3<&- 3>&-
    [ "$answer" = "$2" ]
}

port=$(free_port)
other=$(free_port)
mkfifo "$scratch/commands"
exec 4<>"$scratch/commands" # read and write: nobody waits for the other end
linux echo "do=serve" "user,id=n0,hostfwd=tcp:127.0.0.1:$port-:22" -monitor stdio <"$scratch/commands"
wait_for "$scratch/echo" 'guest: serving' 300 || fail "the guest does not serve"
echoed "$port" "hello there" || fail "no echo through hostfwd"
printf 'hostfwd_add n0 tcp:127.0.0.1:%s-:22\n' "$other" >&4
sleep 1
echoed "$other" "by the monitor" || fail "no echo through hostfwd_add"
printf 'hostfwd_remove n0 tcp:127.0.0.1:%s\ninfo network\n' "$other" >&4
wait_for "$scratch/echo.out" 'TCP.HOST_FORWARD' 60 || fail "info network does not list the rule"
! echoed "$other" "closed" 2>/dev/null || fail "hostfwd_remove left the port open"
printf 'quit\n' >&4
exec 4>&-
wait $guest || true

# A server that greets everybody on the loopback address, and one through a guestfwd.
start_echo
linux closed "do=probe url=10.0.2.2:$port,127.0.0.1:$port,10.0.2.100:7" "user,guestfwd=tcp:10.0.2.100:7-tcp:127.0.0.1:$port"
wait_for "$scratch/closed" 'guest: done' 300 || fail "the guest does not end"
wants closed "guest: refused 10.0.2.2:$port" "$scratch/closed"
wants closed "guest: reached 10.0.2.100:7" "$scratch/closed"
wait $guest || true
linux open "do=probe url=10.0.2.2:$port" "user,hostloopback=on"
wait_for "$scratch/open" 'guest: done' 300 || fail "the guest does not end"
wants open "guest: reached 10.0.2.2:$port" "$scratch/open"
wait $guest || true
exit $failed
