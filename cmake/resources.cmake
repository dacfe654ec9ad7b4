# What a Windows program says about itself: VERSIONINFO and the manifest (long paths, UTF-8 as the
# code page, the Windows versions it was made for, and that it asks for no elevation).
#
# rdl_windows_resources(TARGET DESCRIPTION [INCLUDE FILE.rc ...]) gives them to one program; elsewhere
# it does nothing. An INCLUDE is a resource script of another part, for example the message table of
# the Event Log, by its absolute path. windres is called directly: CMake's own RC rule would hand it
# the C compiler's options.
function(rdl_windows_resources TARGET DESCRIPTION)
    cmake_parse_arguments(R "" "" "INCLUDE" ${ARGN})
    if(NOT WIN32)
        return()
    endif()
    set(RDL_PROGRAM ${TARGET})
    set(RDL_DESCRIPTION ${DESCRIPTION})
    set(RDL_VERSION_COMMAS ${PROJECT_VERSION_MAJOR},${PROJECT_VERSION_MINOR},${PROJECT_VERSION_PATCH},0)
    set(RDL_VERSION_FOUR ${PROJECT_VERSION}.0)
    set(RDL_INCLUDES "")
    set(folders "")
    foreach(file ${R_INCLUDE})
        string(APPEND RDL_INCLUDES "#include \"${file}\"\n")
        get_filename_component(folder ${file} DIRECTORY)
        list(APPEND folders --include-dir ${folder})
    endforeach()
    set(base ${CMAKE_CURRENT_BINARY_DIR}/${TARGET})
    configure_file(${CMAKE_SOURCE_DIR}/cmake/program.rc.in ${base}.rc @ONLY)
    configure_file(${CMAKE_SOURCE_DIR}/cmake/program.manifest.in ${base}.manifest @ONLY)
    add_custom_command(
        OUTPUT ${base}.res.o
        COMMAND ${CMAKE_RC_COMPILER} -O coff ${folders} -i ${TARGET}.rc -o ${TARGET}.res.o
        WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
        DEPENDS ${base}.rc ${base}.manifest ${R_INCLUDE}
        COMMENT "resources of ${TARGET}"
        VERBATIM)
    target_sources(${TARGET} PRIVATE ${base}.res.o)
endfunction()

# rdl_message_table(VARIABLE FILE.mc) compiles texts of the Event Log; VARIABLE becomes the resource
# script to INCLUDE, made where the caller builds.
function(rdl_message_table VARIABLE FILE)
    get_filename_component(source ${FILE} ABSOLUTE)
    get_filename_component(name ${FILE} NAME_WE)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/messages)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(
        OUTPUT ${folder}/${name}.rc
        COMMAND ${CMAKE_MC_COMPILER} -U -h ${folder} -r ${folder} ${source}
        DEPENDS ${source}
        COMMENT "messages of ${name}"
        VERBATIM)
    set(${VARIABLE} ${folder}/${name}.rc PARENT_SCOPE)
endfunction()
