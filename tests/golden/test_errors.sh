#!/bin/bash
# test_errors.sh TICK86 BUILD SOURCE - what a user can get wrong: each gives one clear line on stderr, nothing on stdout, status 1. Every option
# of the table that takes a value is also given a bad one.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
cd "$scratch"

# bad PATTERN ARGUMENT...: must fail within seconds with one line that starts "tick86: " and matches the extended PATTERN.
tested=' '
bad() {
    local pattern=$1 status=0 argument
    shift
    timeout 60 "$tick86" -display none -stop-at time=0.1 "$@" </dev/null >out 2>errors || status=$?
    if [ $status != 1 ] || [ -s out ] || [ "$(wc -l <errors)" != 1 ] || ! grep -qE "^tick86: .*($pattern)" errors; then
        fail "'$*' gave status $status, not 1 with a line of '$pattern':"
        cat out errors
    fi
    for argument in "$@"; do
        case $argument in -*) tested+="${argument%%=*} " ;; esac
    done
}

mkdir directory
: >empty
truncate -s 1M zeros
truncate -s 1M disk.img
printf 'text\n' >text
mkfifo pipe
ln -s nowhere dangling
printf 'QFI\373\0\0\0\3' >broken.qcow2
truncate -s 64K broken.qcow2
nasm -f bin -DELF -o kernel.elf "$source_dir/tests/golden/multiboot.asm"
head -c 100 kernel.elf >truncated.elf
nouser=()
if [ "$(id -u)" = 0 ]; then
    nouser=(no) # root may read everything
else
    cp zeros unreadable
    chmod 0 unreadable
fi

for value in sdl,zoom=9 sdl,scaling=soft sdl,color=1 sdl,aspect=2 vnc=host vnc=:x; do
    status=0
    "$tick86" -display $value </dev/null >out 2>errors || status=$?
    [ $status = 1 ] && [ "$(wc -l <errors)" = 1 ] || fail "-display $value: status $status"
done
bad "use -audio sdl" -audio alsa
bad "No such file" -record-video absent/film.mkv
bad "1 to 8 characters" -vnc :0,password=
bad "use vnc=HOST:N" -vnc nowhere
bad "cannot read script 'absent'" --script=absent

# Images: every way to name one, every way to be wrong.
for option in -hda -hdb -hdc -hdd -cdrom; do
    bad "'absent'.*No such file" $option absent
    bad "'directory'.*directory" $option directory
    bad "'empty'.*empty" $option empty
    bad "'dangling'.*No such file" $option dangling
    bad "'pipe'.*pipe" $option pipe
    bad "'text/x'.*[Nn]ot a directory" $option text/x
    [ ${#nouser[@]} != 0 ] || bad "'unreadable'.*Permission denied" $option unreadable
    bad "needs a value" $option
done
bad "'absent'" -drive file=absent
bad "names no file" -drive format=raw
bad "no setting" -drive file=disk.img,color=red
bad "format" -drive file=disk.img,format=tape
bad "media" -drive file=disk.img,media=tape
bad "index" -drive file=disk.img,index=4
bad "index" -drive file=disk.img,index=one
bad "not on or off" -drive file=disk.img,readonly=maybe
bad "not on or off" -drive file=disk.img,snapshot=2
bad "two images" -hda disk.img -hda zeros
bad "two images" -cdrom disk.img -hdc zeros
for file in absent directory empty dangling pipe; do
    bad "'$file'" $file
done
bad "no drive is left" disk.img zeros disk.img zeros disk.img
bad "another program|in use|twice" -hda disk.img -hdb disk.img
gzip -k text
bad "compressed file" text.gz
truncate -s 1440K floppy
for option in -fda -fdb; do
    bad "disk image 'absent'.*No such file" $option absent
    bad "directory" $option directory
    bad "needs a value" $option
done

# Kernels.
bad "kernel 'absent'.*No such file" -kernel absent
bad "kernel 'directory'.*not a file" -kernel directory
bad "kernel 'empty'.*empty" -kernel empty
bad "kernel 'pipe'.*not a file" -kernel pipe
bad "text" -kernel text
bad "zeros" -kernel zeros
bad "truncated" -kernel truncated.elf
bad "initrd without -kernel" -initrd text
bad "append without -kernel" -append quiet
bad "initrd 'absent'.*No such file" -kernel kernel.elf -initrd absent
bad "initrd 'absent'.*No such file" -kernel kernel.elf -initrd text,absent
bad "initrd 'empty'.*empty" -kernel kernel.elf -initrd empty
bad "initrd 'directory'.*not a file" -kernel kernel.elf -initrd directory
bad "needs a value" -append
truncate -s 64M large
bad "RAM|memory" -kernel kernel.elf -initrd large -m 16
if [ -r $installer/linux ]; then
    head -c 300 $installer/linux >truncated.bz
    head -c 20000 $installer/linux >truncated2.bz
    bad "truncated.bz" -kernel truncated.bz
    bad "truncated2.bz" -kernel truncated2.bz
    bad "RAM|memory" -kernel $installer/linux -initrd large -m 64
    bad "two kernels" $installer/linux kernel.elf
    bad "RAM|memory" -kernel $installer/linux -m 1
fi

# Firmware.
bad "'absent'" -bios absent
bad "'./absent'" -bios ./absent
bad "empty" -bios ./empty
bad "multiple|64 KiB|size" -bios ./text
bad "not a file" -bios ./directory
bad "'absent'" -L directory -bios absent
bad "more than" -L a -L b -L c -L d -L e -L f -L g -L h -L i -L j -L k -L l -L m -L n -L o -L p -L q

# Numbers and choices.
for value in 0 -1 x 1Q 100T 512.5M 512K 1025K "" 99999999999999999999; do
    bad "does not take" -m "$value"
done
bad "there is no model" -cpu z80
bad "is implemented" -cpu max,+sse5
bad "needs a sign" -cpu max,sse
bad "takes on or off" -cpu max,sse=maybe
bad "needs" -cpu pentium2,+sse2
bad "32-bit model" -cpu pentium3,+lm
bad "order" -boot q
bad "no setting" -boot color=red
bad "not on or off" -boot menu=perhaps
bad "does not take" -serial telnet
bad "does not take" -serial file:
bad "more than 2" -serial null -serial null -serial null
bad "cannot write.*Is a directory" -serial file:directory
bad "cannot write.*No such file" -serial file:no/where
bad "unix|connect" -serial unix:absent
bad "no port" -serial tcp:localhost
bad "cannot (find|connect)" -serial tcp:127.0.0.1:1
bad "setting" -serial unix:sock,sevrer
bad "serial-rate" -serial-rate 9600
bad "seed" -seed banana
bad "cannot open snapshot" -loadvm absent.t86
bad "no snapshot of tick86" -loadvm text
bad "cannot open recording" -replay absent
bad "no recording of tick86" -replay text
bad "no recording of tick86" -replay empty
bad "cannot write recording" -record no/where
bad "no setting 'first=3'" -record r,first=3
bad "last=soon" -record r,last=soon
bad "does not take 'every=never'" -checkpoint c.t86,every=never
bad "no snapshot of tick86" -checkpoint text
bad "memory for checkpoints" -checkpoints mem=few
bad "memory for checkpoints" -checkpoints 0
bad "does not take" -parallel lpt
bad "does not take" -monitor file:log
bad "does not take" -monitor telephone
bad "does not take" -gdb telephone
bad "cannot read symbols" -symbols absent
bad "not an address" -symbols absent@home
bad "cannot load plugin" -plugin absent.so
bad "-trace does not take" -d exec -trace colour=red
bad "cannot read trace" --trace-print absent
bad "needs two traces" --trace-diff absent
bad "no port" -gdb tcp:localhost
bad "cannot (find|offer)" -gdb tcp:256.256.256.256:1
bad "cannot offer" -gdb unix:no/where
bad "wanted by 2" -gdb stdio -serial stdio
bad "cannot connect" -monitor unix:absent
bad "does not take" -debugcon mon:stdio
bad "cannot write" -debugcon file:no/where
bad "wanted by 2" -serial stdio -monitor stdio
bad "iobase" -global VGA.vgamem_mb=16
bad "does not take" -vga cirrus
bad "isa-debug-exit" -device e1000e-x
bad "no setting" -device isa-debug-exit,color=red
bad "iobase|no setting" -device isa-debug-exit,iobase=0x10000
bad "does not take" -rtc base=yesterday
bad "no setting" -rtc color=red
bad "clock" -rtc clock=host
bad "wall or -time virtual" -time lunch
bad "ratio" -time virtual,ratio=0
bad "ratio" -time virtual,ratio=fast
bad "log|level" -d cpu=loud
bad "channel" -d nonsense
bad "cannot write log" -D no/where
bad "cannot write log" -D directory
bad "cannot write pidfile" -pidfile no/where
bad "slow" --self-check=fast
bad "insns=N" -stop-at lunch
bad "insns=N" -stop-at insns=-1
bad "insns=N" -stop-at time=x
for option in -snapshot -nographic -S -no-reboot -no-shutdown -print-hash; do
    bad "takes no value" -$option=yes
done
bad "unknown option '-frobnicate'" -frobnicate
bad "did you mean -serial" -serail null
bad "such as -smp 4" -smp 33
bad "such as -smp 4" -smp none
bad "sockets \* cores" -smp 4,cores=3
bad "no setting" -smp dies=2
bad "seed=N" -sched fast
bad "seed=N" -sched seed=
bad "not implemented" -enable-kvm
bad "not implemented" -machine q35

# Networks.
bad "no such network" -nic tap
bad "no setting 'color'" -nic user,color=red
bad "no network card 'ne3000'" -nic user,model=ne3000
bad "address is six bytes" -nic user,mac=52:54:00
bad "address is six bytes" -nic user,mac=01:00:00:00:00:01
bad "hostfwd .* cannot be understood" -nic user,hostfwd=22
bad "guestfwd .* cannot be understood" -nic user,guestfwd=tcp:10.0.2.100:80
bad "free address" -nic user,guestfwd=tcp:10.0.2.2:80-cmd:cat
bad "net=" -nic user,net=ten
bad "within net" -nic user,dns=192.0.2.1
bad "not on or off" -nic user,restrict=perhaps
bad "tftp=" -nic user,tftp=absent
bad "leaves nothing" -nic user,ipv4=off,ipv6=off
bad "cannot write capture" -nic none -nic user,capture=no/where
bad "has no id" -netdev user
bad "two networks" -netdev user,id=a -netdev user,id=a
bad "has no address" -nic stream
bad "port is missing" -nic stream,addr.type=inet,addr.host=127.0.0.1
bad "not implemented" -nic stream,addr.type=vsock,addr.port=1
bad "cannot connect" -nic stream,addr.type=unix,addr.path=absent
bad "no local address" -nic dgram
bad "needs one of" -nic socket
bad "HOST:PORT" -nic socket,listen=here
bad "no network 'net0'" -device e1000,netdev=net0
bad "PCI slot" -device e1000,addr=40
bad "iobase" -device ne2k_isa,iobase=0x301
bad "irq" -device ne2k_isa,irq=8
bad "no setting" -device e1000,color=red
bad "two network cards" -netdev user,id=a -device e1000,netdev=a -device e1000,netdev=a
bad "more than 8" -nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user
bad "cannot (open|read|find).*absent" -nic user,romfile=absent
bad "not implemented" -net user
bad "filter-dump" -object rng-random
bad "no network 'x'" -object filter-dump,netdev=x,file=f

# A port that somebody has.
port=$((20000 + $$ % 20000))
"$tick86" -S -display none -monitor "tcp:127.0.0.1:$port,server,nowait" </dev/null 2>/dev/null &
background+=($!)
for ((n = 0; n < 100; n++)); do
    ! { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || break
    sleep 0.1
done
bad "Address already in use" -serial "tcp:127.0.0.1:$port,server,nowait"
bad "Address already in use" -nic "user,hostfwd=tcp:127.0.0.1:$port-:22"
bad "Address already in use" -nic "stream,server=on,addr.host=127.0.0.1,addr.port=$port"
bad "Address already in use" -monitor "tcp:127.0.0.1:$port,server"

# Nothing in the table was forgotten: all options with values but those for which every text is good.
while read -r option; do
    case $option in
    -name | -display) continue ;; # any text; given above each time
    esac
    case $tested in
    *" $option "*) ;;
    *) fail "option $option is not tried with a bad value" ;;
    esac
done < <("$tick86" --help | sed -n 's/^  \(--*[a-zA-Z-]*\)[ =].*/\1/p' | sort -u)
status=0
"$tick86" -display window >out 2>errors || status=$?
[ $status = 1 ] && [ "$(wc -l <errors)" = 1 ] && grep -q curses errors || fail "-display window: status $status"
exit $failed
