# What libuv lacks on Windows; included by shared/port/CMakeLists.txt. The text half of pipe_acl is
# pure and tested everywhere.
set(port_win_sources
    win/log_pipe_win.c
    win/crypto_win.c win/secret_file_win.c win/hvsock.c win/io_pump.c win/pipe_acl.c win/pipe_acl_text.c win/pipe_claim.c
    win/put_file_win.c win/pipe_dial.c win/pipe_handle.c win/command_line.c win/process_win.c win/worker_token.c win/process_identity_win.c win/pipe_listener.c win/pipe_stream.c win/socket_dial.c
    win/net_win.c win/memory_win.c win/port_owner_win.c win/resolver_win.c win/resolver_query_ex.c win/dns_record_win.c win/dns_calls.c win/ping_win.c win/name_servers_win.c win/name_look_win.c win/routes_win.c win/host_look_win.c win/socket_listener.c win/utf16.c win/win_error.c win/win_port.c)
# NtCreateNamedPipeFile(), which CreateNamedPipeW() hides; HMAC.
set(port_win_libraries ntdll bcrypt)
