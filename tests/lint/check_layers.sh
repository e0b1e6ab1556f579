#!/bin/bash
# check_layers.sh SOURCE LIBTICK86 - includes run one way, and below frontends/ there is no operating system, no host
# time, no randomness, no writable file-scope variable, and no float or double outside cpu/.
set -euo pipefail
source_dir=$1
library=$2
failed=0

complain() {
    echo "check_layers: $1"
    echo "$2" | sed 's/^/    /'
    failed=1
}

# includes LAYER ALLOWED...: quoted includes of LAYER's files must start with one of the allowed folders.
includes() {
    local layer=$1 allowed bad
    shift
    allowed=$(IFS='|'; echo "$*")
    bad=$(cd "$source_dir" && grep -rnE '^#[[:space:]]*include[[:space:]]+"' --include='*.[ch]' --include='*.def' "$layer" |
        grep -vE "include[[:space:]]+\"($allowed)/" || true)
    [ -z "$bad" ] || complain "$layer/ may include only from: $*" "$bad"
}
includes mem mem
includes cpu cpu mem
includes devices devices mem
includes machine machine devices cpu mem

# Frontends see the machine through tick86.h and tick86_*.h alone (and what it includes itself).
bad=$(cd "$source_dir" && grep -rnE '^#[[:space:]]*include[[:space:]]+"' --include='*.[ch]' frontends |
    grep -vE '"(frontends/[^"]*|machine/tick86[a-z0-9_]*\.h|mem/[a-z]+\.h|devices/backend\.h|devices/keys\.h|devices/cp437\.h)"' || true)
[ -z "$bad" ] || complain "frontends/ may include from the core only machine/tick86*.h" "$bad"

# C17's own headers that do not touch the outside world.
standard='assert|ctype|float|inttypes|limits|stdalign|stdarg|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string'
bad=$(cd "$source_dir" && grep -rnE '^#[[:space:]]*include[[:space:]]+<' --include='*.[ch]' mem cpu devices machine |
    grep -vE "<($standard)\.h>" || true)
[ -z "$bad" ] || complain "no operating system headers below frontends/" "$bad"

symbols=$(nm --undefined-only "$library" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u |
    grep -xE '(time|clock|clock_gettime|gettimeofday|getenv|rand|random|srand|fopen|open|read|write|close|printf|puts|fprintf|exit|pthread_.*|signal|sleep|usleep|nanosleep)' || true)
# error.c's bug() says what failed and aborts: the one place that may speak.
[ -z "$(echo "$symbols" | grep -vxE 'fprintf|' || true)" ] || complain "host functions below frontends/" "$symbols"

# Writable file-scope variables: data and bss symbols. Constants with pointers are .data.rel.ro, also 'd' to nm; objdump
# tells the section.
writable=$(objdump -t "$library" 2>/dev/null |
    awk '/file format/ { file = $1 } $0 ~ / O / && ($0 ~ /[ \t]\.data(\.[^r ]*)?[ \t]/ || $0 ~ /[ \t]\.data[ \t]/ || $0 ~ /[ \t]\.bss/ || $0 ~ /\*COM\*/) && $0 !~ /\.data\.rel\.ro/ { print file, $NF }' |
    grep -vE '__asan|__odr_asan|\.LC|__sancov|__compound_literal|__llvm|Lubsan' || true)
case $(nm "$library" 2>/dev/null | grep -c __asan) in
0) [ -z "$writable" ] || complain "writable file-scope variables below frontends/" "$writable" ;;
esac

bad=$(cd "$source_dir" && grep -rnwE 'float|double' --include='*.[ch]' mem devices machine |
    grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)|/\*.*(float|double)|".*(float|double).*"|\* .*(float|double)' || true)
[ -z "$bad" ] || complain "no float or double outside cpu/" "$bad"

exit $failed
