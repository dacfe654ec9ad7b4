# Hardening for what ships, sanitizers for what is tested. A sanitizer is a property of the whole
# build: set RDL_SANITIZE to a list such as "address,undefined" or "thread".
option(RDL_STATIC "link programs statically (Linux; a Windows build always is)" OFF)
set(RDL_SANITIZE "" CACHE STRING "comma separated sanitizers for the whole build")
include(CheckCCompilerFlag)
add_compile_options(-fno-common -fno-strict-aliasing)
if(RDL_SANITIZE)
    add_compile_options(-fsanitize=${RDL_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${RDL_SANITIZE})
    if(RDL_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
else()
    add_compile_options(-fstack-protector-strong)
    check_c_compiler_flag(-ftrivial-auto-var-init=zero RDL_HAS_AUTO_VAR_INIT)
    if(RDL_HAS_AUTO_VAR_INIT)
        add_compile_options(-ftrivial-auto-var-init=zero)
    endif()
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        add_compile_options(-fcf-protection=full)
    endif()
    if(CMAKE_BUILD_TYPE MATCHES "Rel")
        add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
        # No folder of the machine that builds gets into what ships (asserts, debug information): the
        # same source is the same file wherever it is built. Of two that fit the last one counts. The
        # relative one is what ccache makes of the first where it is given a CCACHE_BASEDIR.
        file(RELATIVE_PATH up ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
        string(REGEX REPLACE "/$" "" up ${up})
        add_compile_options(
            -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build
            -ffile-prefix-map=${up}=.)
        if(RDL_DEPS_PREFIX)
            add_compile_options(-ffile-prefix-map=${RDL_DEPS_PREFIX}=deps)
        endif()
    endif()
    if(WIN32)
        add_link_options(
            LINKER:--dynamicbase LINKER:--high-entropy-va LINKER:--nxcompat LINKER:--no-insert-timestamp)
    else()
        add_compile_options(-fPIE -fstack-clash-protection)
        # Said here and not in the toolchain file, because the last of -static, -pie counts.
        if(RDL_STATIC)
            add_link_options(-static-pie -Wl,-z,relro,-z,now)
        else()
            add_link_options(-pie -Wl,-z,relro,-z,now)
        endif()
    endif()
endif()
