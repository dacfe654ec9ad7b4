# rdl_switch_services_alone: the gateway's services over recorders instead of the rest of the switch
# (services_rig.h), for their unit tests and fuzzers.
if(NOT TARGET rdl_switch_services_alone)
    set(dir ${CMAKE_SOURCE_DIR}/winsvc/switch)
    rdl_module(rdl_switch_services_alone
        SOURCES ${dir}/dhcp_leases.c ${dir}/dhcp_server.c
            ${dir}/dns_message.c ${dir}/dns_zones.c ${dir}/dns_cache.c ${dir}/dns_rebind.c
            ${dir}/dns_server.c
            ${dir}/dns_tcp.c ${dir}/forward.c ${dir}/forward_udp.c
            ${dir}/forward_api.c
            ${dir}/nat.c ${dir}/host_ports.c ${dir}/switch_limits.c
            ${CMAKE_SOURCE_DIR}/tests/support/services_rig.c
        DEPS rdl_wire rdl_http rdl_port_sim rdl_port rdl_base rdl_dep_cjson)
    target_include_directories(rdl_switch_services_alone PUBLIC
        ${CMAKE_SOURCE_DIR}/winsvc ${CMAKE_SOURCE_DIR}/tests)
endif()
