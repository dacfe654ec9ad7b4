/* SPDX-License-Identifier: Apache-2.0
 * A vsock dial that cannot succeed: CID 1 is this machine's own loopback, where nobody listens at
 * the port, or which the kernel does not have at all. Dials that succeed are tested in a guest.
 */
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <string.h>

static struct port_case c;

static int setup(void **state)
{
    port_case_init(&c);
    assert_int_equal(addr_parse(&c.at, "vsock:1:4294967294", NULL), ST_OK);
    return 0;
}

static int teardown(void **state)
{
    port_case_fini(&c);
    return 0;
}

static void on_end(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    assert_null(s);
    assert_non_null(strstr(why->text, "connect to vsock:1:4294967294"));
    c.dial_status = st;
    c.dials_done++;
}

/* Skips the test where the kernel has no AF_VSOCK. */
static struct dial *dial(uint64_t timeout_ms)
{
    struct dial *d = NULL;
    struct errmsg e;
    enum status st = dial_start(c.loop, &d, &c.at, timeout_ms, on_end, NULL, &e);

    if (st == ST_UNSUPPORTED)
        skip();
    assert_int_equal(st, ST_OK);
    assert_int_equal(c.dials_done, 0);
    return d;
}

static void a_dial_to_nobody_ends_with_a_reason(void **state)
{
    dial(50);
    port_case_wait(&c, c.dials_done == 1);
    assert_true(c.dial_status == ST_TIMEOUT || c.dial_status == ST_REFUSED ||
                c.dial_status == ST_UNREACHABLE);
    port_case_settle(&c);
    assert_int_equal(c.dials_done, 1);
}

static void a_cancelled_dial_says_nothing(void **state)
{
    dial_cancel(c.loop, dial(5000));
    port_case_settle(&c);
    assert_int_equal(c.dials_done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dial_to_nobody_ends_with_a_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_dial_says_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
