#!/bin/bash
# check_tailcalls.sh LIBTICK86 [OBJDUMP] - proves on the object code that instruction handlers (functions named h_*) hand
# over to the next one by a jump: none contains an indirect call, which is what dispatch through a call would be, and none
# calls another handler. (Handlers that always leave the interpreter end in a return.) Knows the instructions of x86,
# aarch64, arm, riscv64, ppc64el and s390x; elsewhere it says so and passes.
set -euo pipefail
library=$1
objdump=${2:-objdump}

# What calls a register, what calls a symbol, and what jumps to a register (a handler's end).
case $("$objdump" -f "$library" 2>/dev/null | sed -n 's/^architecture: \([^,]*\),.*/\1/p' | head -1) in
i386*) indirect='\tcall[lq]? +\*' direct='\tcall[lq]? ' jump='\t(notrack )?jmp[lq]? +\*' ;;
aarch64*) indirect='\tblr\t' direct='\tbl\t' jump='\tbr\t' ;;
arm*) indirect='\tblx\t[risf]' direct='\tblx?\t' jump='\tbx\tr[0-9i]|\tldr\tpc|\tmov\tpc|\tbx\tip' ;;
riscv*) indirect='\tc?[.]?jalr\t' direct='\tjal\t|\tauipc\tra' jump='\tc?[.]?jr\t' ;;
powerpc*) indirect='\tb[a-z+-]*ctrl' direct='\tbl\t' jump='\tbctr$' ;;
s390*) indirect='\tbasr\t' direct='\tbrasl\t' jump='\tbr\t%r[1-5]' ;;
*)
    echo "check_tailcalls: skipped, this object code is not understood"
    exit 0
    ;;
esac

"$objdump" -dr --no-show-raw-insn "$library" | INDIRECT=$indirect DIRECT=$direct JUMP=$jump awk '
    BEGIN { indirect = ENVIRON["INDIRECT"]; direct = ENVIRON["DIRECT"]; jump = ENVIRON["JUMP"] }
    /file format/ { file = $1 }
    /^[0-9a-f]+ <.*>:$/ {
        name = $2; gsub(/[<>:]/, "", name)
        handler = name ~ /^h_/ && name !~ /\.(cold|part)/
        called = 0
        handlers += handler
        next
    }
    !handler { next }
    # The symbol of a call into another object stands on the line after it.
    called && /R_[A-Z0-9_]+/ { if ($3 ~ /^h_/) { bad[name] = file ": calls " $3 } }
    { called = 0 }
    $0 ~ indirect { bad[name] = file ": indirect call" }
    $0 ~ direct { called = 1; if ($NF ~ /^<h_[A-Za-z0-9_.]*>$/) { bad[name] = file ": calls " $NF } }
    $0 ~ jump { jumping += !(name in seen); seen[name] = 1 }
    END {
        for (name in bad) { failed++; if (failed <= 20) { print "check_tailcalls: " name ": " bad[name] } }
        if (failed > 20) { print "check_tailcalls: and " failed - 20 " more" }
        printf "check_tailcalls: %d handlers looked at, %d end in an indirect jump\n", handlers, jumping
        if (jumping * 2 < handlers) { print "check_tailcalls: fewer than half of them"; failed = 1 }
        exit failed > 0
    }'
