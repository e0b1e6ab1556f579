#!/bin/bash
# test_download.sh TICK86 BUILD SOURCE [MEBIBYTES] - through each card Linux gets a lease and fetches a file from an HTTP server on this
# host's loopback; the checksum is right. The last one is recorded: the replay has no network and ends with the same hash and
# the same capture. 4 MiB here (1 MiB for NE2000s, whose driver moves every word by port); `test_download.sh ... 100` is the long run.
set -euo pipefail
tick86=$1
build_dir=$2
source_dir=$3
mebibytes=${4:-4}
. "$source_dir/tests/support/golden.sh"
. "$source_dir/tests/support/guest.sh"
. "$source_dir/tests/net/common.sh"
need_installer
need_user_network
net_initrd "$scratch/initrd.gz"
start_server "$scratch/www"

# download CARD MEBIBYTES OPTION...
download() {
    local card=$1 size=$2 file sum
    shift 2
    file=random.$size
    [ -e "$scratch/www/$file" ] || head -c $((size << 20)) /dev/urandom >"$scratch/www/$file"
    sum=$(md5sum <"$scratch/www/$file")
    "$tick86" -m 128 -kernel "$installer/linux" -initrd "$scratch/initrd.gz" -display none -serial "file:$scratch/$card" \
        -append "console=ttyS0 quiet driver=$(driver_of "$card") do=download url=http://10.0.2.100/$file" -no-reboot -print-hash \
        -nic "user,model=$card,guestfwd=tcp:10.0.2.100:80-tcp:127.0.0.1:$port,capture=$scratch/$card.pcapng" "$@" \
        >"$scratch/$card.out" 2>"$scratch/$card.errors" </dev/null || { fail "$card: status $?"; cat "$scratch/$card.errors"; }
    wants "$card" "guest: md5 ${sum%% *}" "$scratch/$card"
}

for card in e1000 rtl8139 rtl8139c; do
    download $card "$mebibytes"
done
small=$((mebibytes == 4 ? 1 : mebibytes))
download ne2k_isa "$small"
download ne2k_pci "$small" -record "$scratch/recording"
hash=$(cat "$scratch/ne2k_pci.out")
mv "$scratch/ne2k_pci.pcapng" "$scratch/recorded.pcapng"
kill "$server" # nobody answers any more
download ne2k_pci "$small" -replay "$scratch/recording"
[ "$hash" = "$(cat "$scratch/ne2k_pci.out")" ] || fail "the replay ended with $(cat "$scratch/ne2k_pci.out"), not with $hash"
cmp "$scratch/recorded.pcapng" "$scratch/ne2k_pci.pcapng" || fail "the replay's capture is another one"
exit $failed
