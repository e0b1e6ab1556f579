# debian-cross.cmake - what the toolchain files of this directory share. They set TICK86_TRIPLET (Debian's cross compiler is
# TICK86_TRIPLET-gcc), TICK86_QEMU (the qemu-user-static emulator that runs the result) and CMAKE_SYSTEM_PROCESSOR.
#
#   cmake -S . -B build-aarch64 --toolchain cmake/toolchains/aarch64.cmake [-DTICK86_SYSROOT=DIR] [-DTICK86_CLANG=clang-19]
#
# TICK86_SYSROOT  where the target's libraries (libpng, ncurses, zlib, check) were unpacked: tests/cross/sysroot.sh makes
#                 one without registering a foreign architecture in dpkg. The C library is the cross compiler's.
# TICK86_CLANG    this clang instead of gcc, with the cross compiler's C library and linker
set(CMAKE_SYSTEM_NAME Linux)
set(TICK86_SYSROOT "" CACHE PATH "Unpacked libraries of the target")
set(TICK86_CLANG "" CACHE STRING "clang to use instead of the cross gcc")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TICK86_SYSROOT TICK86_CLANG)

if(TICK86_CLANG)
    set(CMAKE_C_COMPILER ${TICK86_CLANG})
    set(CMAKE_C_COMPILER_TARGET ${TICK86_TRIPLET})
    set(CMAKE_C_FLAGS_INIT "${TICK86_C_FLAGS} -isystem /usr/${TICK86_TRIPLET}/include")
else()
    set(CMAKE_C_COMPILER ${TICK86_TRIPLET}-gcc)
    set(CMAKE_C_FLAGS_INIT "${TICK86_C_FLAGS}")
endif()
# The cross C library comes first among the roots, so that its zlib or none is never mixed with the build machine's.
set(CMAKE_FIND_ROOT_PATH /usr/${TICK86_TRIPLET} ${TICK86_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_LIBRARY_ARCHITECTURE ${TICK86_LIBRARY_DIRECTORY})
if(TICK86_SYSROOT)
    set(ENV{PKG_CONFIG_LIBDIR}
        "${TICK86_SYSROOT}/usr/lib/${TICK86_LIBRARY_DIRECTORY}/pkgconfig:${TICK86_SYSROOT}/usr/lib/pkgconfig")
    set(ENV{PKG_CONFIG_SYSROOT_DIR} ${TICK86_SYSROOT})
    set(library_directory ${TICK86_SYSROOT}/usr/lib/${TICK86_LIBRARY_DIRECTORY})
    set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${library_directory} -Wl,-rpath-link,${library_directory}")
else()
    set(ENV{PKG_CONFIG_LIBDIR} /nonexistent)
endif()
# ctest runs the tests through it.
find_program(TICK86_QEMU_PROGRAM ${TICK86_QEMU})
if(TICK86_QEMU_PROGRAM)
    set(library_path "")
    if(TICK86_SYSROOT)
        set(library_path "-E;LD_LIBRARY_PATH=${library_directory}")
    endif()
    set(CMAKE_CROSSCOMPILING_EMULATOR "${TICK86_QEMU_PROGRAM};-L;/usr/${TICK86_TRIPLET};${library_path}")
endif()
