#!/bin/sh
# checksum.sh ROM - sets byte 6 of an option ROM so that all its bytes add up to 0 modulo 256, as firmware demands.
set -eu
rom=$1
sum=$(od -An -v -tu1 "$rom" | awk '{ for (i = 1; i <= NF; i++) if (NR != 1 || i != 7) s += $i } END { print (256 - s % 256) % 256 }')
# shellcheck disable=SC2059
printf "\\$(printf '%03o' "$sum")" | dd of="$rom" bs=1 seek=6 conv=notrunc 2>/dev/null
