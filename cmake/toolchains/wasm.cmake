# wasm.cmake - WebAssembly by emscripten (Debian's package emscripten), run by node. libtick86 and its tests: -DFRONTENDS=OFF.
#
#   cmake -S . -B build-wasm --toolchain cmake/toolchains/wasm.cmake -DFRONTENDS=OFF [-DTICK86_SYSROOT=DIR]
#
# TICK86_SYSROOT  holds Check, as tests/cross/libraries.sh builds it
set(TICK86_SYSROOT "" CACHE PATH "Unpacked libraries of the target")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TICK86_SYSROOT)
find_program(TICK86_EMCC emcc REQUIRED)
file(REAL_PATH ${TICK86_EMCC} emcc_path)
get_filename_component(emscripten_root ${emcc_path} DIRECTORY)
include(${emscripten_root}/cmake/Modules/Platform/Emscripten.cmake)
set(ENV{PKG_CONFIG_LIBDIR} "${TICK86_SYSROOT}/usr/lib/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${TICK86_SYSROOT}")
list(APPEND CMAKE_FIND_ROOT_PATH ${TICK86_SYSROOT})
# Guest RAM is allocated at run time; tests read files of this host.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-sALLOW_MEMORY_GROWTH=1 -sNODERAWFS=1 -sEXIT_RUNTIME=1 -sTOTAL_STACK=4194304")
