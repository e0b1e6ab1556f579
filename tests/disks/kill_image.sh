#!/bin/bash
# kill_image.sh create|check|room - for blockstress kill and full: makes the image anew, asks qemu-img whether it is damaged (leaks are
# allowed), makes the file system KILL_SMALL larger. KILL_OPTIONS, KILL_QEMU say which image; it is ./kill.image.
case $1 in
room) ! mountpoint -q "$KILL_SMALL" || exec mount -o remount,size=100M "$KILL_SMALL" ;;
create)
    rm -f kill.image
    qemu-img create -q -f "$KILL_QEMU" ${KILL_OPTIONS:+-o "$KILL_OPTIONS"} kill.image 20M
    ;;
check)
    [ "$KILL_QEMU" != vpc ] || exec qemu-img info -f vpc kill.image >/dev/null
    [ "$KILL_QEMU" != raw ] || exit 0
    status=0
    qemu-img check -f "$KILL_QEMU" kill.image >"${TMPDIR:-/tmp}/kill.$$" 2>&1 || status=$?
    [ $status = 0 ] || [ $status = 3 ] || cat "${TMPDIR:-/tmp}/kill.$$" >&2
    rm -f "${TMPDIR:-/tmp}/kill.$$"
    [ $status = 0 ] || [ $status = 3 ]
    ;;
esac
