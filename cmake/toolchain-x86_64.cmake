# Linux x86-64, linked statically: as toolchain-arm64.cmake, for the other kind of guest. No cross
# build on x86-64, but the libraries are the pinned ones too (Debian has no static cJSON).
set(CMAKE_C_COMPILER x86_64-linux-gnu-gcc)
