/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the configuration file's reader with a table that has every kind of option.
 *
 * Checked: every string in the result is terminated, numbers keep to their bounds, a refusal says
 * why and where.
 */
#include "base/option_source.h"
#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

struct config {
    bool flag;
    uint32_t number, any_number, duration;
    char text[OPTION_VALUE_MAX], checked[OPTION_VALUE_MAX];
    struct option_list list;
};

static enum status check_no_x(const char *value, struct errmsg *e)
{
    ASSERT(strlen(value) < OPTION_VALUE_MAX);
    if (!strchr(value, 'x'))
        return ST_OK;
    errmsg_set(e, "there is an x in it");
    return ST_INVAL;
}

static const struct option table[] = {
    { "verbose", OPTION_FLAG, offsetof(struct config, flag), NULL, 0, 0, NULL, NULL, "a flag" },
    { "max-connections", OPTION_UINT, offsetof(struct config, number), "10", 1, 1000, NULL, "N",
      "a number with bounds" },
    { "port", OPTION_UINT, offsetof(struct config, any_number), NULL, 0, 0, NULL, "N",
      "any number" },
    { "drain-timeout", OPTION_DURATION, offsetof(struct config, duration), "5s", 0, 60000, NULL,
      "TIME", "a duration" },
    { "target", OPTION_STRING, offsetof(struct config, text), "unix:/x", 0, 0, NULL, "ADDR",
      "a string" },
    { "name", OPTION_STRING, offsetof(struct config, checked), NULL, 0, 0, check_no_x, "NAME",
      "a string with a check" },
    { "listen", OPTION_LIST, offsetof(struct config, list), NULL, 0, 0, NULL, "ADDR", "a list" },
};

static void check_terminated(const char *text)
{
    ASSERT(memchr(text, '\0', OPTION_VALUE_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static struct config c;
    struct errmsg e = { .text = "" };
    struct option_source source = { .table = table, .count = ARRAY_SIZE(table), .config = &c };
    enum status st;

    options_defaults(table, ARRAY_SIZE(table), &c);
    st = option_source_text(&source, "fuzz.conf", (const char *)data, len_bytes, &e);
    ASSERT(st == ST_OK || !strncmp(e.text, "fuzz.conf:", 10));
    ASSERT(c.number >= 1 && c.number <= 1000);
    ASSERT(c.duration <= 60000);
    ASSERT(c.list.count <= OPTION_LIST_MAX);
    check_terminated(c.text);
    check_terminated(c.checked);
    for (unsigned i = 0; i < c.list.count; i++)
        check_terminated(c.list.items[i]);
    return 0;
}
