#!/bin/bash
# test_pxe.sh TICK86 BUILD SOURCE - booting from the network: the option ROM's iPXE gets a lease and a file from the user network's
# own TFTP server, through each PCI card with iPXE's own driver. PXELINUX then boots Linux (e1000); an iPXE script runs on the others. Nothing
# outside takes part, so two runs are the same to the last bit.
set -euo pipefail
tick86=$1
build_dir=$2
source_dir=$3
. "$source_dir/tests/support/golden.sh"
. "$source_dir/tests/support/guest.sh"
. "$source_dir/tests/net/common.sh"
need_installer
need_user_network
need_card_roms

# pxe NAME OPTION...: output of COM1 in $scratch/NAME.
pxe() {
    local name=$1
    shift
    "$tick86" -m 128 -boot n -display none -serial "file:$scratch/$name" -time virtual,ratio=8 -no-reboot -stop-at time=120 \
        -print-hash "$@" >"$scratch/$name.out" 2>"$scratch/$name.errors" </dev/null || fail "$name: status $?"
}

mkdir -p "$scratch/tftp"
cat >"$scratch/tftp/boot.ipxe" <<'END'
#!ipxe
sync
console --x 80 ||
echo iPXE runs ${filename} on ${net0/chip} at ${net0/ip}
poweroff
END
for card in rtl8139 ne2k_pci; do
    for run in 1 2; do
        printf 'run 60 "iPXE runs boot.ipxe"\nscreentext %s\nquit\n' "$scratch/$card.$run" >"$scratch/script"
        run_script "$scratch/$card.out.$run" -m 64 -boot n -nic "user,model=$card,tftp=$scratch/tftp,bootfile=boot.ipxe,ipv6=off" \
            -time virtual,ratio=8 -print-hash <"$scratch/script"
    done
    wants "$card" "iPXE runs boot.ipxe on .* at 10.0.2.15" "$scratch/$card.1"
    diff <(grep -ao 'icount=.* hash=.*' "$scratch/$card.out.1") <(grep -ao 'icount=.* hash=.*' "$scratch/$card.out.2") ||
        fail "$card: two equal boots differ"
done

if [ -r /usr/lib/PXELINUX/pxelinux.0 ] && [ -r /usr/lib/syslinux/modules/bios/ldlinux.c32 ]; then
    net_initrd "$scratch/tftp/initrd.gz"
    cp /usr/lib/PXELINUX/pxelinux.0 /usr/lib/syslinux/modules/bios/ldlinux.c32 "$scratch/tftp/"
    cp "$installer/linux" "$scratch/tftp/vmlinuz"
    mkdir -p "$scratch/tftp/pxelinux.cfg"
    printf 'DEFAULT run\nPROMPT 0\nTIMEOUT 0\nLABEL run\n KERNEL vmlinuz\n APPEND initrd=initrd.gz console=ttyS0 quiet driver=e1000 do=lease\n' \
        >"$scratch/tftp/pxelinux.cfg/default"
    pxe linux -nic "user,model=e1000,tftp=$scratch/tftp,bootfile=pxelinux.0,ipv6=off"
    wants linux 'guest: lease 10\.0\.2\.15' "$scratch/linux"
    wants linux 'guest: done' "$scratch/linux"
else
    echo "note: pxelinux is not installed: Linux was not booted"
fi
exit $failed
