/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "cli/redact.h"

#include <stdlib.h>
#include <string.h>

static const struct redact_names anna = { "/home/anna", { "anna", "berg" } };
static const struct redact_names anna_on_windows = { "C:\\Users\\anna", { "anna", NULL } };
static const struct redact_names nobody = { NULL, { NULL, NULL } };

static char *redacted(const char *text, const struct redact_names *names, bool is_json)
{
    size_t len;
    char *out = redact(text, strlen(text), names, is_json, &len);

    assert_non_null(out);
    assert_int_equal(strlen(out), len);
    return out;
}

struct row {
    const char *name, *text, *want; /* @want NULL: unchanged */
};

static void check(const struct row *rows, size_t count, const struct redact_names *names,
                  bool is_json)
{
    for (size_t i = 0; i < count; i++) {
        char *out = redacted(rows[i].text, names, is_json);
        const char *want = rows[i].want ? rows[i].want : rows[i].text;

        if (strcmp(out, want) != 0)
            fail_msg("%s: '%s' is not '%s'", rows[i].name, out, want);
        free(out);
    }
}

static void secrets_of_files_and_logs_are_taken_out(void **state)
{
    static const struct row rows[] = {
        { "line of a file", "api-token = abc def\nmtu = 1500\n",
          "api-token = [redacted]\nmtu = 1500\n" },
        { "in quotes", "secret = \"a b\\\"c\" # x\n", "secret = \"[redacted]\" # x\n" },
        { "in single quotes", "password='a b' mtu=1", "password='[redacted]' mtu=1" },
        { "quote is not closed", "password=\"abc\nmtu = 1", "password=\"[redacted]\nmtu = 1" },
        { "carriage return", "token=abc\r\nmtu=1", "token=[redacted]\r\nmtu=1" },
        { "capitals", "API_TOKEN=abc", "API_TOKEN=[redacted]" },
        { "humps", "apiToken: abc", "apiToken: [redacted]" },
        { "key", "ssh-key=abc", "ssh-key=[redacted]" },
        { "a long name", "the_name_of_this_key_is_much_longer_than_anybody_would_type_it_token=x",
          "the_name_of_this_key_is_much_longer_than_anybody_would_type_it_token=[redacted]" },
        { "account", "endpoint-grant = CORP\\anna", "endpoint-grant = [redacted]" },
        { "argument", "rdlinkd --api-token abc --mtu 1", "rdlinkd --api-token [redacted] --mtu 1" },
        { "argument with =", "--password=abc", "--password=[redacted]" },
        { "bearer", "Authorisation is Bearer abc.def x", "Authorisation is Bearer [redacted] x" },
        { "header", "Authorization: Bearer abc\n", "Authorization: [redacted]\n" },
        { "url", "http://anna:abc@host/x", "http://[redacted]@host/x" },
        { "empty value", "token =\nmtu = 1", NULL },
        { "value at the end", "token =", NULL },
        { "key without a value", "the token is gone", NULL },
        { "registry key", "vm-registry-key = SOFTWARE\\x", NULL },
        { "another word", "tokenizer = 1\nkeyboard = de\nauthenticated: yes", NULL },
        { "url without a user", "http://host/a@b", NULL },
        { "at the end", "://", NULL },
        { "nothing", "", NULL },
    };

    check(rows, ARRAY_SIZE(rows), &nobody, false);
}

static void secrets_of_json_are_taken_out_and_it_stays_json(void **state)
{
    static const struct row rows[] = {
        { "string", "{\"token\":\"a\\\"b\",\"mtu\":1}", "{\"token\":\"[redacted]\",\"mtu\":1}" },
        { "number", "{\"apiKey\": 12,\"mtu\":1}", "{\"apiKey\": \"[redacted]\",\"mtu\":1}" },
        { "list", "{\"secrets\":[\"a]\",[1]],\"mtu\":1}",
          "{\"secrets\":\"[redacted]\",\"mtu\":1}" },
        { "object not closed", "{\"secrets\":{\"a\":1", "{\"secrets\":\"[redacted]\"" },
        { "in a message", "{\"message\":\"token=abc def\",\"mtu\":1}",
          "{\"message\":\"token=[redacted]\",\"mtu\":1}" },
        { "json in json", "{\"m\":\"{\\\"token\\\":\\\"abc\\\",\\\"x\\\":1}\"}",
          "{\"m\":\"{\\\"token\\\":\\\"[redacted]\\\",\\\"x\\\":1}\"}" },
        { "a backslash in it", "{\"m\":\"token=a\\\\b\\nmtu=1\"}",
          "{\"m\":\"token=[redacted]\\nmtu=1\"}" },
        { "bearer", "{\"m\":\"Bearer abc\"}", "{\"m\":\"Bearer [redacted]\"}" },
        { "counters", "{\"keys\":1,\"result\":\"PASS\",\"state\":\"SERVING\"}", NULL },
    };

    check(rows, ARRAY_SIZE(rows), &nobody, true);
}

static void homes_are_without_their_persons(void **state)
{
    static const struct row rows[] = {
        { "linux", "/home/otto/x.sock", "/home/[user]/x.sock" },
        { "end of a sentence", "cannot read /home/otto: access denied",
          "cannot read /home/[user]: access denied" },
        { "two paths", "from /home/otto and /home/eva/x", "from /home/[user] and /home/[user]/x" },
        { "macOS", "/Users/otto/x", "/Users/[user]/x" },
        { "within WSL", "/mnt/c/Users/otto/x", "/mnt/c/Users/[user]/x" },
        { "windows", "C:\\Users\\otto\\x.exe", "C:\\Users\\[user]\\x.exe" },
        { "a name with a blank", "C:\\Users\\Otto Berg\\x.exe", "C:\\Users\\[user]\\x.exe" },
        { "the folder itself", "in C:\\Users\\otto now", "in C:\\Users\\[user] now" },
        { "json", "\"C:\\\\Users\\\\otto\\\\x.exe\"", "\"C:\\\\Users\\\\[user]\\\\x.exe\"" },
        { "share", "\\\\wsl$\\d\\home\\otto\\x", "\\\\wsl$\\d\\home\\[user]\\x" },
        { "old windows", "C:/Documents and Settings/otto/x", "C:/Documents and Settings/[user]/x" },
        { "no person", "/home/ /home", NULL },
        { "another folder", "/homes/otto and /usr/home.d/x", NULL },
    };

    check(rows, ARRAY_SIZE(rows), &nobody, false);
}

static void ones_own_home_and_name_are_known(void **state)
{
    static const struct row rows[] = {
        { "home", "/home/anna/x", "~/x" },
        { "home alone", "HOME=/home/anna\n", "HOME=~\n" },
        { "longer name", "/home/annabel/x", "/home/[user]/x" },
        { "slashes", "///home//anna/x", "~/x" },
        { "not at its start", "/srv/home/anna/x", "/srv/home/[user]/x" },
        { "elsewhere", "/srv/anna/x", "/srv/[user]/x" },
        { "in a domain", "CORP\\Anna may not", "CORP\\[user] may not" },
        { "behind sudo", "/srv/berg", "/srv/[user]" },
        { "a word like any other", "anna and susanna/x", NULL },
    };
    static const struct row windows[] = {
        { "home", "C:\\Users\\anna\\x", "~\\x" },
        { "home in json", "\"c:\\\\users\\\\Anna\\\\x\"", "\"~\\\\x\"" },
        { "with slashes", "C:/Users/anna/x", "~/x" },
    };

    check(rows, ARRAY_SIZE(rows), &anna, false);
    check(windows, ARRAY_SIZE(windows), &anna_on_windows, true);
}

static void root_and_short_homes_are_nobody(void **state)
{
    static const struct redact_names root = { "/", { "root", "x" } };
    static const struct row rows[] = { { "paths", "/root/x /x/y /", NULL } };

    check(rows, ARRAY_SIZE(rows), &root, false);
}

/* Each run of one letter once: a quadratic rule would take hours. */
static void a_long_text_of_one_letter_takes_no_longer(void **state)
{
    enum { LEN = 1024 * 1024 };
    static const char letters[] = "/\\-a\" :=[";
    char *text = malloc(LEN);

    assert_non_null(text);
    for (const char *c = letters; *c; c++) {
        size_t len;
        char *out;

        memset(text, *c, LEN);
        out = redact(text, LEN, &anna, c - letters > 4, &len);
        assert_non_null(out);
        assert_int_equal(len, LEN);
        free(out);
    }
    free(text);
}

/* Bytes of any kind, among them every prefix of what the rules look for. */
static void any_bytes_end_and_pass_no_bounds(void **state)
{
    static const char text[] = "{\"apiToken\":[\"a\\\"\",{}],--key \\\"x /home/anna Bearer ://a@"
                               "C:\\Users\\a b\\c token = 'x\n\xff\x80 \\\\home\\\\";

    for (size_t from = 0; from < sizeof text - 1; from++) {
        for (size_t len = 0; len <= sizeof text - 1 - from; len++) {
            char *exact = malloc(len ? len : 1), *out;
            size_t out_len;

            assert_non_null(exact);
            memcpy(exact, text + from, len);
            out = redact(exact, len, &anna, len % 2, &out_len);
            assert_non_null(out);
            free(out);
            free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_of_files_and_logs_are_taken_out),
        cmocka_unit_test(secrets_of_json_are_taken_out_and_it_stays_json),
        cmocka_unit_test(homes_are_without_their_persons),
        cmocka_unit_test(ones_own_home_and_name_are_known),
        cmocka_unit_test(root_and_short_homes_are_nobody),
        cmocka_unit_test(a_long_text_of_one_letter_takes_no_longer),
        cmocka_unit_test(any_bytes_end_and_pass_no_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
