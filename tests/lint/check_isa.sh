#!/bin/bash
# check_isa.sh TICK86 ISA_KEYS DIRECTORY CASES [--update] - every row of the instruction table is executed by some test.
#
# DIRECTORY holds what the tests wrote (tests/support/isa_cases.h), files SUITE.TEST. CASES is machine/isa_cases.def, from which
# `tick86 --isa` prints; with --update it is written anew. Its numbers may be older than the tests, but a row that it does
# not know, or knows without a case, fails.
set -euo pipefail
tick86=$1 isa_keys=$2 directory=$3 cases=$4
keys=$(mktemp)
trap 'rm -f "$keys"' EXIT
"$isa_keys" >"$keys"
ls "$directory"/*.* >/dev/null 2>&1 || {
    echo "check_isa: no counts in $directory; run ctest -R isa_coverage"
    exit 1
}

# Lines of CASES for all rows, in the table's order.
count() {
    awk -F '\t' -v keys="$keys" '
        BEGIN {
            split("system insn recorded native", suites, " ")
            while ((getline key < keys) > 0) {
                order[++rows] = key
            }
        }
        {
            suite = FILENAME
            sub(/.*\//, "", suite)
            sub(/\..*/, "", suite)
            cases[$1, suite] += $2
        }
        END {
            for (row = 1; row <= rows; row++) {
                line = ""
                for (k = 1; k <= 4; k++) {
                    line = line sprintf(", %d", cases[order[row], suites[k]])
                }
                printf "CASES(\"%s\"%s)\n", order[row], line
            }
        }' "$directory"/*.*
}

if [ "${5:-}" = --update ]; then
    {
        echo "/* isa_cases.def - how many test cases execute each row of the instruction table: key (cpu/isa.h), firmware, unit tests,"
        echo " * recorded vectors, beside the host's processor. Written by tests/lint/check_isa.sh --update. */"
        count
    } >"$cases.new"
    mv "$cases.new" "$cases"
    exit 0
fi
untested=$(count | grep -c ', 0, 0, 0, 0)$' || true)
if [ "$untested" != 0 ]; then
    count | grep ', 0, 0, 0, 0)$'
    echo "check_isa: $untested rows are executed by no test"
    exit 1
fi
missing=$(grep -vxFf <(sed -n 's/^CASES("\([^"]*\)".*/\1/p' "$cases" | sort) "$keys" || true)
if [ -n "$missing" ] || grep -q ', 0, 0, 0, 0)$' "$cases"; then
    echo "$missing"
    echo "check_isa: $cases has no number for these rows, or a 0; run: $0 $tick86 $isa_keys $directory $cases --update"
    exit 1
fi
"$tick86" --isa | tail -n 1
