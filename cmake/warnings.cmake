# Warnings for our own code; errors only where RDL_WERROR is set (CI), so that a newer compiler
# never breaks a packager's build. Not -Wformat-truncation: texts are cut to the bounds of their
# fields on purpose (base/status.h), and snprintf() is how.
option(RDL_WERROR "treat warnings as errors" OFF)
add_library(rdl_warnings INTERFACE)
target_compile_options(rdl_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-unused-parameter
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    $<$<BOOL:${RDL_WERROR}>:-Werror>)
