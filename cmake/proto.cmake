# Messages are generated into the build tree, never into the source tree.
find_program(PROTOC_C NAMES protoc-c REQUIRED)
function(rdl_proto TARGET)
    set(out ${CMAKE_BINARY_DIR}/generated)
    set(generated "")
    foreach(p ${ARGN})
        get_filename_component(base ${p} NAME_WE)
        set(dst ${out}/rdlink/v1/${base})
        add_custom_command(
            OUTPUT ${dst}.pb-c.c ${dst}.pb-c.h
            COMMAND ${CMAKE_COMMAND} -E make_directory ${out}/rdlink/v1
            COMMAND ${PROTOC_C} --proto_path=${CMAKE_CURRENT_SOURCE_DIR}
                    --c_out=${out}/rdlink/v1 ${CMAKE_CURRENT_SOURCE_DIR}/${p}
            DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${p}
            COMMENT "protoc-c ${p}")
        list(APPEND generated ${dst}.pb-c.c)
    endforeach()
    add_library(${TARGET} STATIC ${generated})
    target_include_directories(${TARGET} SYSTEM PUBLIC ${out})
    target_link_libraries(${TARGET} PUBLIC rdl_dep_protobuf_c)
endfunction()
