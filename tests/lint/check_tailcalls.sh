#!/bin/bash
# check_tailcalls.sh LIBTICK86 - proves on the object code that instruction handlers (functions named h_*) hand over to the
# next one by a jump: none contains an indirect call, which is what dispatch through a call would be. (Handlers that
# always leave the interpreter end in a return.) x86-64 hosts only; elsewhere it says so and passes.
set -euo pipefail
library=$1

case $(objdump -f "$library" 2>/dev/null | sed -n 's/^architecture: \([^,]*\),.*/\1/p' | head -1) in
i386:x86-64) ;;
*)
    echo "check_tailcalls: skipped, only x86-64 object code is understood"
    exit 0
    ;;
esac

objdump -d --no-show-raw-insn "$library" | awk '
    /file format/ { file = $1 }
    /^[0-9a-f]+ <.*>:$/ {
        name = $2; gsub(/[<>:]/, "", name)
        handler = name ~ /^h_/ && name !~ /\.(cold|part)/
        if (handler) { handlers++; jumps[name] = 0; indirect[name] = 0 }
        next
    }
    handler && /\tcall[q]? +\*/ { bad[name] = file ": indirect call" }
    handler && /\tjmp[q]? +\*/ { indirect[name] = 1 }
    handler && /\tjmp/ { jumps[name]++ }
    END {
        for (name in bad) { print "check_tailcalls: " name ": " bad[name]; failed = 1 }
        printf "check_tailcalls: %d handlers looked at\n", handlers
        exit failed
    }'
