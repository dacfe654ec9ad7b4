/* SPDX-License-Identifier: Apache-2.0
 * A real file, in the folder that the test is run in, and a virtual clock.
 */
#include "support/cmocka_all.h"

#include "base/log.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"
#include "status/snapshot.h"
#include "status/status_file.h"
#include "status/status_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUR_FILE "status_file_test.tmp"

struct fixture {
    struct sim *sim;
    struct status_server *server;
    struct status_file *file;
    enum snapshot_phase phase;
    unsigned counter, lines;
};

static void fill(void *ctx, struct snapshot *out)
{
    struct fixture *f = ctx;

    snapshot_init(out, "rdlinkd", "0.1.0", 255, 4096);
    out->phase = f->phase;
    out->left_out = f->counter;
}

static const struct status_server_ops ops = { .fill = fill };

static void count_line(void *ctx, const struct log_record *r)
{
    struct fixture *f = ctx;

    f->lines += r->level >= LOG_WARN;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct errmsg e;
    struct addr at;

    assert_non_null(f);
    remove(OUR_FILE);
    log_set_sink(count_line, f);
    f->sim = sim_new();
    assert_int_equal(addr_parse(&at, "unix:/run/status.sock", &e), ST_OK);
    assert_int_equal(status_server_new(&f->server, sim_loop(f->sim), &at, NULL, &ops, f, &e),
                     ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    status_file_free(f->file);
    status_server_free(f->server);
    sim_free(f->sim);
    log_set_sink(NULL, NULL);
    free(f);
    remove(OUR_FILE);
    return 0;
}

static bool file_has(const char *what)
{
    static char text[65536];
    FILE *f = fopen(OUR_FILE, "rb");
    size_t n;

    if (!f)
        return false;
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return strstr(text, what) != NULL;
}

static void open_file(struct fixture *f, const char *path)
{
    assert_int_equal(status_file_new(&f->file, sim_loop(f->sim), f->server, path), ST_OK);
    sim_run(f->sim);
}

static void change(struct fixture *f, enum snapshot_phase to)
{
    f->phase = to;
    status_server_changed(f->server);
    status_file_changed(f->file);
    sim_run(f->sim);
}

static void each_change_is_there_within_a_second(void **state)
{
    struct fixture *f = *state;

    open_file(f, OUR_FILE);
    assert_true(file_has("\"phase\":\"Starting\""));
    change(f, PHASE_READY);
    change(f, PHASE_DEGRADED);
    assert_true(file_has("\"phase\":\"Starting\""));
    sim_advance_ms(f->sim, STATUS_FILE_PACE_MS);
    assert_true(file_has("\"phase\":\"Degraded\""));
}

static void counters_alone_are_written_every_ten_seconds(void **state)
{
    struct fixture *f = *state;

    open_file(f, OUR_FILE);
    f->counter = 7;
    sim_advance_ms(f->sim, STATUS_FILE_COUNTER_MS - 1);
    assert_true(file_has("\"generation\":1,"));
    sim_advance_ms(f->sim, 1);
    assert_true(file_has("\"generation\":2,"));
}

static void the_last_word_is_written_at_the_end(void **state)
{
    struct fixture *f = *state;

    open_file(f, OUR_FILE);
    change(f, PHASE_STOPPING);
    status_file_free(f->file);
    f->file = NULL;
    assert_true(file_has("\"phase\":\"Stopping\""));
}

static void a_place_that_cannot_be_written_is_a_line_and_tried_again(void **state)
{
    struct fixture *f = *state;

    open_file(f, "no-such-folder/status.json");
    assert_int_equal(f->lines, 1);
    sim_advance_ms(f->sim, STATUS_FILE_PACE_MS);
    change(f, PHASE_READY);
    assert_int_equal(f->lines, 2);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(each_change_is_there_within_a_second),
        WITH_SERVER(counters_alone_are_written_every_ten_seconds),
        WITH_SERVER(the_last_word_is_written_at_the_end),
        WITH_SERVER(a_place_that_cannot_be_written_is_a_line_and_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
