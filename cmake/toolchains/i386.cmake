# i386.cmake - 32-bit x86 (Debian's i386; package gcc-i686-linux-gnu).
set(CMAKE_SYSTEM_PROCESSOR i686)
set(TICK86_TRIPLET i686-linux-gnu)
set(TICK86_LIBRARY_DIRECTORY i386-linux-gnu)
set(TICK86_QEMU qemu-i386-static)
set(TICK86_C_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
