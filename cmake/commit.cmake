# SPDX-License-Identifier: Apache-2.0
# Run at each build: cmake -D SOURCE=DIR -D KIND=TEXT -D INPUT=FILE.in -D OUTPUT=FILE -P commit.cmake.
# Writes KIND and the commit that is built into OUTPUT, and touches it only when it becomes another one.
#
# The environment's RDL_COMMIT, for sources without their history (an unpacked archive); else what git
# says of SOURCE, with "-dirty" behind it when the files are not those of that commit; else "unknown".
# So the same commit gives the same bytes, wherever it is built.
cmake_minimum_required(VERSION 3.25)

set(commit "$ENV{RDL_COMMIT}")
find_program(git git)
if(commit STREQUAL "" AND git AND EXISTS ${SOURCE}/.git)
    execute_process(
        COMMAND ${git} -c safe.directory=* -C ${SOURCE} describe --always --dirty --abbrev=40 --exclude=*
        OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit MATCHES "^[0-9a-f]+(-dirty)?$")
    set(commit unknown)
endif()
configure_file(${INPUT} ${OUTPUT} @ONLY)
