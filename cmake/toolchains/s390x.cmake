# s390x.cmake - IBM Z, 64-bit and big-endian (Debian's s390x; package gcc-s390x-linux-gnu).
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(TICK86_TRIPLET s390x-linux-gnu)
set(TICK86_LIBRARY_DIRECTORY s390x-linux-gnu)
set(TICK86_QEMU qemu-s390x-static)
set(TICK86_C_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
