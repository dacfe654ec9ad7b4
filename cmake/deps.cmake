# Third-party libraries, always by the names rdl_dep_*: Debian packages for a native build, the
# pinned sources of cmake/deps.lock (already unpacked and built under RDL_DEPS_PREFIX by
# `./dev deps`) for a cross build.
set(RDL_DEPS_PREFIX "" CACHE PATH "prefix that holds the libraries of a cross build")
find_package(Threads REQUIRED)

function(rdl_dep NAME HEADER)
    cmake_parse_arguments(D "" "" "LIBS;SYSTEM" ${ARGN})
    add_library(${NAME} INTERFACE)
    if(RDL_DEPS_PREFIX)
        target_include_directories(${NAME} SYSTEM INTERFACE ${RDL_DEPS_PREFIX}/include)
        foreach(l ${D_LIBS})
            target_link_libraries(${NAME} INTERFACE ${RDL_DEPS_PREFIX}/lib/lib${l}.a)
        endforeach()
    else()
        find_path(${NAME}_INCLUDE ${HEADER} REQUIRED)
        target_include_directories(${NAME} SYSTEM INTERFACE ${${NAME}_INCLUDE})
        foreach(l ${D_LIBS})
            find_library(${NAME}_${l} ${l} REQUIRED)
            target_link_libraries(${NAME} INTERFACE ${${NAME}_${l}})
        endforeach()
    endif()
    target_link_libraries(${NAME} INTERFACE ${D_SYSTEM})
endfunction()

if(WIN32)
    set(uv_system ws2_32 mswsock iphlpapi psapi userenv user32 dbghelp advapi32 ole32 shell32)
else()
    set(uv_system Threads::Threads ${CMAKE_DL_LIBS})
endif()
rdl_dep(rdl_dep_uv uv.h LIBS uv SYSTEM ${uv_system})
rdl_dep(rdl_dep_protobuf_c protobuf-c/protobuf-c.h LIBS protobuf-c)
rdl_dep(rdl_dep_cjson cjson/cJSON.h LIBS cjson)
if(NOT WIN32) # Windows has BCrypt
    rdl_dep(rdl_dep_sodium sodium.h LIBS sodium)
endif()

# llhttp comes as C source in Debian's node-llhttp, the same files for every target.
set(RDL_LLHTTP_DIR /usr/share/llhttp CACHE PATH "llhttp's C sources")
set(RDL_LLHTTP_INCLUDE /usr/share/include/llhttp CACHE PATH "llhttp's header")
add_library(rdl_dep_llhttp STATIC
    ${RDL_LLHTTP_DIR}/api.c ${RDL_LLHTTP_DIR}/http.c ${RDL_LLHTTP_DIR}/llhttp.c)
target_include_directories(rdl_dep_llhttp SYSTEM PUBLIC ${RDL_LLHTTP_INCLUDE})
