# Windows x86-64 from Linux: mingw-w64 with POSIX threads, everything linked statically, so that a
# program needs nothing but the system's own DLLs. Its tests run under Wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_MC_COMPILER x86_64-w64-mingw32-windmc)

set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Windows 10 is the oldest system served; %z and %lld mean what C17 says; strings are UTF-16 only
# inside */win/, where the W functions are what a plain name means.
set(CMAKE_C_FLAGS_INIT
    "-D_WIN32_WINNT=0x0A00 -DWINVER=0x0A00 -D__USE_MINGW_ANSI_STDIO=1 -DUNICODE -D_UNICODE -DWIN32_LEAN_AND_MEAN")
# The stack protector's functions live in libssp, which gcc only links when it is told here too.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -static-libgcc -fstack-protector-strong")

set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/../tests/tools/wine-run)
