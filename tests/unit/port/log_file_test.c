/* SPDX-License-Identifier: Apache-2.0
 * The log's file and its renaming, with a clock of our own.
 */
#include "base/util.h"
#include "port/log_file.h"
#include "support/cmocka_all.h"
#include "support/temp_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FIRST "time=2026-11-22T10:15:00.125Z level=info component=vm msg=\"1\"\n"
enum { HOUR_MS = 3600 * 1000 };
static const int64_t first_ms = INT64_C(1795342500125);

struct fixture {
    char folder[256];
    struct log_file_config config;
    struct log_file *file;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    temp_folder_make(f->folder, sizeof f->folder);
    f->config.keep = 2;
    snprintf(f->config.path, sizeof f->config.path, "%.200s/d/e/x.log", f->folder);
    *state = f;
    return 0;
}

static void path_of(const struct fixture *f, unsigned number, char *path, size_t cap)
{
    snprintf(path, cap, number ? "%s.%u" : "%s", f->config.path, number);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[600];

    log_file_free(f->file);
    for (unsigned i = 0; i < 5; i++) {
        path_of(f, i, path, sizeof path);
        (void)remove(path);
    }
    snprintf(path, sizeof path, "%s/d/e", f->folder);
    temp_folder_remove(path);
    snprintf(path, sizeof path, "%s/d", f->folder);
    temp_folder_remove(path);
    temp_folder_remove(f->folder);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    assert_int_equal(log_file_new(&f->file, &f->config), ST_OK);
}

static enum status put(struct fixture *f, const char *text, int64_t at_ms)
{
    return log_file_write(f->file, text, strlen(text), at_ms);
}

/* "" = empty; NULL: there is no such file. */
static void expect_file(const struct fixture *f, unsigned number, const char *content)
{
    char path[600], text[512];
    size_t len;
    FILE *file;

    path_of(f, number, path, sizeof path);
    file = fopen(path, "rb");
    if (!content) {
        assert_null(file);
        return;
    }
    assert_non_null(file);
    len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    assert_string_equal(text, content);
}

static void folders_are_made_and_lines_appended(void **state)
{
    struct fixture *f = *state;

    start(f);
    assert_int_equal(put(f, "a\n", 0), ST_OK);
    assert_int_equal(put(f, "b\n", 0), ST_OK);
    log_file_free(f->file);
    start(f);
    assert_int_equal(put(f, "c\n", 0), ST_OK);
    expect_file(f, 0, "a\nb\nc\n");
    expect_file(f, 1, NULL);
}

static void a_full_file_is_renamed_and_the_oldest_goes(void **state)
{
    static const char *const lines[] = { "aaaaaa\n", "bbbbbb\n", "cccccc\n", "dddddd\n" };
    struct fixture *f = *state;

    f->config.max_bytes = 8;
    start(f);
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        assert_int_equal(put(f, lines[i], 0), ST_OK);
    expect_file(f, 0, "dddddd\n");
    expect_file(f, 1, "cccccc\n");
    expect_file(f, 2, "bbbbbb\n");
    expect_file(f, 3, NULL);
}

static void a_write_that_is_larger_than_a_file_has_one_for_itself(void **state)
{
    struct fixture *f = *state;

    f->config.max_bytes = 4;
    start(f);
    assert_int_equal(put(f, "aaaaaaaa\n", 0), ST_OK);
    assert_int_equal(put(f, "b\n", 0), ST_OK);
    expect_file(f, 1, "aaaaaaaa\n");
    expect_file(f, 0, "b\n");
}

static void nothing_is_kept_where_nothing_shall_be(void **state)
{
    struct fixture *f = *state;

    f->config.max_bytes = 4;
    f->config.keep = 0;
    start(f);
    assert_int_equal(put(f, "aaa\n", 0), ST_OK);
    assert_int_equal(put(f, "b\n", 0), ST_OK);
    expect_file(f, 0, "b\n");
    expect_file(f, 1, NULL);
}

static void an_old_file_is_renamed_whatever_its_size(void **state)
{
    struct fixture *f = *state;

    f->config.max_age_ms = HOUR_MS;
    start(f);
    assert_int_equal(put(f, "a\n", first_ms), ST_OK);
    assert_int_equal(put(f, "b\n", first_ms + HOUR_MS - 1), ST_OK);
    expect_file(f, 1, NULL);
    assert_int_equal(put(f, "c\n", first_ms + HOUR_MS), ST_OK);
    expect_file(f, 1, "a\nb\n");
    expect_file(f, 0, "c\n");
}

static void the_age_goes_on_over_a_restart(void **state)
{
    struct fixture *f = *state;

    f->config.max_age_ms = HOUR_MS;
    start(f);
    assert_int_equal(put(f, FIRST, first_ms), ST_OK);
    log_file_free(f->file);
    start(f);
    assert_int_equal(put(f, "later\n", first_ms + HOUR_MS), ST_OK);
    expect_file(f, 1, FIRST);
    expect_file(f, 0, "later\n");
}

static void a_file_that_somebody_took_away_is_made_anew(void **state)
{
    struct fixture *f = *state;
    char aside[600];

    start(f);
    assert_int_equal(put(f, "a\n", first_ms), ST_OK);
    path_of(f, 4, aside, sizeof aside);
    assert_int_equal(rename(f->config.path, aside), 0);
    assert_int_equal(put(f, "b\n", first_ms + 2000), ST_OK);
    expect_file(f, 0, "b\n");
    expect_file(f, 4, "a\n");
}

static void a_folder_that_cannot_be_is_told_and_tried_again(void **state)
{
    struct fixture *f = *state;
    char path[600];
    FILE *file;

    snprintf(path, sizeof path, "%s/d", f->folder);
    file = fopen(path, "wb"); /* no folder can be there */
    assert_non_null(file);
    fclose(file);
    start(f);
    assert_int_not_equal(put(f, "a\n", 0), ST_OK);
    assert_int_equal(remove(path), 0);
    assert_int_equal(put(f, "b\n", 0), ST_OK);
    expect_file(f, 0, "b\n");
}

static void a_file_that_cannot_be_renamed_grows_to_a_bound_only(void **state)
{
    struct fixture *f = *state;
    char path[600];
    uv_fs_t req;

    f->config.max_bytes = 8;
    f->config.keep = 1;
    start(f);
    assert_int_equal(put(f, "aaaaaa\n", 0), ST_OK);
    path_of(f, 1, path, sizeof path); /* a folder with something in it takes no name */
    assert_int_equal(uv_fs_mkdir(NULL, &req, path, 0700, NULL), 0);
    assert_int_equal(put(f, "bbbbbb\n", 0), ST_OK);
    assert_int_not_equal(put(f, "cccccc\n", 0), ST_OK);
    expect_file(f, 0, "aaaaaa\nbbbbbb\n");
    temp_folder_remove(path);
    assert_int_equal(put(f, "cccccc\n", 0), ST_OK);
    expect_file(f, 1, "aaaaaa\nbbbbbb\n");
    expect_file(f, 0, "cccccc\n");
}

static void a_path_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    struct log_file_config empty = { .path = "" }, endless = f->config;

    memset(endless.path, 'x', sizeof endless.path);
    assert_int_equal(log_file_new(&f->file, &empty), ST_INVAL);
    assert_int_equal(log_file_new(&f->file, &endless), ST_INVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(folders_are_made_and_lines_appended),
        TEST(a_full_file_is_renamed_and_the_oldest_goes),
        TEST(a_write_that_is_larger_than_a_file_has_one_for_itself),
        TEST(nothing_is_kept_where_nothing_shall_be),
        TEST(an_old_file_is_renamed_whatever_its_size),
        TEST(the_age_goes_on_over_a_restart),
        TEST(a_file_that_somebody_took_away_is_made_anew),
        TEST(a_folder_that_cannot_be_is_told_and_tried_again),
        TEST(a_file_that_cannot_be_renamed_grows_to_a_bound_only),
        TEST(a_path_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
