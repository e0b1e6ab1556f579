# packages.sh - for ./run and ./test: installs Debian packages that are missing, with apt-get, as root or through sudo.
# shellcheck disable=SC2154
# shellcheck shell=bash

build_packages=(gcc libc6-dev cmake ninja-build pkg-config nasm libpng-dev libncurses-dev zlib1g-dev libzstd-dev libcapstone-dev libslirp-dev check seabios)
build_packages+=(libsdl2-dev libvncserver-dev) # the window and the VNC server
export build_packages

# need_packages NAME...: does nothing when all are there.
need_packages() {
    local missing=() name sudo=()
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" != "install ok installed" ]; then
            missing+=("$name")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        sudo=(sudo)
    fi
    echo "installing: ${missing[*]}" >&2
    if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; then
        "${sudo[@]}" apt-get update -q >&2
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
    fi
}

# build_tick86 DIRECTORY TARGET [CMAKE OPTION]...: configures and builds, quietly unless something fails.
build_tick86() {
    local directory=$1 target=$2 log
    shift 2
    mkdir -p "$directory"
    log=$directory/build.log
    [ -e "$directory/tick86" ] || echo "building tick86 in $directory ..." >&2
    if ! { cmake -S "$root" -B "$directory" -G Ninja "$@" && ninja -C "$directory" "$target"; } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "the build failed; the whole log is in $log" >&2
        return 1
    fi
}
