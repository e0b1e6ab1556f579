#!/bin/bash
# test_trace.sh TICK86 BUILD SOURCE - traces say the same as text and as records, the first difference of two is found, and neither
# traces nor plugins change the run.
set -euo pipefail
tick86=$1
build=$2
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
run=("$tick86" -display none -time virtual -m 16)

"${run[@]}" -stop-at insns=100000 -d exec,int,io,mode,mmu -D "$scratch/text" 2>/dev/null
"${run[@]}" -stop-at insns=100000 -d exec,int,io,mode,mmu -trace format=binary -D "$scratch/records" 2>/dev/null
wants "reset vector" '^0 cpu0 exec fffffff0 jmpf 0xf000:0xe05b$' "$scratch/text"
wants "mode" 'cpu0 mode protected 16$' "$scratch/text"
wants "port" 'cpu0 io write8 00[0-9a-f]{2} = ' "$scratch/text"
[ "$(grep -c ' exec ' "$scratch/text")" = 100000 ] || fail "not each instruction was traced once"
"$tick86" --trace-print "$scratch/records" >"$scratch/printed"
cmp "$scratch/text" "$scratch/printed" || fail "records and text differ"
"$tick86" --trace-diff "$scratch/text" "$scratch/records" >"$scratch/diff" || fail "equal traces are said to differ"
wants "equal" '^equal: [0-9]+ events' "$scratch/diff"
sed '5000s/exec/exex/' "$scratch/text" >"$scratch/other"
status=0
"$tick86" --trace-diff "$scratch/text" "$scratch/other" >"$scratch/diff" || status=$?
[ $status = 1 ] || fail "--trace-diff of different traces: status $status"
wants "difference" '^first difference: event 5000$' "$scratch/diff"
"${run[@]}" -stop-at insns=100000 -d exec -trace addr=0xfe05b-0xfe070,from=0,to=50 -D "$scratch/few" 2>/dev/null
wants "filter" '^1 cpu0 exec 000fe05b cmp' "$scratch/few"
[ "$(wc -l <"$scratch/few")" -lt 50 ] || fail "the filter lets everything pass"
printf '000fe05b T entry_post\n' >"$scratch/map"
"${run[@]}" -symbols "$scratch/map" -stop-at insns=3 -d exec -D "$scratch/named" 2>/dev/null
wants "names" '^2 cpu0 exec 000fe062 <entry_post\+0x7> jne' "$scratch/named"

plain=$("${run[@]}" -stop-at insns=3000000 -print-hash 2>/dev/null)
if [ -e "$build/tick86-plugin-cache.so" ]; then
    watched=$("${run[@]}" -stop-at insns=3000000 -print-hash -d int -D /dev/null -plugin "$build/tick86-plugin-cache.so,size=16" \
        -plugin "$build/tick86-plugin-coverage.so,out=$scratch/coverage,base=0xe0000,end=0x100000" \
        -plugin "$build/tick86-plugin-syscalls.so,out=$scratch/calls" 2>"$scratch/plugins")
    [ "$plain" = "$watched" ] || fail "plugins change the run: $plain, $watched"
    wants "cache" '^data cache: [0-9]+ accesses' "$scratch/plugins"
    wants "coverage" '^BB Table: [1-9][0-9]+ bbs' "$scratch/coverage"
fi
exit $failed
