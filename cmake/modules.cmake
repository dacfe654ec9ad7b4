# rdl_module(NAME SOURCES ... [DEPS ...]): one directory, one static library, named after its path.
# Headers are included by their path under the top-level folder that holds them
# ("base/status.h" from shared/, "supervisor/supervisor.h" from winsvc/), so the include line alone
# shows the direction of a dependency.
function(rdl_module NAME)
    cmake_parse_arguments(M "" "" "SOURCES;DEPS" ${ARGN})
    add_library(${NAME} STATIC ${M_SOURCES})
    target_link_libraries(${NAME} PUBLIC ${M_DEPS} PRIVATE rdl_warnings)
    target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/shared)
endfunction()
