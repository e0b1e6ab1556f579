# guest.sh - builds what golden tests boot: Debian's netboot kernel, busybox and an init script as an initramfs, and CDs with them.
# shellcheck shell=bash
# Sourced after golden.sh. Downloads stay in $build_dir/guests, which the caller's build_dir names.

guests=$build_dir/guests

# guest_package ARCH NAME: prints the path of a Debian package for another architecture, downloaded from the archive that this host
# uses. The package lists are our own: dpkg and apt of the host stay as they are.
guest_package() {
    local arch=$1 name=$2 file
    local options=(-qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::lists="$guests/lists-$arch"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Cache::archives="$guests/archives"
        -o APT::Sandbox::User=root -o Acquire::Languages=none)
    mkdir -p "$guests/lists-$arch/partial" "$guests/archives/partial"
    (
        cd "$guests" || exit 1
        exec 8>lock
        flock 8
        file=$(find . -maxdepth 1 -name "${name}_*_$arch.deb" -o -maxdepth 1 -name "${name}_*_all.deb" | head -n 1)
        if [ -z "$file" ]; then
            apt-get "${options[@]}" update >&2 || true # the download tells what matters
            apt-get "${options[@]}" download "$name:$arch" >&2 || exit 1
            file=$(find . -maxdepth 1 -name "${name}_*.deb" | head -n 1)
        fi
        [ -n "$file" ] && realpath "$file"
    )
}

# guest_modules ROOT NAME...: puts the modules of the netboot kernel and what they depend on into ROOT/modules, and their order into
# ROOT/modules/order. They come from the kernel's own package.
guest_modules() {
    local root=$1 release package tree
    shift
    release=$(dd if=$installer/linux bs=1 skip=$((0x200 + $(od -An -tu2 -j $((0x20e)) -N 2 $installer/linux))) count=64 2>/dev/null |
        tr -s ' \0' '\n\n' | head -n 1)
    tree=$guests/modules-$release
    if [ ! -e "$tree/done" ]; then
        package=$(guest_package i386 "linux-image-$release") || return 1
        rm -rf "$tree"
        mkdir -p "$tree"
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" --wildcards './lib/modules/*.ko'
        touch "$tree/done"
        rm -f "$package" # 50 MB
    fi
    mkdir -p "$root/modules"
    : >"$root/modules/order"
    local name
    for name in "$@"; do
        guest_module "$root" "$tree" "$name" || return 1
    done
}

guest_module() {
    local file name=$3
    ! grep -qx "$name" "$1/modules/order" || return 0
    file=$(find "$2" -name "${name//[-_]/[-_]}.ko" | head -n 1)
    [ -n "$file" ] || { echo "no module $name" >&2; return 1; }
    local needs need
    needs=$(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' ')
    for need in $needs; do
        guest_module "$1" "$2" "$need" || return 1
    done
    cp "$file" "$1/modules/$name.ko"
    echo "$name" >>"$1/modules/order"
}

# guest_initrd ROOT FILE: busybox with its commands, the /init and whatever else is in ROOT, as an initramfs.
guest_initrd() {
    local root=$1 package name
    package=$(guest_package i386 busybox-static) || return 1
    mkdir -p "$root"/{bin,proc,sys,dev,mnt,tmp}
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root/bin" --strip-components=2 ./bin/busybox
    for name in sh mount umount cat echo grep sync sleep insmod ls poweroff reboot dd md5sum mkdir uname seq ${net_applets:-}; do
        ln -sf busybox "$root/bin/$name"
    done
    chmod 755 "$root/init"
    find "$root" -exec touch -h -d @1767225600 {} +
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible --owner 0:0 | gzip -9n) >"$2"
}

# guest_iso FILE INITRD APPEND: a CD that isolinux starts.
guest_iso() {
    local iso=$scratch/iso
    rm -rf "$iso"
    mkdir -p "$iso/isolinux"
    cp $installer/linux "$iso/vmlinuz"
    cp "$2" "$iso/initrd.gz"
    cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$iso/isolinux/"
    printf 'SERIAL 0 115200\nDEFAULT run\nPROMPT 0\nTIMEOUT 0\nLABEL run\n KERNEL /vmlinuz\n APPEND initrd=/initrd.gz %s\n' \
        "$3" >"$iso/isolinux/isolinux.cfg"
    xorriso -as mkisofs -quiet -o "$1" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
        -boot-info-table "$iso" 2>"$scratch/xorriso.log" || { cat "$scratch/xorriso.log"; return 1; }
}
