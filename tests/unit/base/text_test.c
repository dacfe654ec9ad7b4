/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/text.h"
#include "base/util.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool out_of_memory;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(p, size);
}

static void an_empty_one_is_a_text(void **state)
{
    struct text t = { 0 };
    size_t len = 1;
    char *text = text_take(&t, &len);

    assert_string_equal(text, "");
    assert_int_equal(len, 0);
    free(text);
}

static void what_is_added_and_printed_follows_each_other(void **state)
{
    struct text t = { 0 };
    size_t len;
    char *text;

    text_printf(&t, "%s=%d;", "a", 1);
    text_add(&t, "bcd", 2);
    text_printf(&t, "%s", "");
    assert_string_equal(t.chars, "a=1;bc");
    text = text_take(&t, &len);
    assert_string_equal(text, "a=1;bc");
    assert_int_equal(len, 6);
    assert_null(t.chars);
    free(text);
}

static void bytes_of_zero_are_kept(void **state)
{
    struct text t = { 0 };

    text_add(&t, "a\0b", 3);
    assert_int_equal(t.len_bytes, 3);
    assert_memory_equal(t.chars, "a\0b", 4);
    text_fini(&t);
}

static void each_length_across_a_growth_is_whole_and_terminated(void **state)
{
    char many[5000];

    memset(many, 'x', sizeof many);
    for (size_t have = 1000; have < 1050; have++) {
        for (size_t more = 0; more < 50; more++) {
            struct text t = { 0 };

            text_add(&t, many, have);
            text_printf(&t, "%.*s", (int)more, many);
            assert_int_equal(t.len_bytes, have + more);
            assert_int_equal(strlen(t.chars), have + more);
            text_fini(&t);
        }
    }
}

static void a_long_line_is_not_cut(void **state)
{
    struct text t = { 0 };
    char many[5000];

    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    text_printf(&t, "%s!", many);
    assert_int_equal(t.len_bytes, sizeof many);
    assert_int_equal(t.chars[sizeof many - 1], '!');
    text_fini(&t);
}

static void a_lack_of_memory_is_told_at_the_end(void **state)
{
    struct text t = { 0 };
    char many[2000] = { 0 };

    text_add(&t, "before", 6);
    out_of_memory = true;
    text_add(&t, many, sizeof many);
    out_of_memory = false;
    text_add(&t, "after", 5);
    text_printf(&t, "after");
    assert_string_equal(t.chars, "before");
    assert_null(text_take(&t, NULL));
    text_add(&t, "anew", 4);
    assert_string_equal(t.chars, "anew");
    text_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_is_a_text),
        cmocka_unit_test(what_is_added_and_printed_follows_each_other),
        cmocka_unit_test(bytes_of_zero_are_kept),
        cmocka_unit_test(each_length_across_a_growth_is_whole_and_terminated),
        cmocka_unit_test(a_long_line_is_not_cut),
        cmocka_unit_test(a_lack_of_memory_is_told_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
