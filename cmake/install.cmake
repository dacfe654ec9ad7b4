# What `cmake --install` puts where. Two components: "agent" is the guest's side, "host" is rdlinkd and
# rdlink on Linux; installer/linux makes packages of them. Configuration is in /etc/rdlink whatever the
# prefix, because the programs look for it there.
#
# The manual pages and completions are what the programs themselves print (build/*/man and
# build/*/completion, by the target `man`); a cross build has none.
include(GNUInstallDirs)
set(RDL_ETC_DIR /etc/rdlink)

# rdl_printed(PROGRAM FILE WORD ...): FILE of the build tree is what `PROGRAM WORD ...` prints.
add_custom_target(man)
function(rdl_printed PROGRAM FILE)
    set(out ${CMAKE_BINARY_DIR}/${FILE})
    get_filename_component(dir ${out} DIRECTORY)
    add_custom_command(OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${dir}
        COMMAND $<TARGET_FILE:${PROGRAM}> ${ARGN} > ${out}
        DEPENDS ${PROGRAM} VERBATIM)
    if(NOT TARGET man-${PROGRAM})
        add_custom_target(man-${PROGRAM})
        add_dependencies(man man-${PROGRAM})
    endif()
    string(MAKE_C_IDENTIFIER printed-${FILE} name)
    add_custom_target(${name} DEPENDS ${out})
    add_dependencies(man-${PROGRAM} ${name})
endfunction()

if(NOT CMAKE_CROSSCOMPILING)
    rdl_printed(rdlink man/rdlink.1 help man)
    rdl_printed(rdlinkd man/rdlinkd.8 help man)
    rdl_printed(rdlink-agent man/rdlink-agent.8 help man)
    foreach(shell bash zsh fish)
        rdl_printed(rdlink completion/${shell} completion ${shell})
    endforeach()
endif()
if(WIN32)
    return()
endif()

# rdl_install_units(COMPONENT FOLDER FILE ...): units name their program in /usr/local/bin; what is
# installed names it where it is.
function(rdl_install_units COMPONENT FOLDER)
    foreach(file ${ARGN})
        set(from ${CMAKE_SOURCE_DIR}/${FOLDER}/${file})
        set(to ${CMAKE_BINARY_DIR}/units/${file})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${from})
        file(READ ${from} text)
        string(REPLACE "/usr/local/bin/" "${CMAKE_INSTALL_FULL_BINDIR}/" text "${text}")
        file(WRITE ${to} "${text}")
        get_filename_component(dir ${file} DIRECTORY)
        install(FILES ${to} DESTINATION lib/systemd/system/${dir} COMPONENT ${COMPONENT})
    endforeach()
endfunction()

install(TARGETS rdlink-agent COMPONENT agent)
install(FILES guestagent/dist/agent.conf guestagent/dist/net.conf
    DESTINATION ${RDL_ETC_DIR} COMPONENT agent)
install(DIRECTORY guestagent/dist/examples
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/rdlink-agent COMPONENT agent)
rdl_install_units(agent guestagent/dist
    rdlink-bridge.service rdlink-bridge.socket rdlink-net.service
    rdlink-relay.service rdlink-relay.socket
    rdlink-bridge.service.d/10-replace-rdd-guest.conf
    rdlink-bridge.socket.d/10-replace-rdd-guest.conf)

install(TARGETS rdlinkd rdlink COMPONENT host)
install(FILES installer/linux/rdlinkd.conf DESTINATION ${RDL_ETC_DIR} COMPONENT host)
rdl_install_units(host installer/linux rdlinkd.service)

if(NOT CMAKE_CROSSCOMPILING)
    install(FILES ${CMAKE_BINARY_DIR}/man/rdlink-agent.8
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT agent)
    install(FILES ${CMAKE_BINARY_DIR}/man/rdlinkd.8
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT host)
    install(FILES ${CMAKE_BINARY_DIR}/man/rdlink.1
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT host)
    install(FILES ${CMAKE_BINARY_DIR}/completion/bash RENAME rdlink
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT host)
    install(FILES ${CMAKE_BINARY_DIR}/completion/zsh RENAME _rdlink
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT host)
    install(FILES ${CMAKE_BINARY_DIR}/completion/fish RENAME rdlink.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT host)
endif()
