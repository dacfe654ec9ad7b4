/* SPDX-License-Identifier: Apache-2.0
 * In the folder that the test is run in, with one file of its own.
 */
#include "port/dir_watch.h"

#include "base/util.h"
#include "port/loop.h"
#include "port/uv/loop_uv.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define OUR_FILE "dir_watch_test.tmp"

static void touch(void)
{
    FILE *f = fopen(OUR_FILE, "w");

    assert_non_null(f);
    fclose(f);
}

static void count_our_file(void *ctx, const char *name, enum dir_entry_kind kind)
{
    if (strcmp(name, OUR_FILE) != 0)
        return;
    assert_int_not_equal(kind, DIR_ENTRY_SOCKET);
    ++*(unsigned *)ctx;
}

static void scan_names_each_entry_once(void **state)
{
    unsigned found = 0;

    touch();
    assert_int_equal(dir_scan(".", count_our_file, &found), ST_OK);
    assert_int_equal(found, 1);
    remove(OUR_FILE);
    found = 0;
    assert_int_equal(dir_scan(".", count_our_file, &found), ST_OK);
    assert_int_equal(found, 0);
}

static void scan_of_no_folder_finds_none(void **state)
{
    unsigned found = 0;

    assert_int_equal(dir_scan("no-such-folder", count_our_file, &found), ST_NOTFOUND);
}

/* ---- watching ----------------------------------------------------------------------------- */

struct watcher {
    struct loop *loop;
    struct dir_watch *watch;
    unsigned events;
    bool close_in_callback;
    struct timer watchdog;
};

static void on_late(void *ctx)
{
    fail_msg("no event within ten seconds");
}

static void on_event(void *ctx)
{
    struct watcher *w = ctx;

    w->events++;
    if (w->close_in_callback) {
        dir_watch_close(w->watch);
        w->watch = NULL;
    }
}

static int set_up(void **state)
{
    static struct watcher w;

    memset(&w, 0, sizeof w);
    if (loop_uv_new(&w.loop, NULL) != ST_OK)
        return -1;
    timer_init(&w.watchdog, w.loop, on_late, &w);
    timer_start(&w.watchdog, 10000);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct watcher *w = *state;

    timer_stop(&w->watchdog);
    dir_watch_close(w->watch);
    loop_uv_free(w->loop);
    remove(OUR_FILE);
    return 0;
}

static void new_file_is_told(void **state)
{
    struct watcher *w = *state;

    assert_int_equal(dir_watch_open(&w->watch, w->loop, ".", on_event, w, NULL), ST_OK);
    touch();
    while (w->events == 0)
        loop_uv_run_once(w->loop);
}

static void watch_may_be_closed_in_its_callback(void **state)
{
    struct watcher *w = *state;

    w->close_in_callback = true;
    assert_int_equal(dir_watch_open(&w->watch, w->loop, ".", on_event, w, NULL), ST_OK);
    touch();
    while (w->events == 0)
        loop_uv_run_once(w->loop);
    assert_int_equal(w->events, 1);
}

static void watch_of_no_folder_says_so(void **state)
{
    struct watcher *w = *state;
    struct errmsg e = { "" };

    assert_int_equal(dir_watch_open(&w->watch, w->loop, "no-such-folder", on_event, w, &e),
                     ST_NOTFOUND);
    assert_non_null(strstr(e.text, "no-such-folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_names_each_entry_once),
        cmocka_unit_test(scan_of_no_folder_finds_none),
        cmocka_unit_test_setup_teardown(new_file_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watch_may_be_closed_in_its_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watch_of_no_folder_says_so, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
