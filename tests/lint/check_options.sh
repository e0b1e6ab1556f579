#!/bin/bash
# check_options.sh TICK86 SOURCE - the man page's OPTIONS section is the one the option table prints, and every wrong option is
# one line on stderr and status 1. With --update it writes the section into the man page.
set -euo pipefail
tick86=$1
man_page=$2/docs/tick86.1

generated=$("$tick86" --help-man)
if [ "${3:-}" = --update ]; then
    {
        sed '/^\.\\" BEGIN OPTIONS/q' "$man_page"
        echo "$generated"
        sed -n '/^\.\\" END OPTIONS/,$p' "$man_page"
    } >"$man_page.new"
    mv "$man_page.new" "$man_page"
    exit 0
fi
written=$(sed -n '/^\.\\" BEGIN OPTIONS/,/^\.\\" END OPTIONS/p' "$man_page" | sed '1d;$d')
if [ "$generated" != "$written" ]; then
    diff <(echo "$written") <(echo "$generated") || true
    echo "check_options: docs/tick86.1 is not what the table says; run: $0 $tick86 $2 --update"
    exit 1
fi

failed=0
# refuses WORDS...: exit status 1, nothing on stdout, one line on stderr that names the program.
refuses() {
    local status=0 out lines
    out=$("$tick86" "$@" 2>/tmp/check_options.$$ </dev/null) || status=$?
    lines=$(wc -l </tmp/check_options.$$)
    if [ $status != 1 ] || [ "$lines" != 1 ] || [ -n "$out" ] || ! grep -q '^tick86: ' /tmp/check_options.$$; then
        echo "check_options: tick86 $*: status $status, $lines lines on stderr:"
        cat /tmp/check_options.$$
        failed=1
    fi
    rm -f /tmp/check_options.$$
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
: >"$scratch/empty"
head -c 4096 /dev/zero >"$scratch/zeroes"
printf 'not a kernel' >"$scratch/text"
refuses -smp many
refuses --no-such-option
refuses -m
refuses -m 0
refuses -m 1.5G
refuses -cpu z80
refuses -hda
refuses -hda "$scratch/missing"
refuses -hda "$scratch"
refuses -hda "$scratch/empty"
refuses -hda "$scratch/zeroes" -hda "$scratch/zeroes"
refuses -drive format=raw
refuses -drive file="$scratch/zeroes",if=scsi
refuses -drive file="$scratch/zeroes",format=qcow2
refuses -kernel "$scratch/missing"
refuses -kernel "$scratch/empty"
refuses -kernel "$scratch/text"
refuses -append quiet
refuses -display gl
refuses -display curses
refuses -vga cirrus
refuses -serial nonsense
refuses -serial stdio -monitor stdio
refuses -serial file:"$scratch/missing/file"
refuses -boot x
refuses -bios "$scratch/missing"
refuses -bios "$scratch/empty"
refuses -device e1000e
refuses -rtc base=yesterday
refuses -time lunar
refuses "$scratch/missing"
refuses "$scratch/empty"
exit $failed
