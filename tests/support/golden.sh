# golden.sh - for tests/golden/*.sh: a scratch directory, loud skips, monitor scripts and what they print.
# shellcheck shell=bash
# The caller has set tick86 (the program) and source_dir. Defines scratch (removed at the end) and failed.

scratch=$(mktemp -d)
failed=0
background=()
golden_end() {
    local pid
    for pid in "${background[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap golden_end EXIT

skip() {
    echo "SKIPPED: $*"
    exit 77
}

fail() {
    echo "FAILED: $*"
    failed=1
}

# wants NAME PATTERN FILE: the file has a line that matches.
wants() {
    if ! grep -qaE -e "$2" "$3"; then
        fail "$1: no line matches '$2' in:"
        tail -n 60 "$3"
    fi
}

# The Debian installer's kernel and initrd, which many tests boot.
installer=/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
need_installer() {
    [ -r $installer/linux ] || skip "package debian-installer-12-netboot-i386 is not installed"
}

# run_script OUT OPTION...: starts tick86 stopped, with the monitor script on standard input; output to OUT.
run_script() {
    local out=$1 status=0
    shift
    "$tick86" -S -display none -monitor stdio -time virtual "$@" >"$out" 2>"$out.errors" || status=$?
    if [ $status != 0 ]; then
        fail "tick86 $*: status $status"
        cat "$out.errors"
        tail -n 40 "$out"
    fi
    if grep -a 'Error: ' "$out"; then
        fail "the monitor script met an error; its output ends:"
        tail -n 40 "$out"
    fi
    return 0
}

# same_screen NAME FILE: a text screen written by screentext is the expected one, tests/golden/expected/NAME.txt. With
# GOLDEN_ACTUAL=DIRECTORY the files are also kept there, to be looked at and made the expected ones.
same_screen() {
    keep "$2" "$1.txt"
    if ! diff -u "$source_dir/tests/golden/expected/$1.txt" "$2"; then
        fail "the screen is not the expected $1"
    fi
}

# same_picture NAME FILE.ppm: so is a picture, by the SHA-256 in tests/golden/expected/pictures.sha256.
same_picture() {
    local sum expected
    sum=$(sha256sum <"$2" | cut -d ' ' -f 1)
    expected=$(awk -v name="$1" '$2 == name { print $1 }' "$source_dir/tests/golden/expected/pictures.sha256")
    keep "$2" "$1.ppm"
    [ "$sum" = "$expected" ] || fail "the picture $1 has SHA-256 $sum, not '$expected'"
}

keep() {
    [ -z "${GOLDEN_ACTUAL:-}" ] || cp "$1" "$GOLDEN_ACTUAL/$2"
}
