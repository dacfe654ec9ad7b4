/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_watch.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "id@cid" words; the result of a diff is written the same way, "-" for gone, "+" for come. */
static struct vm_snapshot snapshot(const char *words)
{
    struct vm_snapshot s = { .source_exists = true };

    while (*words) {
        struct vm_info *vm = &s.vms[s.count++];
        size_t id_bytes = strcspn(words, "@");
        char *end;

        memcpy(vm->id, words, id_bytes);
        vm->addr.kind = ADDR_VSOCK;
        vm->addr.cid = (uint32_t)strtoul(words + id_bytes + 1, &end, 10);
        words = end + strspn(end, " ");
    }
    return s;
}

static void note(char *log, char sign, const struct vm_info *vm)
{
    size_t at = strlen(log);

    snprintf(log + at, 256 - at, "%c%s@%u ", sign, vm->id, (unsigned)vm->addr.cid);
}

static void on_gone(void *ctx, const struct vm_info *vm)
{
    note(ctx, '-', vm);
}

static void on_come(void *ctx, const struct vm_info *vm)
{
    note(ctx, '+', vm);
}

static const struct vm_watch_ops ops = { on_gone, on_come };

static const struct {
    const char *name, *was, *is, *want;
} rows[] = {
    { "nothing to nothing", "", "", "" },
    { "the first machine", "", "a@3", "+a@3 " },
    { "unchanged", "a@3 b@4", "a@3 b@4", "" },
    { "order means nothing", "a@3 b@4", "b@4 a@3", "" },
    { "one goes", "a@3 b@4", "b@4", "-a@3 " },
    { "one comes and one goes: gone first", "a@3", "b@4", "-a@3 +b@4 " },
    { "same id at another address", "a@3", "a@5", "-a@3 +a@5 " },
    { "the first of two equal ids counts", "", "a@3 a@4", "+a@3 " },
    { "... and stays", "a@3", "a@3 a@4", "" },
    { "all go", "a@3 b@4 c@5", "", "-a@3 -b@4 -c@5 " },
};

static void diff_tells_who_came_and_who_went(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vm_snapshot was = snapshot(rows[i].was), is = snapshot(rows[i].is);
        char log[256] = "";
        bool any = vm_watch_diff(&was, &is, &ops, log);

        if (strcmp(log, rows[i].want) != 0 || any != (rows[i].want[0] != '\0'))
            fail_msg("%s: got \"%s\", want \"%s\"", rows[i].name, log, rows[i].want);
    }
}

static void same_sees_what_a_reader_sees(void **state)
{
    struct vm_snapshot a = snapshot("a@3 b@4"), b = snapshot("a@3 b@4");

    assert_true(vm_watch_is_same(&a, &b));
    b.ignored = 1;
    assert_false(vm_watch_is_same(&a, &b));
    b = a;
    b.source_exists = false;
    assert_false(vm_watch_is_same(&a, &b));
    b = snapshot("a@3 b@9");
    assert_false(vm_watch_is_same(&a, &b));
    b = snapshot("a@3");
    assert_false(vm_watch_is_same(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diff_tells_who_came_and_who_went),
        cmocka_unit_test(same_sees_what_a_reader_sees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
