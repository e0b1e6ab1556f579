#!/bin/bash
# test_fuzz.sh - hostile images of every format. A short run by default, meant for a build with -DSANITIZE=ON:
#
#   DISKS_FUZZ_SECONDS=60 bash tests/disks/test_fuzz.sh build-sanitize/tick86 build-sanitize .     60 s for each format
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
seconds=${DISKS_FUZZ_SECONDS:-1}
seed=${DISKS_FUZZ_SEED:-1}
corpus=$root/tests/disks/corpus

# Seeds: a little data, a snapshot, compressed clusters, each option once.
truncate -s 2M model
"$img" create -q -f raw first 2M
"$stress" run first model 5 60 || fail "the model"
seeds() { # FORMAT: fills ./seeds
    local n=0 option
    rm -rf seeds handmade
    mkdir seeds handmade
    case $1 in
    qcow2)
        for option in cluster_size=512 cluster_size=4K,compat=0.10 cluster_size=4K,refcount_bits=1 \
            cluster_size=4K,compression_type=zstd cluster_size=64K; do
            "$img" convert -O qcow2 -o $option model seeds/$((++n))
            "$img" convert -c -O qcow2 -o $option model seeds/$((++n))
        done
        "$img" snapshot -c one seeds/1
        "$img" snapshot -c one seeds/9
        ;;
    vdi)
        "$img" convert -O vdi model seeds/1 && "$img" create -q -f vdi -o static seeds/2 2M
        python3 "$source_dir/tests/disks/handmade.py" make vdi handmade 1 && cp handmade/layer1.vdi seeds/3 && cp handmade/layer0.vdi .
        ;;
    vhd)
        "$img" convert -O vhd model seeds/1 && "$img" convert -O vhd -o subformat=fixed model seeds/2
        python3 "$source_dir/tests/disks/handmade.py" make vhd handmade 1 && cp handmade/layer1.vhd seeds/3 && cp handmade/layer0.vhd .
        ;;
    vhdx)
        "$img" convert -O vhdx -o block_size=1M model seeds/1
        python3 "$source_dir/tests/disks/handmade.py" make vhdx handmade 1 && cp handmade/layer1.vhdx seeds/2 && cp handmade/layer0.vhdx .
        python3 "$source_dir/tests/disks/handmade.py" make vhdx_log handmade 1 && cp handmade/log.vhdx seeds/3
        ;;
    vmdk)
        "$img" convert -O vmdk model seeds/1
        qemu-img convert -O vmdk -o subformat=streamOptimized model seeds/2
        printf '# Disk DescriptorFile\nCID=12345678\nparentCID=ffffffff\ncreateType="x"\nRW 2048 FLAT "case" 0\nRW 512 ZERO\nRW 1536 FLAT "case" 0\n' >seeds/3
        ;;
    ova)
        qemu-img convert -O vmdk -o subformat=streamOptimized model d.vmdk
        printf '<?xml version="1.0"?><Envelope><References><File ovf:id="f" ovf:href="d.vmdk"/></References><DiskSection><Disk ovf:diskId="d" ovf:fileRef="f"/></DiskSection><VirtualSystem ovf:id="v"><Item><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item></VirtualSystem></Envelope>' >d.ovf
        tar --format=ustar -cf seeds/1 d.ovf d.vmdk && cp d.ovf seeds/2
        ;;
    esac
    [ ! -d "$corpus/$1" ] || cp "$corpus/$1"/* seeds/
}
for format in ${DISKS_FUZZ_FORMATS:-qcow2 vdi vhd vhdx vmdk ova}; do
    "$img" --help | grep -q "Formats.* $format\b" || continue
    seeds $format
    [ ! -d "$corpus/$format" ] || for input in "$corpus/$format"/*; do
        cp "$input" case && timeout 60 "$build/blockfuzz" seeds . 1 0 case || fail "$input"
    done
    # A hang ends with the stack of where it hangs.
    ASAN_OPTIONS=handle_abort=1 timeout -s ABRT $((seconds + 60)) "$build/blockfuzz" seeds . "$seed" "$seconds" >fuzz.log 2>&1 || {
        head -c 6000 fuzz.log >&2
        cp case "/tmp/tick86-fuzz-$format-$seed"
        fail "$format: the input is /tmp/tick86-fuzz-$format-$seed"
    }
    echo "$format: $(cat fuzz.log)"
done
