# armhf.cmake - 32-bit ARMv7 with VFP (Debian's armhf; package gcc-arm-linux-gnueabihf).
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(TICK86_TRIPLET arm-linux-gnueabihf)
set(TICK86_LIBRARY_DIRECTORY arm-linux-gnueabihf)
set(TICK86_QEMU qemu-arm-static)
set(TICK86_C_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
