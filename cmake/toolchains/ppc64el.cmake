# ppc64el.cmake - POWER8 and later, little-endian (Debian's ppc64el; package gcc-powerpc64le-linux-gnu).
set(CMAKE_SYSTEM_PROCESSOR ppc64le)
set(TICK86_TRIPLET powerpc64le-linux-gnu)
set(TICK86_LIBRARY_DIRECTORY powerpc64le-linux-gnu)
set(TICK86_QEMU qemu-ppc64le-static)
set(TICK86_C_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
