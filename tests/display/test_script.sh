#!/bin/bash
# test_script.sh TICK86 BUILD SOURCE - --script: every way to wait and every way to fail, against a boot sector that talks; equal scripts
# make equal runs; mistakes are found before the guest starts.
set -euo pipefail
tick86=$(realpath "$1")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
cd "$scratch"
nasm -f bin -o dialog.img "$source_dir/tests/display/dialog.asm"
truncate -s 1440K dialog.img

# script STATUS OPTION...: runs the script on standard input; output in out and errors.
script() {
    local wanted=$1 status=0
    shift
    cat >script
    timeout 120 "$tick86" -fda dialog.img -boot a -display none -device isa-debug-exit -time virtual,ratio=8 --script script "$@" \
        >out 2>errors </dev/null || status=$?
    if [ $status != "$wanted" ]; then
        fail "status $status, not $wanted, of"
        cat script out errors
    fi
}

# Everything that can be waited for. The serial port's text is without the sequences that make it bold.
for run in 1 2; do
    script 0 -print-hash <<'END'
timeout 20s
wait-text "What is your name? "
wait-still 500ms        # the cursor blinks, which does not count
screendump asked.png
screendump asked.ppm
screentext asked.txt
type "Ada Lovelace\n"
wait-serial "Hello, Ada Lovelace!"
wait-serial "What is your name? "
wait-screen asked.png 100%
key shift-b
key o 50ms
key-down b
key-up b
key ret
wait-match "Hello, B[a-z]+!"
wait-vga "mBob!"
monitor "info status"
print "all seen"
type "reset\n"
wait-reset
wait-text "What is your name? " 30s
END
    [ ! -e out.first ] || cmp out out.first || fail "equal scripts, different runs"
    mv out out.first
done
wants print '^all seen' out.first
wants monitor '^VM status: running' out.first
wants screentext '^What is your name\?' asked.txt
hash=$(sha256sum <asked.ppm | cut -c 1-20)

# By hash, by an exact picture, and what comes of other ones.
script 0 <<END
wait-screen $hash 20s
wait-screen asked.png 2s
END
script 1 <<END
wait-screen 0123456789abcdef 2s
END
wants "wrong hash" "line 1: wait-screen 0123456789abcdef 2s: did not come within 2 s \(at 2\.000 s" errors
wants "the scene" '^---- screen, 720x400, SHA-256 ' errors
wants "the scene's text" '^What is your name\?' errors

# The end: awaited, with the guest's own status, or a surprise.
script 11 <<'END'
wait-text "name?"
type "off\n"
wait-end
END
script 1 <<'END'
wait-text "name?"
type "off\n"
wait-text "nothing more" 10s
END
wants surprise 'line 3: wait-text "nothing more" 10s: the script is not through, but the guest wrote to isa-debug-exit' errors
script 1 <<'END'
fail-on "Kernel panic"
wait-text "name?"
type "panic\n"
wait-text "Hello"
END
wants fail-on 'line 3: .*"Kernel panic" appeared' errors
script 7 <<'END'
exit 7
END
script 1 -stop-at time=0.5 <<'END'
wait-text "not there"
END
wants stop-at 'the limit of -stop-at is reached' errors

# Mistakes, found at once: the guest has not run.
while IFS='|' read -r pattern line; do
    printf '# first\n%s\n' "$line" | script 1
    [ "$(wc -l <errors)" = 1 ] || fail "more than one line for '$line'"
    wants "$line" "^tick86: script 'script', line 2: .*$pattern" errors
done <<'END'
usage: wait-text|wait-text
no command 'nonsense'|nonsense 1
no key named 'foo'|key ctrl-foo
the text in quotes is wrong|wait-text "abc
the text in quotes is wrong|type "\q"
usage: sleep TIME|sleep soon
usage: timeout TIME|timeout
No such file|wait-screen absent.png
expression|wait-match "("
exit status is 0 to 255|exit 300
whole number|mouse 1 b
left, right or middle|click both
that is not a time|wait-still long
too many words|print a b c d e f
something follows|type "a"b
an empty text|type ""
END
exit $failed
