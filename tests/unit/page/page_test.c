/* SPDX-License-Identifier: Apache-2.0
 * What is written into the page stays data; what a browser makes of it is asked of one, in
 * tests/system/linux/page_test.py.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "page/page.h"

#include <string.h>

struct sink {
    char text[128 * 1024];
    size_t len, room;
};

static bool take(void *ctx, const void *data, size_t len_bytes)
{
    struct sink *s = ctx;

    if (len_bytes > s->room || s->len + len_bytes >= sizeof s->text)
        return false;
    memcpy(s->text + s->len, data, len_bytes);
    s->len += len_bytes;
    s->room -= len_bytes;
    s->text[s->len] = '\0';
    return true;
}

static struct sink *sink(size_t room)
{
    static struct sink s;

    s = (struct sink){ .room = room };
    return &s;
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static void nothing_in_json_ends_its_element(void **state)
{
    static const struct {
        const char *json, *want;
    } rows[] = {
        { "{}", "{}" },
        { "", "" },
        { "[\"</script>\"]", "[\"\\u003c/script\\u003e\"]" },
        { "[\"<!--<script>\"]", "[\"\\u003c!--\\u003cscript\\u003e\"]" },
        { "[\"&amp;\"]", "[\"\\u0026amp;\"]" },
        { "[\"<<>>&&\"]", "[\"\\u003c\\u003c\\u003e\\u003e\\u0026\\u0026\"]" },
        { "[\"\\\"'`\"]", "[\"\\\"'`\"]" },
        { "[\"\xc3\xa9\"]", "[\"\xc3\xa9\"]" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sink *s = sink(1000);

        assert_true(page_write_json(take, s, rows[i].json, strlen(rows[i].json)));
        assert_string_equal(s->text, rows[i].want);
    }
}

/* Whatever the bytes are, even those that are no JSON. */
static void no_byte_gets_through_that_html_reads(void **state)
{
    char all[256];
    struct sink *s = sink(4096);

    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    assert_true(page_write_json(take, s, all, sizeof all));
    assert_int_equal(s->len, sizeof all + 3 * 5);
    assert_null(memchr(s->text, '<', s->len));
    assert_null(memchr(s->text, '>', s->len));
    assert_null(memchr(s->text, '&', s->len));
}

static void data_is_all_that_a_report_adds(void **state)
{
    static const char json[] = "{\"a\":1}";
    struct sink *s = sink(sizeof s->text);
    size_t len;
    const char *page = page_text(&len), *at;

    assert_true(page_write_head(take, s));
    assert_true(page_write_json(take, s, json, strlen(json)));
    assert_true(page_write_tail(take, s));
    assert_int_equal(s->len, len + strlen(json));
    at = strstr(s->text, "id=\"data\">{\"a\":1}</script>");
    assert_non_null(at);
    at += strlen("id=\"data\">");
    assert_memory_equal(s->text, page, (size_t)(at - s->text));
    assert_memory_equal(at + strlen(json), page + (at - s->text), len - (size_t)(at - s->text));
}

static void a_full_disk_is_told_wherever_it_fills(void **state)
{
    static const char json[] = "[\"a<b\"]";
    for (size_t room = 0; room < strlen(json) + 5; room++)
        assert_false(page_write_json(take, sink(room), json, strlen(json)));
    assert_true(page_write_json(take, sink(strlen(json) + 5), json, strlen(json)));
    assert_false(page_write_head(take, sink(100)));
    assert_false(page_write_tail(take, sink(100)));
}

/* Nothing from outside, no mark of the assembly left, and each element once. */
static void the_page_needs_nothing_from_outside(void **state)
{
    static const char *const none[] = { "src=",   "@import", "url(",        "@CSS@", "@JS@",
                                        "@DATA@", "@HELP@",  "innerHTML =", "eval(" };
    struct sink *s = sink(sizeof s->text);

    assert_true(page_write_head(take, s));
    assert_true(page_write_tail(take, s));
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
        if (strstr(s->text, none[i]))
            fail_msg("'%.60s'", strstr(s->text, none[i]));
    assert_int_equal(count_of(s->text, "<script"), 3);
    assert_int_equal(count_of(s->text, "</script>"), 3);
    assert_int_equal(count_of(s->text, page_policy()), 1);
    assert_non_null(strstr(page_policy(), "default-src 'none'"));
    assert_null(strstr(page_policy(), "unsafe"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_in_json_ends_its_element),
        cmocka_unit_test(no_byte_gets_through_that_html_reads),
        cmocka_unit_test(data_is_all_that_a_report_adds),
        cmocka_unit_test(a_full_disk_is_told_wherever_it_fills),
        cmocka_unit_test(the_page_needs_nothing_from_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
