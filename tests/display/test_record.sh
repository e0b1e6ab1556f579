#!/bin/bash
# test_record.sh TICK86 BUILD SOURCE - -audio wav: pitch and length of a tune on the PC speaker to half a per cent, the same bytes from equal
# runs, nothing of it known to the guest; -record-video as PNG files and as a film; what is wrong with either.
set -euo pipefail
tick86=$(realpath "$1")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
here=$source_dir/tests/display
cd "$scratch"
nasm -f bin -i "$here/" -o speaker.img "$here/speaker.asm"
truncate -s 1440K speaker.img
printf 'wait-serial "ready" 30s\nsleep 200ms\n' >script

play() {
    timeout 200 "$tick86" -fda speaker.img -boot a -display none -time virtual,ratio=8 --script script -print-hash "$@"
}
play >hash.silent
play -audio wav:one.wav >hash.one
play -audio wav:two.wav -record-video frames/ >hash.two
cmp hash.silent hash.one && cmp hash.silent hash.two || fail "sound or video change the guest"
cmp one.wav two.wav || fail "equal runs sound different"

# tone NUMBER LENGTH-MS PITCH: the tune's n-th tone, to 0.5 %.
perl "$here/wav.pl" one.wav >tones
tone() {
    awk -v n="$1" -v length_ms="$2" -v pitch="$3" '
        $1 == "tone" && ++count == n { found = 1
            if ($3 < length_ms * 0.995 || $3 > length_ms * 1.005 || $4 < pitch * 0.995 || $4 > pitch * 1.005) bad = 1 }
        END { exit bad || !found }' tones || fail "tone $1 is not $2 ms of $3 Hz: $(cat tones)"
}
[ "$(grep -c '^tone' tones)" = 3 ] || fail "not three tones: $(cat tones)"
tone 1 1000 440.1 # 1193182 / 2711
tone 2 500 880.6  # 1193182 / 1355
tone 3 999.6 1004.4
awk '$1 == "tone" { if (last && ($2 - last < 248 || $2 - last > 252)) bad = 1; last = $2 + $3 } END { exit bad }' tones ||
    fail "the silence between tones: $(cat tones)"

# Frames: the first at 0, each another picture than the one before, and what the screen showed at the end.
[ -s frames/frame-000000.png ] || fail "no first frame: $(ls frames)"
last=
for frame in frames/*.png; do
    [ -z "$last" ] || ! cmp -s "$last" "$frame" || fail "$frame is $last once more"
    last=$frame
done

# A film, where ffmpeg is.
if command -v ffprobe >/dev/null; then
    play -record-video film.mkv >hash.film
    cmp hash.silent hash.film || fail "the film changes the guest"
    seconds=$(ffprobe -v error -show_entries format=duration -of csv=p=0 film.mkv)
    awk -v film="$seconds" -v guest="$(sed -n 's/^length //p' tones)" 'BEGIN { exit !(film > guest - 0.1 && film < guest + 0.1) }' ||
        fail "the film lasts $seconds s"
    [ "$(ffprobe -v error -show_entries stream=width,height -of csv=p=0 film.mkv)" = 1024,768 ] || fail "the film's size"
fi

# Mistakes.
bad() {
    local pattern=$1 status=0
    shift
    timeout 60 "$tick86" -display none -stop-at time=0.1 "$@" </dev/null >out 2>errors || status=$?
    [ $status = 1 ] && [ "$(grep -c '^tick86: ' errors)" -ge 1 ] || fail "$*: status $status"
    wants "$*" "^tick86: .*$pattern" errors
}
bad "No such file" -audio wav:absent/sound.wav
bad "use -audio sdl" -audio alsa
bad "No such file" -record-video absent/film.mkv
bad "ffmpeg" -record-video film.unknown-container # ffmpeg refuses, or is not there
status=0
timeout 60 env PATH=/nowhere "$tick86" -display none -stop-at time=0.1 -record-video film.mp4 </dev/null 2>errors || status=$?
[ $status = 1 ] || fail "without ffmpeg: status $status"
wants "without ffmpeg" "^tick86: .*install ffmpeg" errors
exit $failed
