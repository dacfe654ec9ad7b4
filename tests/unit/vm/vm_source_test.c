/* SPDX-License-Identifier: Apache-2.0
 * The folder here is a table: this file stands in for port/dir_watch.
 */
#include "port/dir_watch.h"
#include "port/sim/loop_sim.h"
#include "support/cmocka_all.h"
#include "vm/vm_source.h"

#include <stdio.h>
#include <string.h>

/* ---- the folder --------------------------------------------------------------------------- */

enum { ENTRIES_MAX = 40 };

static struct {
    bool exists;
    struct {
        char name[80];
        enum dir_entry_kind kind;
    } entries[ENTRIES_MAX];
    unsigned count;
    unsigned scans, watches;
    dir_watch_fn *on_event;
    void *ctx;
} folder;

enum status dir_scan(const char *path, dir_entry_fn *fn, void *ctx)
{
    assert_string_equal(path, "/vms");
    folder.scans++;
    if (!folder.exists)
        return ST_NOTFOUND;
    for (unsigned i = 0; i < folder.count; i++)
        fn(ctx, folder.entries[i].name, folder.entries[i].kind);
    return ST_OK;
}

enum status dir_watch_open(struct dir_watch **out, struct loop *loop, const char *path,
                           dir_watch_fn *fn, void *ctx, struct errmsg *e)
{
    if (!folder.exists)
        return ST_NOTFOUND;
    folder.watches++;
    folder.on_event = fn;
    folder.ctx = ctx;
    *out = (struct dir_watch *)(void *)&folder;
    return ST_OK;
}

void dir_watch_close(struct dir_watch *w)
{
    if (w)
        folder.watches--;
}

static void put(const char *name, enum dir_entry_kind kind)
{
    snprintf(folder.entries[folder.count].name, sizeof folder.entries[0].name, "%s", name);
    folder.entries[folder.count++].kind = kind;
}

/* ---- the source --------------------------------------------------------------------------- */

struct world {
    struct sim *sim;
    struct vm_source *source;
    struct vm_snapshot last;
    unsigned told;
    bool close_in_callback;
};

static void on_snapshot(void *ctx, const struct vm_snapshot *snap)
{
    struct world *w = ctx;

    w->last = *snap;
    w->told++;
    if (w->close_in_callback) {
        vm_source_close(w->source);
        w->source = NULL;
    }
}

static int set_up(void **state)
{
    static struct world w;

    memset(&folder, 0, sizeof folder);
    memset(&w, 0, sizeof w);
    folder.exists = true;
    w.sim = sim_new();
    *state = &w;
    return 0;
}

static void open_source(struct world *w)
{
    assert_int_equal(vm_source_folder_open(&w->source, sim_loop(w->sim), "/vms", on_snapshot, w,
                                           NULL),
                     ST_OK);
    assert_int_equal(w->told, 0); /* never from within open */
    sim_run(w->sim);
}

static int tear_down(void **state)
{
    struct world *w = *state;

    vm_source_close(w->source);
    assert_int_equal(folder.watches, 0);
    sim_free(w->sim);
    return 0;
}

static void machines_are_told_at_once_with_their_addresses(void **state)
{
    struct world *w = *state;
    char text[ADDR_TEXT_MAX];

    put("alpha.vsock", DIR_ENTRY_SOCKET);
    put("beta-2.vsock", DIR_ENTRY_UNKNOWN);
    open_source(w);
    assert_int_equal(w->told, 1);
    assert_true(w->last.source_exists);
    assert_int_equal(w->last.count, 2);
    assert_string_equal(w->last.vms[0].id, "alpha");
    assert_string_equal(w->last.vms[1].id, "beta-2");
    assert_string_equal(addr_format(&w->last.vms[0].addr, text, sizeof text),
                        "vsock-hybrid:/vms/alpha.vsock");
}

static void absent_folder_is_an_empty_snapshot_and_may_appear_later(void **state)
{
    struct world *w = *state;

    folder.exists = false;
    open_source(w);
    assert_int_equal(w->told, 1);
    assert_false(w->last.source_exists);
    sim_advance_ms(w->sim, 3000);
    assert_int_equal(w->told, 1);
    put("a.vsock", DIR_ENTRY_SOCKET);
    folder.exists = true;
    sim_advance_ms(w->sim, 200);
    assert_int_equal(w->told, 2);
    assert_int_equal(w->last.count, 1);
    assert_int_equal(folder.watches, 1);
    folder.exists = false;
    sim_advance_ms(w->sim, 1000);
    assert_int_equal(w->told, 3);
    assert_false(w->last.source_exists);
    assert_int_equal(w->last.count, 0);
    assert_int_equal(folder.watches, 0); /* it looked at a folder that is gone */
}

static void empty_folder_is_there_and_empty(void **state)
{
    struct world *w = *state;

    open_source(w);
    assert_int_equal(w->told, 1);
    assert_true(w->last.source_exists);
    assert_int_equal(w->last.count, 0);
}

static void change_is_seen_soon_and_a_storm_of_them_once(void **state)
{
    struct world *w = *state;
    unsigned scans;

    open_source(w);
    scans = folder.scans;
    put("a.vsock", DIR_ENTRY_SOCKET);
    for (unsigned i = 0; i < 1000; i++)
        folder.on_event(folder.ctx);
    sim_advance_ms(w->sim, 20);
    assert_int_equal(w->told, 2);
    assert_int_equal(folder.scans, scans + 1);
}

static void change_that_the_watch_missed_is_seen_within_a_second(void **state)
{
    struct world *w = *state;

    open_source(w);
    put("a.vsock", DIR_ENTRY_SOCKET);
    sim_advance_ms(w->sim, 1000);
    assert_int_equal(w->told, 2);
}

static void nothing_new_is_not_told(void **state)
{
    struct world *w = *state;

    put("a.vsock", DIR_ENTRY_SOCKET);
    open_source(w);
    sim_advance_ms(w->sim, 10000);
    assert_int_equal(w->told, 1);
    assert_int_equal(folder.scans, 11);
    vm_source_rescan(w->source);
    sim_run(w->sim);
    assert_int_equal(folder.scans, 12);
}

static void junk_is_ignored_and_counted(void **state)
{
    struct world *w = *state;

    put("a.vsock", DIR_ENTRY_SOCKET);
    put("a.vsock_6656", DIR_ENTRY_SOCKET); /* ours; not a machine, not junk */
    put("notes.txt", DIR_ENTRY_OTHER);
    put("file.vsock", DIR_ENTRY_OTHER);
    put(".vsock", DIR_ENTRY_SOCKET);
    put("two words.vsock", DIR_ENTRY_SOCKET);
    put("\xff\x1b[2J.vsock", DIR_ENTRY_SOCKET);
    put("0123456789012345678901234567890123456789012345678901234567890123.vsock", DIR_ENTRY_SOCKET);
    open_source(w);
    assert_int_equal(w->last.count, 1);
    assert_int_equal(w->last.ignored, 5);
}

static void machines_above_the_limit_are_counted(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < VM_SNAPSHOT_MAX + 2; i++) {
        char name[32];

        snprintf(name, sizeof name, "vm%02u.vsock", i);
        put(name, DIR_ENTRY_SOCKET);
    }
    open_source(w);
    assert_int_equal(w->last.count, VM_SNAPSHOT_MAX);
    assert_int_equal(w->last.ignored, 2);
}

static void source_may_be_closed_in_its_callback(void **state)
{
    struct world *w = *state;

    w->close_in_callback = true;
    open_source(w);
    assert_int_equal(w->told, 1);
    assert_int_equal(folder.watches, 0);
}

static void folder_whose_sockets_have_no_room_is_refused(void **state)
{
    struct world *w = *state;
    struct errmsg e = { "" };
    char longer[ADDR_PATH_MAX];

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(vm_source_folder_open(&w->source, sim_loop(w->sim), longer, on_snapshot, w,
                                           &e),
                     ST_INVAL);
    assert_non_null(strstr(e.text, "too long"));
    assert_int_equal(vm_source_folder_open(&w->source, sim_loop(w->sim), "", on_snapshot, w, &e),
                     ST_INVAL);
}

/* ---- the fixed list ----------------------------------------------------------------------- */

static void fixed_list_is_told_once_and_again_when_asked(void **state)
{
    struct world *w = *state;
    const struct vm_info vm = { .id = "one", .addr = { .kind = ADDR_VSOCK, .cid = 7 } };

    assert_int_equal(vm_source_fixed_open(&w->source, sim_loop(w->sim), &vm, 1, on_snapshot, w,
                                          NULL),
                     ST_OK);
    assert_int_equal(w->told, 0);
    sim_advance_ms(w->sim, 10000);
    assert_int_equal(w->told, 1);
    assert_string_equal(w->last.vms[0].id, "one");
    assert_int_equal(w->last.vms[0].addr.cid, 7);
    vm_source_rescan(w->source);
    sim_run(w->sim);
    assert_int_equal(w->told, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(machines_are_told_at_once_with_their_addresses),
        T(absent_folder_is_an_empty_snapshot_and_may_appear_later),
        T(empty_folder_is_there_and_empty),
        T(change_is_seen_soon_and_a_storm_of_them_once),
        T(change_that_the_watch_missed_is_seen_within_a_second),
        T(nothing_new_is_not_told),
        T(junk_is_ignored_and_counted),
        T(machines_above_the_limit_are_counted),
        T(source_may_be_closed_in_its_callback),
        T(folder_whose_sockets_have_no_room_is_refused),
        T(fixed_list_is_told_once_and_again_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
