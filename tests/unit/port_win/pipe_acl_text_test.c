/* SPDX-License-Identifier: Apache-2.0 */
#include "port/win/pipe_acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define USER  "S-1-5-21-1-2-3-1001"
#define GROUP "S-1-5-21-1-2-3-1002"
#define HEAD  "D:P(D;;GA;;;AN)(A;;GA;;;SY)(A;;GA;;;BA)"
#define LABEL "S:(ML;;NW;;;ME)"

static const struct {
    const char *name;
    struct pipe_acl acl;
    enum status want;
    const char *text;
} rows[] = {
    { "system without clients",
      { .as_system = true, .self_sid = "S-1-5-18" },
      ST_OK,
      "O:SYG:SY" HEAD LABEL },
    { "a user's own server gets full access and claims no owner",
      { .self_sid = USER },
      ST_OK,
      HEAD "(A;;GA;;;" USER ")" LABEL },
    { "clients may not add instances",
      { .as_system = true, .clients = { USER, GROUP }, .client_count = 2 },
      ST_OK,
      "O:SYG:SY" HEAD "(A;;0x12019b;;;" USER ")(A;;0x12019b;;;" GROUP ")" LABEL },
    { "an alias is not taken for a SID",
      { .as_system = true, .clients = { "WD" }, .client_count = 1 },
      ST_INVAL,
      NULL },
    { "a SID that would end the entry early",
      { .as_system = true, .clients = { USER ")(A;;GA;;;WD" }, .client_count = 1 },
      ST_INVAL,
      NULL },
    { "an empty SID", { .as_system = true, .clients = { "" }, .client_count = 1 }, ST_INVAL, NULL },
    { "a SID without a body", { .self_sid = "S-1-" }, ST_INVAL, NULL },
};

static void descriptor_of_each_kind_of_server(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[PIPE_ACL_TEXT_MAX];
        struct errmsg e = { "" };
        enum status st = pipe_acl_text(text, sizeof(text), &rows[i].acl, &e);
        if (st != rows[i].want)
            fail_msg("%s: %s (%s)", rows[i].name, status_name(st), e.text);
        if (rows[i].text && strcmp(text, rows[i].text) != 0)
            fail_msg("%s: got %s", rows[i].name, text);
    }
}

static void a_client_mask_lacks_the_right_to_add_instances(void **state)
{
    const struct pipe_acl acl = { .as_system = true, .clients = { USER }, .client_count = 1 };
    char text[PIPE_ACL_TEXT_MAX];
    assert_int_equal(pipe_acl_text(text, sizeof(text), &acl, NULL), ST_OK);
    const char *mask = strstr(text, "(A;;0x");
    assert_non_null(mask);
    unsigned long bits = strtoul(mask + 4, NULL, 16);
    assert_int_equal(bits & 0x4, 0);             /* FILE_CREATE_PIPE_INSTANCE */
    assert_int_equal(bits & 0x3, 0x3);           /* read and write data */
    assert_int_equal(bits & 0x100000, 0x100000); /* synchronize */
    assert_int_equal(bits & 0x000d0000, 0);      /* delete, write DAC, write owner */
}

static void a_descriptor_that_does_not_fit_is_refused_at_every_length(void **state)
{
    const struct pipe_acl acl = { .as_system = true, .clients = { USER }, .client_count = 1 };
    char whole[PIPE_ACL_TEXT_MAX], part[PIPE_ACL_TEXT_MAX];
    assert_int_equal(pipe_acl_text(whole, sizeof(whole), &acl, NULL), ST_OK);
    for (size_t cap = 1; cap <= strlen(whole); cap++)
        assert_int_equal(pipe_acl_text(part, cap, &acl, NULL), ST_FULL);
    assert_int_equal(pipe_acl_text(part, strlen(whole) + 1, &acl, NULL), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptor_of_each_kind_of_server),
        cmocka_unit_test(a_client_mask_lacks_the_right_to_add_instances),
        cmocka_unit_test(a_descriptor_that_does_not_fit_is_refused_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
