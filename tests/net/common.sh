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
