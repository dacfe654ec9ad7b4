# rdl_unit_test(NAME SOURCES ... DEPS ...): one cmocka executable, labelled "unit"; runs natively and,
# for Windows, through CMAKE_CROSSCOMPILING_EMULATOR (Wine) with the label "wine". Exit code 77 skips.
add_library(rdl_dep_cmocka INTERFACE)
if(RDL_DEPS_PREFIX)
    target_include_directories(rdl_dep_cmocka SYSTEM INTERFACE ${RDL_DEPS_PREFIX}/include)
    target_link_libraries(rdl_dep_cmocka INTERFACE ${RDL_DEPS_PREFIX}/lib/libcmocka-static.a)
else()
    find_library(RDL_CMOCKA cmocka REQUIRED)
    target_link_libraries(rdl_dep_cmocka INTERFACE ${RDL_CMOCKA})
endif()

function(rdl_unit_test NAME)
    cmake_parse_arguments(T "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
    if(RDL_FUZZ)
        return()
    endif()
    if(NOT T_LABEL)
        set(T_LABEL unit)
    endif()
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT 30)
    endif()
    add_executable(${NAME} ${T_SOURCES})
    target_link_libraries(${NAME} PRIVATE ${T_DEPS} rdl_dep_cmocka rdl_warnings)
    target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    set(name ${T_LABEL}/${NAME})
    if(WIN32)
        set(T_LABEL wine)
        set(name wine/${name})
        math(EXPR T_TIMEOUT "${T_TIMEOUT} * 4")
    endif()
    add_test(NAME ${name} COMMAND ${NAME})
    set_tests_properties(${name} PROPERTIES
        LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# rdl_test_alloc_fail(TARGET): allocations of the test's code go through tests/support/alloc_fail.c.
function(rdl_test_alloc_fail TARGET)
    target_sources(${TARGET} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/alloc_fail.c)
    target_link_options(${TARGET} PRIVATE
        LINKER:--wrap=malloc LINKER:--wrap=calloc LINKER:--wrap=realloc)
endfunction()

# rdl_fuzzer(NAME SOURCES ... DEPS ... [SECONDS N]): a libFuzzer target. With RDL_FUZZ (clang) it is
# built as a fuzzer and the test "fuzz/NAME" runs it for SECONDS, starting from the corpus kept in
# tests/fuzz/corpus/NAME; what it finds goes to the build tree. Otherwise it is linked with
# fuzz/replay_main.c, and the same target replays its corpus as an ordinary test. Linux only.
option(RDL_FUZZ "build only the fuzz targets, with libFuzzer (clang only)" OFF)
set(RDL_FUZZ_SECONDS 10 CACHE STRING "how long one fuzz target runs where it names no SECONDS")
if(RDL_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
add_custom_target(fuzzers)
function(rdl_fuzzer NAME)
    cmake_parse_arguments(F "" "SECONDS" "SOURCES;DEPS" ${ARGN})
    if(CMAKE_CROSSCOMPILING)
        return()
    endif()
    if(NOT F_SECONDS)
        set(F_SECONDS ${RDL_FUZZ_SECONDS})
    endif()
    add_executable(${NAME} ${F_SOURCES})
    add_dependencies(fuzzers ${NAME})
    target_link_libraries(${NAME} PRIVATE ${F_DEPS} rdl_warnings)
    target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${NAME})
    if(RDL_FUZZ)
        set(found ${CMAKE_BINARY_DIR}/fuzz/found/${NAME})
        file(MAKE_DIRECTORY ${found})
        target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
        add_test(NAME fuzz/${NAME} COMMAND ${NAME} -max_total_time=${F_SECONDS} -timeout=10
            -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=${found}/ ${found} ${corpus})
        math(EXPR limit "${F_SECONDS} + 60")
        set_tests_properties(fuzz/${NAME} PROPERTIES LABELS fuzz TIMEOUT ${limit})
    else()
        target_sources(${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.c)
        add_test(NAME fuzz-corpus/${NAME} COMMAND ${NAME} ${corpus})
        set_tests_properties(fuzz-corpus/${NAME} PROPERTIES LABELS unit TIMEOUT 60)
    endif()
endfunction()

# rdl_python_tests(LABEL ENVIRONMENT): every *_test.py of this directory is one test LABEL/NAME, Python's
# unittest over tests/support/rdl.py. A module that cannot run on this machine says why and ends with
# 77. They take turns: engines, guests and timing bounds in seconds need the machine to themselves.
function(rdl_python_tests LABEL ENVIRONMENT)
    find_program(RDL_PYTHON NAMES python3 REQUIRED NO_CMAKE_FIND_ROOT_PATH)
    file(GLOB modules RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *_test.py)
    foreach(module ${modules})
        get_filename_component(name ${module} NAME_WE)
        add_test(NAME ${LABEL}/${name}
            COMMAND ${RDL_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${module})
        set_tests_properties(${LABEL}/${name} PROPERTIES
            LABELS ${LABEL}
            TIMEOUT 300
            RUN_SERIAL ON
            SKIP_RETURN_CODE 77
            ENVIRONMENT "${ENVIRONMENT}")
    endforeach()
endfunction()
