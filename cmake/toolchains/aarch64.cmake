# aarch64.cmake - 64-bit ARM, little-endian: phones, boards, servers (Debian's arm64; package gcc-aarch64-linux-gnu).
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(TICK86_TRIPLET aarch64-linux-gnu)
set(TICK86_LIBRARY_DIRECTORY aarch64-linux-gnu)
set(TICK86_QEMU qemu-aarch64-static)
set(TICK86_C_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
