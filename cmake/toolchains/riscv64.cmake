# riscv64.cmake - RV64GC (Debian's riscv64, a port in Debian 12; package gcc-riscv64-linux-gnu).
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(TICK86_TRIPLET riscv64-linux-gnu)
set(TICK86_LIBRARY_DIRECTORY riscv64-linux-gnu)
set(TICK86_QEMU qemu-riscv64-static)
set(TICK86_C_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
