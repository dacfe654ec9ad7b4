# Warnings for our own code; errors only where RDL_WERROR is set (CI), so that a newer compiler
# never breaks a packager's build.
option(RDL_WERROR "treat warnings as errors" OFF)
add_library(rdl_warnings INTERFACE)
target_compile_options(rdl_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-unused-parameter
    $<$<BOOL:${RDL_WERROR}>:-Werror>)
