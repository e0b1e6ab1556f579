#!/bin/bash
# kill_image.sh create|check - for blockstress kill: makes the image anew, and asks qemu-img whether it is damaged (leaks are
# allowed). KILL_FORMAT, KILL_OPTIONS, KILL_QEMU say which; the image is ./kill.image.
case $1 in
create)
    rm -f kill.image
    qemu-img create -q -f "$KILL_QEMU" ${KILL_OPTIONS:+-o "$KILL_OPTIONS"} kill.image 20M
    ;;
check)
    [ "$KILL_QEMU" != vpc ] || exec qemu-img info -f vpc kill.image >/dev/null
    [ "$KILL_QEMU" != raw ] || exit 0
    status=0
    qemu-img check -f "$KILL_QEMU" kill.image >kill.log 2>&1 || status=$?
    [ $status = 0 ] || [ $status = 3 ] || { cat kill.log >&2; exit 1; }
    ;;
esac
