#!/bin/bash
# test_profile.sh TICK86 BUILD SOURCE - --profile changes nothing in the run, and what it counts adds up.
set -euo pipefail
tick86=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
fail() {
    echo "$1"
    exit 1
}

run() {
    timeout 300 "$tick86" -display none -time virtual -stop-at insns=20000000 -print-hash "$@"
}
run >plain 2>/dev/null
run --profile=profile.json >profiled 2>report
cmp plain profiled || fail "a profiled run differs"

# Every instruction of a block is counted for one handler, and nearly all instructions run in blocks.
grep -q '^{"icount":20000000,' profile.json || fail "icount is wrong: $(head -c 200 profile.json)"
insns=$(grep -o '"profiled":[0-9]*' profile.json | cut -d: -f2)
handlers=$(grep -o '"executions":[0-9]*' profile.json | cut -d: -f2 | awk '{ sum += $1 } END { printf "%d", sum }')
blocks=$(awk -F'[][,]' '/^"blocks"/ { on = 1; next } on && NF > 5 { n = 0; for (k = 7; k <= NF && $k != ""; k++) n++; sum += $2 * n }
    END { printf "%d", sum }' profile.json)
[ "$insns" = "$handlers" ] || fail "$insns instructions, but handlers ran $handlers times"
[ "$insns" = "$blocks" ] || fail "$insns instructions, but $blocks in the list of blocks"
[ "$insns" -gt 19000000 ] && [ "$insns" -lt 21000000 ] || fail "only $insns instructions of 20000000 are in the profile"
# The report disassembles the hottest code.
[ "$(grep -c '^  *[0-9]*\. *[0-9.]* %  [0-9a-f]*  [136][246]-bit' report)" = 20 ] || fail "no twenty hottest blocks: $(cat report)"
grep -q '^ *[0-9a-f]*  [a-z]* ' report || fail "no disassembly: $(cat report)"

status=0
timeout 60 "$tick86" -display none -stop-at insns=1000 --profile=/nonexistent/p 2>errors || status=$?
[ "$status" = 1 ] || fail "an unwritable profile gives status $status"
grep -q "^tick86: cannot write profile '/nonexistent/p': " errors || fail "no error: $(cat errors)"
