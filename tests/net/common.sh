# common.sh - for the network tests: their guest, a server for it, and running it. Sourced after golden.sh and guest.sh.
# shellcheck shell=bash disable=SC2154

# net_initrd FILE: busybox, the installer's drivers of our cards and tests/net/init.
net_initrd() {
    local root=$scratch/net-root file name
    rm -rf "$root"
    mkdir -p "$root/modules" "$root/etc" "$scratch/installer"
    (cd "$scratch/installer" && zcat "$installer/initrd.gz" | cpio -idm --quiet "*/kernel/drivers/net/*" 2>/dev/null)
    for name in e1000 8139cp 8139too ne2k-pci ne 8390 8390p mii; do
        file=$(find "$scratch/installer" -name "$name.ko")
        [ -n "$file" ] || { echo "no module $name"; return 1; }
        cp "$file" "$root/modules/"
        tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' ' >"$root/modules/$name.depends"
    done
    rm -rf "$scratch/installer"
    cp "$source_dir/tests/net/init" "$source_dir/tests/net/udhcpc" "$root/"
    chmod 755 "$root/init" "$root/udhcpc"
    net_applets="ip udhcpc wget nc ping sed tr httpd tftp ifconfig route"
    guest_initrd "$root" "$1"
}

# The driver that goes with a card.
driver_of() {
    case $1 in
    e1000) echo e1000 ;;
    rtl8139) echo 8139cp ;;
    rtl8139c) echo 8139too ;;
    ne2k_pci) echo ne2k-pci ;;
    ne2k_isa) echo ne,io=0x300 ;;
    esac
}

need_user_network() {
    timeout 60 "$tick86" -nic user -display none -stop-at insns=1 </dev/null >/dev/null 2>&1 ||
        skip "tick86 was built without libslirp: install libslirp-dev"
}

need_card_roms() {
    [ -r /usr/lib/ipxe/qemu/pxe-e1000.rom ] || skip "package ipxe-qemu is not installed"
}

free_port() {
    perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; print $s->sockport'
}

# wait_for FILE PATTERN SECONDS
wait_for() {
    local n
    for ((n = 0; n < $3 * 5; n++)); do
        ! grep -qaE -e "$2" "$1" 2>/dev/null || return 0
        sleep 0.2
    done
    tail -n 20 "$1"
    return 1
}

# start_server DIRECTORY: an HTTP server for its files on 127.0.0.1:$port, process $server.
start_server() {
    mkdir -p "$1"
    port=$(free_port)
    perl "$source_dir/tests/net/server.pl" "$port" "$1" &
    server=$!
    background+=($server)
    wait_for_port
}

# start_echo: what is sent to 127.0.0.1:$port comes back.
start_echo() {
    port=$(free_port)
    perl "$source_dir/tests/net/server.pl" "$port" &
    server=$!
    background+=($server)
    wait_for_port
}

wait_for_port() {
    local n
    for ((n = 0; n < 100; n++)); do
        ! { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || break
        sleep 0.1
    done
    exec 3<&- 3>&- || true
}
