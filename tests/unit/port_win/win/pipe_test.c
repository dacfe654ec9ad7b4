/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/port_win/win/ends.h"

#include "port/claim.h"
#include "port/sys.h"

#include <windows.h>

static struct addr pipe_addr(void)
{
    static unsigned count;
    struct addr at = { .kind = ADDR_NPIPE };
    snprintf(at.path, sizeof(at.path), "rdl-test-%lu-%u", GetCurrentProcessId(), ++count);
    return at;
}

static void connected(struct ends *t, bool byte_mode)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { .byte_mode = byte_mode };
    ends_setup(t);
    ends_listen(t, &at, &opts);
    ends_connect(t, &at);
}

static void say(struct end *end, const char *text)
{
    enum status st = stream_write(end->s, text, strlen(text));
    assert_true(st == ST_OK || st == ST_QUEUED);
}

static bool heard(const struct end *end, const char *text)
{
    return end->len == strlen(text) && memcmp(end->got, text, end->len) == 0;
}

static void half_close(struct end *first, struct end *second, struct ends *t)
{
    stream_read_start(first->s);
    stream_read_start(second->s);
    say(first, "request");
    assert_int_equal(stream_shutdown(first->s), ST_OK);
    assert_int_equal(stream_shutdown(first->s), ST_OK);
    assert_int_equal(stream_write(first->s, "x", 1), ST_CLOSED);
    ENDS_RUN_UNTIL(t, second->eofs);
    assert_true(heard(second, "request"));
    assert_int_equal(first->eofs, 0);
    say(second, "answer after the end of the request");
    ENDS_RUN_UNTIL(t, first->len > 0);
    assert_int_equal(first->eofs, 0);
    assert_int_equal(stream_shutdown(second->s), ST_OK);
    ENDS_RUN_UNTIL(t, first->eofs);
    assert_true(heard(first, "answer after the end of the request"));
    assert_int_equal(first->errors + second->errors, 0);
}

static void the_client_may_end_its_direction_first(void **state)
{
    struct ends t;
    connected(&t, false);
    half_close(&t.client, &t.server, &t);
    ends_teardown(&t);
}

static void the_server_may_end_its_direction_first(void **state)
{
    struct ends t;
    connected(&t, false);
    half_close(&t.server, &t.client, &t);
    ends_teardown(&t);
}

static void the_pid_of_the_client_is_known(void **state)
{
    struct ends t;
    connected(&t, false);
    assert_true(t.peer.has_pid);
    assert_int_equal(t.peer.pid, GetCurrentProcessId());
    assert_false(t.peer.is_vsock);
    ends_teardown(&t);
}

static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i * 31 + (i >> 8));
}

static void a_megabyte_that_nobody_reads_is_queued_and_arrives_whole(void **state)
{
    struct ends t;
    size_t len = STREAM_MAX_QUEUED - 100;
    uint8_t *data = malloc(len);
    fill(data, len);
    connected(&t, false);
    assert_int_equal(stream_write(t.server.s, data, len), ST_QUEUED);
    assert_true(stream_queued_bytes(t.server.s) > 0);
    assert_int_equal(stream_shutdown(t.server.s), ST_OK);
    stream_read_start(t.client.s);
    ENDS_RUN_UNTIL(&t, t.client.eofs && t.server.drained);
    assert_int_equal(t.client.len, len);
    assert_memory_equal(t.client.got, data, len);
    assert_int_equal(stream_queued_bytes(t.server.s), 0);
    assert_int_equal(t.server.drained, 1);
    free(data);
    ends_teardown(&t);
}

static void a_writer_that_goes_on_after_queued_is_refused_at_the_limit(void **state)
{
    static uint8_t chunk[256 * 1024];
    struct ends t;
    enum status st;
    size_t accepted = 0;
    connected(&t, false);
    while ((st = stream_write(t.client.s, chunk, sizeof(chunk))) != ST_FULL) {
        assert_true(st == ST_OK || st == ST_QUEUED);
        accepted += sizeof(chunk);
        assert_true(accepted <= STREAM_MAX_QUEUED + 2 * sizeof(chunk));
    }
    assert_true(stream_queued_bytes(t.client.s) <= STREAM_MAX_QUEUED);
    stream_read_start(t.server.s);
    ENDS_RUN_UNTIL(&t, t.server.len == accepted);
    ends_teardown(&t);
}

static void data_and_end_wait_for_a_reader_that_comes_late(void **state)
{
    struct ends t;
    connected(&t, false);
    stream_read_start(t.server.s);
    stream_read_stop(t.server.s); /* a read is under way now */
    say(&t.client, "one");
    say(&t.client, "two");
    stream_shutdown(t.client.s);
    stream_read_start(t.client.s);
    say(&t.server, "ping");
    ENDS_RUN_UNTIL(&t, t.client.len > 0); /* time for the first message to arrive */
    assert_int_equal(t.server.len, 0);
    assert_int_equal(t.server.eofs, 0);
    stream_read_start(t.server.s);
    ENDS_RUN_UNTIL(&t, t.server.eofs);
    assert_true(heard(&t.server, "onetwo"));
    ends_teardown(&t);
}

static void bytes_put_back_come_first(void **state)
{
    struct ends t;
    connected(&t, false);
    say(&t.client, "world");
    assert_int_equal(stream_unread(t.server.s, "lo ", 3), ST_OK);
    assert_int_equal(stream_unread(t.server.s, "hel", 3), ST_OK);
    stream_read_start(t.server.s);
    ENDS_RUN_UNTIL(&t, t.server.len >= 11);
    assert_true(heard(&t.server, "hello world"));
    ends_teardown(&t);
}

static void an_end_comes_again_behind_bytes_put_back(void **state)
{
    struct ends t;
    connected(&t, false);
    stream_read_start(t.server.s);
    say(&t.client, "hello");
    stream_shutdown(t.client.s);
    ENDS_RUN_UNTIL(&t, t.server.eofs == 1);
    assert_int_equal(stream_unread(t.server.s, "hello", 5), ST_OK);
    t.server.eofs = 0; /* the next reader has not heard of it */
    ENDS_RUN_UNTIL(&t, t.server.eofs);
    assert_true(heard(&t.server, "hellohello"));
    say(&t.server, "answer");
    stream_shutdown(t.server.s);
    stream_read_start(t.client.s);
    ENDS_RUN_UNTIL(&t, t.client.eofs);
    assert_true(heard(&t.client, "answer"));
    assert_int_equal(t.server.eofs, 1);
    assert_int_equal(t.server.errors, 0);
    ends_teardown(&t);
}

static void a_stream_may_be_closed_by_its_own_callback(void **state)
{
    struct ends t;
    connected(&t, false);
    t.server.close_on_data = true;
    stream_read_start(t.server.s);
    stream_read_start(t.client.s);
    say(&t.client, "first");
    say(&t.client, "second");
    ENDS_RUN_UNTIL(&t, t.client.eofs);
    assert_true(heard(&t.server, "first"));
    ends_teardown(&t);
}

static void a_peer_that_leaves_without_a_word_ends_its_data_and_then_our_writes_fail(void **state)
{
    struct ends t;
    connected(&t, false);
    stream_read_start(t.server.s);
    say(&t.client, "last words");
    stream_close(t.client.s);
    t.client.s = NULL;
    ENDS_RUN_UNTIL(&t, t.server.eofs);
    assert_true(heard(&t.server, "last words"));
    assert_int_equal(t.server.errors, 0);
    assert_int_equal(stream_write(t.server.s, "x", 1), ST_RESET);
    ENDS_RUN_UNTIL(&t, t.server.errors);
    assert_int_equal(t.server.error, ST_RESET);
    ends_teardown(&t);
}

static void a_peer_that_leaves_after_its_end_of_data_is_an_error_while_we_still_talk(void **state)
{
    struct ends t;
    connected(&t, false);
    stream_read_start(t.server.s);
    stream_shutdown(t.client.s);
    ENDS_RUN_UNTIL(&t, t.server.eofs);
    stream_close(t.client.s);
    t.client.s = NULL;
    ENDS_RUN_UNTIL(&t, t.server.errors);
    assert_int_equal(t.server.error, ST_RESET);
    ends_teardown(&t);
}

static void what_was_written_before_close_is_still_read(void **state)
{
    struct ends t;
    connected(&t, false);
    say(&t.server, "goodbye");
    assert_int_equal(stream_queued_bytes(t.server.s), 0);
    stream_close(t.server.s);
    t.server.s = NULL;
    stream_read_start(t.client.s);
    ENDS_RUN_UNTIL(&t, t.client.eofs);
    assert_true(heard(&t.client, "goodbye"));
    ends_teardown(&t);
}

static void streams_with_operations_under_way_can_be_closed(void **state)
{
    static uint8_t chunk[512 * 1024];
    struct ends t;
    connected(&t, false);
    stream_read_start(t.server.s);
    stream_read_start(t.client.s);
    stream_read_stop(t.client.s);
    assert_int_equal(stream_write(t.server.s, chunk, sizeof(chunk)), ST_QUEUED);
    ends_teardown(&t); /* loop_uv_free() waits for the last completion */
}

static void a_byte_pipe_ends_with_close_only(void **state)
{
    struct ends t;
    connected(&t, true);
    stream_read_start(t.client.s);
    say(&t.server, "status");
    assert_int_equal(stream_shutdown(t.server.s), ST_OK);
    ENDS_RUN_UNTIL(&t, t.client.len > 0);
    assert_int_equal(t.client.eofs, 0);
    stream_close(t.server.s);
    t.server.s = NULL;
    ENDS_RUN_UNTIL(&t, t.client.eofs);
    assert_true(heard(&t.client, "status"));
    ends_teardown(&t);
}

static HANDLE raw_client(const struct addr *to)
{
    char path[ADDR_PATH_MAX + 16];
    snprintf(path, sizeof(path), "\\\\.\\pipe\\%s", to->path);
    return CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
}

static void sixteen_clients_connect_at_once_before_the_loop_turns(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { 0 };
    HANDLE clients[20];
    struct ends t;
    ends_setup(&t);
    ends_listen(&t, &at, &opts);
    for (unsigned i = 0; i < 16; i++) {
        clients[i] = raw_client(&at);
        assert_ptr_not_equal(clients[i], INVALID_HANDLE_VALUE);
    }
    assert_ptr_equal(raw_client(&at), INVALID_HANDLE_VALUE);
    assert_int_equal(GetLastError(), ERROR_PIPE_BUSY);
    ENDS_RUN_UNTIL(&t, t.accepted_count == 16);
    for (unsigned i = 0; i < 16; i++)
        CloseHandle(clients[i]);
    for (unsigned i = 0; i < 16; i++) { /* as many again: all were replaced */
        clients[i] = raw_client(&at);
        assert_ptr_not_equal(clients[i], INVALID_HANDLE_VALUE);
    }
    ENDS_RUN_UNTIL(&t, t.accepted_count == 32);
    for (unsigned i = 0; i < 16; i++)
        CloseHandle(clients[i]);
    assert_int_equal(t.listener->stats.accepted, 32);
    ends_teardown(&t);
}

static void two_hundred_clients_one_after_the_other(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { .pipe_instances = 2 };
    struct ends t;
    ends_setup(&t);
    ends_listen(&t, &at, &opts);
    for (unsigned i = 0; i < 200; i++) {
        t.dials_done = t.accepted_count = 0;
        t.client.len = t.server.len = t.server.eofs = 0;
        ends_connect(&t, &at);
        stream_read_start(t.server.s);
        say(&t.client, "x");
        ENDS_RUN_UNTIL(&t, t.server.len == 1);
        stream_close(t.client.s);
        stream_close(t.server.s);
    }
    t.client.s = t.server.s = NULL;
    t.accepted_count = 0;
    assert_int_equal(t.listener->stats.accepted, 200);
    ends_teardown(&t);
}

static void a_paused_listener_lets_clients_wait(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { .pipe_instances = 2 };
    struct ends t;
    ends_setup(&t);
    ends_listen(&t, &at, &opts);
    listener_pause(t.listener);
    HANDLE one = raw_client(&at), two = raw_client(&at);
    assert_ptr_not_equal(one, INVALID_HANDLE_VALUE);
    assert_ptr_not_equal(two, INVALID_HANDLE_VALUE);
    uint64_t until = loop_now_ms(t.loop) + 50;
    struct timer tick;
    timer_init(&tick, t.loop, end_on_eof, &t.client);
    timer_start(&tick, 50);
    ENDS_RUN_UNTIL(&t, loop_now_ms(t.loop) >= until);
    assert_int_equal(t.accepted_count, 0);
    listener_resume(t.listener);
    ENDS_RUN_UNTIL(&t, t.accepted_count == 2);
    CloseHandle(one);
    CloseHandle(two);
    ends_teardown(&t);
}

static void closing_a_paused_listener_drops_those_that_wait(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { .pipe_instances = 1 };
    struct ends t;
    char byte;
    DWORD n;
    ends_setup(&t);
    ends_listen(&t, &at, &opts);
    listener_pause(t.listener);
    HANDLE one = raw_client(&at);
    listener_close(t.listener);
    t.listener = NULL;
    ends_teardown(&t);
    assert_int_equal(ReadFile(one, &byte, 1, &n, NULL), 0);
    CloseHandle(one);
}

static void dialling_a_name_that_is_not_there_fails_at_once(void **state)
{
    struct addr at = pipe_addr();
    struct dial *d;
    struct ends t;
    ends_setup(&t);
    assert_int_equal(dial_start(t.loop, &d, &at, 5000, ends_on_dial, &t, NULL), ST_OK);
    ENDS_RUN_UNTIL(&t, t.dials_done);
    assert_int_equal(t.dialled, ST_NOTFOUND);
    ends_teardown(&t);
}

static void a_claimed_name_is_busy_until_somebody_joins(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts join = { .join = true };
    struct claim *claim;
    struct dial *d;
    struct ends t;
    ends_setup(&t);
    assert_int_equal(listener_open(t.loop, &t.listener, &at, &join, &ends_listener, &t, NULL),
                     ST_NOTFOUND);
    assert_int_equal(claim_open(t.loop, &at, NULL, &claim, NULL, NULL), ST_OK);
    assert_int_equal(claim_inherit_fd(claim), -1);
    assert_true(claim_still_held(claim));

    uint64_t start = sys_monotonic_ms();
    assert_int_equal(dial_start(t.loop, &d, &at, 100, ends_on_dial, &t, NULL), ST_OK);
    ENDS_RUN_UNTIL(&t, t.dials_done);
    assert_int_equal(t.dialled, ST_TIMEOUT);
    assert_true(sys_monotonic_ms() - start >= 90);

    t.dials_done = 0;
    assert_int_equal(dial_start(t.loop, &d, &at, 10000, ends_on_dial, &t, NULL), ST_OK);
    loop_uv_run_once(t.loop); /* the first try finds it busy */
    assert_int_equal(t.dials_done, 0);
    ends_listen(&t, &at, &join);
    ENDS_RUN_UNTIL(&t, t.dials_done && t.accepted_count);
    assert_int_equal(t.dialled, ST_OK);
    ends_teardown(&t);
    claim_close(claim);
}

static void a_cancelled_dial_is_not_heard_of_again(void **state)
{
    struct addr at = pipe_addr();
    struct claim *claim;
    struct dial *d;
    struct ends t;
    ends_setup(&t);
    assert_int_equal(claim_open(t.loop, &at, NULL, &claim, NULL, NULL), ST_OK);
    assert_int_equal(dial_start(t.loop, &d, &at, 10000, ends_on_dial, &t, NULL), ST_OK);
    loop_uv_run_once(t.loop);
    dial_cancel(t.loop, d);
    ends_teardown(&t);
    assert_int_equal(t.dials_done, 0);
    claim_close(claim);
}

static void a_second_listener_of_a_name_is_refused_and_told_who_has_it(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { 0 };
    struct listener *second;
    struct errmsg e = { "" };
    char pid[32];
    struct ends t;
    ends_setup(&t);
    ends_listen(&t, &at, &opts);
    assert_int_equal(listener_open(t.loop, &second, &at, &opts, &ends_listener, &t, &e), ST_EXISTS);
    snprintf(pid, sizeof(pid), "pid %lu ", GetCurrentProcessId());
    assert_non_null(strstr(e.text, pid));
    assert_non_null(strstr(e.text, ".exe"));
    ends_teardown(&t);
}

static void names_that_are_no_names_are_refused(void **state)
{
    static const char *const bad[] = { "", "a\\b", "\xff" };
    struct ends t;
    ends_setup(&t);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct addr at = { .kind = ADDR_NPIPE };
        const struct listener_opts opts = { 0 };
        snprintf(at.path, sizeof(at.path), "%s", bad[i]);
        assert_int_equal(listener_open(t.loop, &t.listener, &at, &opts, &ends_listener, &t, NULL),
                         ST_INVAL);
    }
    ends_teardown(&t);
}

static void a_broken_descriptor_is_refused(void **state)
{
    struct addr at = pipe_addr();
    const struct listener_opts opts = { .sddl = "D:P(A;;nonsense" };
    struct ends t;
    ends_setup(&t);
    assert_int_equal(listener_open(t.loop, &t.listener, &at, &opts, &ends_listener, &t, NULL),
                     ST_INVAL);
    ends_teardown(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_may_end_its_direction_first),
        cmocka_unit_test(the_server_may_end_its_direction_first),
        cmocka_unit_test(the_pid_of_the_client_is_known),
        cmocka_unit_test(a_megabyte_that_nobody_reads_is_queued_and_arrives_whole),
        cmocka_unit_test(a_writer_that_goes_on_after_queued_is_refused_at_the_limit),
        cmocka_unit_test(data_and_end_wait_for_a_reader_that_comes_late),
        cmocka_unit_test(bytes_put_back_come_first),
        cmocka_unit_test(an_end_comes_again_behind_bytes_put_back),
        cmocka_unit_test(a_stream_may_be_closed_by_its_own_callback),
        cmocka_unit_test(a_peer_that_leaves_without_a_word_ends_its_data_and_then_our_writes_fail),
        cmocka_unit_test(a_peer_that_leaves_after_its_end_of_data_is_an_error_while_we_still_talk),
        cmocka_unit_test(what_was_written_before_close_is_still_read),
        cmocka_unit_test(streams_with_operations_under_way_can_be_closed),
        cmocka_unit_test(a_byte_pipe_ends_with_close_only),
        cmocka_unit_test(sixteen_clients_connect_at_once_before_the_loop_turns),
        cmocka_unit_test(two_hundred_clients_one_after_the_other),
        cmocka_unit_test(a_paused_listener_lets_clients_wait),
        cmocka_unit_test(closing_a_paused_listener_drops_those_that_wait),
        cmocka_unit_test(dialling_a_name_that_is_not_there_fails_at_once),
        cmocka_unit_test(a_claimed_name_is_busy_until_somebody_joins),
        cmocka_unit_test(a_cancelled_dial_is_not_heard_of_again),
        cmocka_unit_test(a_second_listener_of_a_name_is_refused_and_told_who_has_it),
        cmocka_unit_test(names_that_are_no_names_are_refused),
        cmocka_unit_test(a_broken_descriptor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
