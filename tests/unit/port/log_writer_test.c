/* SPDX-License-Identifier: Apache-2.0
 * The thread that writes the log: from several threads, with a folder that is not there at first,
 * and with more than it can keep. Runs under ThreadSanitizer too.
 */
#include "base/log_line.h"
#include "port/log_writer.h"
#include "port/sys.h"
#include "support/cmocka_all.h"
#include "support/temp_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { THREADS = 4, LINES = 500, WAIT_MS = 10000 };

struct fixture {
    char folder[256], blocker[300];
    struct log_file_config config;
    struct log_writer *writer;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    temp_folder_make(f->folder, sizeof f->folder);
    snprintf(f->blocker, sizeof f->blocker, "%s/d", f->folder);
    snprintf(f->config.path, sizeof f->config.path, "%s/d/x.log", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)remove(f->config.path);
    temp_folder_remove(f->blocker);
    temp_folder_remove(f->folder);
    free(f);
    return 0;
}

static void say(struct fixture *f, const char *text)
{
    const struct log_record r = { .level = LOG_INFO, .process = "test", .text = text };

    log_writer_sink(f->writer, &r);
}

static void say_many(void *ctx)
{
    for (unsigned i = 0; i < LINES; i++)
        say(ctx, "from a thread");
}

/* A file where the folder should be. */
static void block(struct fixture *f)
{
    FILE *file = fopen(f->blocker, "wb");

    assert_non_null(file);
    fclose(file);
}

/* Lines of the file that can be read, and how many of them have @with in their text. */
static unsigned count(const struct fixture *f, const char *with, unsigned *found)
{
    static char line[LOG_LINE_MAX];
    FILE *file = fopen(f->config.path, "rb");
    unsigned lines = 0;
    struct log_line l;

    *found = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_true(log_line_parse(&l, line, strcspn(line, "\n")));
        *found += strstr(l.text, with) != NULL;
        lines++;
    }
    fclose(file);
    return lines;
}

static enum status state_of(struct fixture *f, uint64_t *dropped)
{
    struct log_writer_state s;

    log_writer_state(f->writer, &s);
    *dropped = s.dropped;
    return s.st;
}

static void wait_for(struct fixture *f, bool is_good)
{
    uint64_t end_ms = sys_monotonic_ms() + WAIT_MS, dropped;

    while ((state_of(f, &dropped) == ST_OK) != is_good && sys_monotonic_ms() < end_ms)
        uv_sleep(1);
    assert_int_equal(state_of(f, &dropped) == ST_OK, is_good);
}

static void every_line_of_every_thread_arrives_whole(void **state)
{
    struct fixture *f = *state;
    uv_thread_t threads[THREADS];
    unsigned found;

    assert_int_equal(log_writer_open(&f->writer, &f->config), ST_OK);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_create(&threads[i], say_many, f), 0);
    for (unsigned i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    log_writer_close(f->writer);
    assert_int_equal(count(f, "from a thread", &found), THREADS * LINES);
    assert_int_equal(found, THREADS * LINES);
}

static void what_was_said_while_it_could_not_be_written_is_there_later(void **state)
{
    struct fixture *f = *state;
    uint64_t dropped;
    unsigned found;

    block(f);
    assert_int_equal(log_writer_open(&f->writer, &f->config), ST_OK);
    say(f, "in need");
    wait_for(f, false);
    assert_int_equal(remove(f->blocker), 0);
    wait_for(f, true);
    state_of(f, &dropped);
    assert_int_equal(dropped, 0);
    log_writer_close(f->writer);
    assert_int_equal(count(f, "in need", &found), 1);
    assert_int_equal(found, 1);
}

static void what_does_not_fit_is_counted_and_told(void **state)
{
    enum { MORE_THAN_FITS = 2 * LOG_WRITER_BUFFER_BYTES / 60 };
    struct fixture *f = *state;
    uint64_t dropped;
    unsigned found, lines;
    char want[64];

    block(f);
    assert_int_equal(log_writer_open(&f->writer, &f->config), ST_OK);
    say(f, "first");
    wait_for(f, false);
    for (unsigned i = 0; i < MORE_THAN_FITS; i++)
        say(f, "one of too many");
    state_of(f, &dropped);
    assert_in_range(dropped, 1, MORE_THAN_FITS - 1);
    assert_int_equal(remove(f->blocker), 0);
    wait_for(f, true);
    say(f, "last");
    log_writer_close(f->writer);
    snprintf(want, sizeof want, "lines=%u could not be written here", (unsigned)dropped);
    lines = count(f, want, &found);
    assert_int_equal(found, 1);
    assert_int_equal(lines, 1 + MORE_THAN_FITS - dropped + 1 + 1);
}

static void it_ends_in_time_when_nothing_can_be_written(void **state)
{
    struct fixture *f = *state;

    block(f);
    assert_int_equal(log_writer_open(&f->writer, &f->config), ST_OK);
    say(f, "in vain");
    wait_for(f, false);
    log_writer_close(f->writer);
    assert_int_equal(remove(f->blocker), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_line_of_every_thread_arrives_whole),
        TEST(what_was_said_while_it_could_not_be_written_is_there_later),
        TEST(what_does_not_fit_is_counted_and_told),
        TEST(it_ends_in_time_when_nothing_can_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
