/* SPDX-License-Identifier: Apache-2.0 */
#include "port/claim.h"

#include "port/addr.h"
#include "port/linux/listen_socket.h"
#include "port/uv/loop_uv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    struct addr at;
    struct loop *loop;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/rdl-claim-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->at.kind = ADDR_UNIX;
    snprintf(f->at.path, sizeof(f->at.path), "%s/d.sock", f->dir);
    assert_int_equal(loop_uv_new(&f->loop, NULL), ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->at.path);
    assert_int_equal(rmdir(f->dir), 0);
    loop_uv_free(f->loop);
    free(f);
    return 0;
}

static struct claim *open_claim(struct fixture *f)
{
    struct claim *c = NULL;
    struct errmsg e = { "" };
    if (claim_open(f->loop, &f->at, NULL, &c, NULL, &e) != ST_OK)
        fail_msg("%s", e.text);
    return c;
}

static bool can_connect(const struct fixture *f)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(to.sun_path, f->at.path, sizeof(to.sun_path));
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
    close(fd);
    return ok;
}

static void a_client_connects_while_nobody_accepts(void **state)
{
    struct fixture *f = *state;
    struct claim *c = open_claim(f);
    int listens = 0;
    socklen_t len = sizeof(listens);
    assert_int_equal(getsockopt(claim_inherit_fd(c), SOL_SOCKET, SO_ACCEPTCONN, &listens, &len), 0);
    assert_int_equal(listens, 1);
    assert_true(can_connect(f));
    assert_true(claim_still_held(c));
    claim_close(c);
    assert_int_equal(access(f->at.path, F_OK), -1);
}

static void a_taken_name_is_refused_and_its_owner_named(void **state)
{
    struct fixture *f = *state;
    struct claim *c = open_claim(f), *second = NULL;
    struct claim_owner owner;
    char self[CLAIM_IMAGE_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = '\0';
    assert_int_equal(claim_open(f->loop, &f->at, NULL, &second, &owner, NULL), ST_EXISTS);
    assert_null(second);
    assert_int_equal(owner.pid, getpid());
    assert_string_equal(owner.image, self);
    claim_close(c);
    second = open_claim(f); /* given up means free */
    claim_close(second);
}

static void a_leftover_is_replaced_and_another_file_is_not(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct claim *c;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(at.sun_path, f->at.path, sizeof(at.sun_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    close(fd); /* its file stays */
    c = open_claim(f);
    claim_close(c);

    FILE *file = fopen(f->at.path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_not_equal(claim_open(f->loop, &f->at, NULL, &c, NULL, NULL), ST_OK);
    assert_int_equal(access(f->at.path, F_OK), 0);
}

static void a_replaced_socket_is_noticed_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct claim *c = open_claim(f);
    assert_int_equal(unlink(f->at.path), 0);
    assert_false(claim_still_held(c));
    struct claim *other = open_claim(f);
    assert_false(claim_still_held(c));
    claim_close(c);
    assert_true(claim_still_held(other));
    assert_true(can_connect(f));
    claim_close(other);
}

static void other_kinds_of_address_are_refused(void **state)
{
    struct fixture *f = *state;
    struct claim *c = NULL;
    struct claim_owner owner = { .pid = 5 };
    const struct addr at = { .kind = ADDR_TCP };
    assert_int_equal(claim_open(f->loop, &at, NULL, &c, &owner, NULL), ST_UNSUPPORTED);
    assert_int_equal(owner.pid, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_connects_while_nobody_accepts),
        T(a_taken_name_is_refused_and_its_owner_named),
        T(a_leftover_is_replaced_and_another_file_is_not),
        T(a_replaced_socket_is_noticed_and_left_alone),
        T(other_kinds_of_address_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
