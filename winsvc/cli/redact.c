/* SPDX-License-Identifier: Apache-2.0
 * THEORY: one pass from left to right. At each place the rules are asked in turn: one that knows
 * what stands there says how much of the source it takes, and what is written instead; where none
 * does, a byte is copied. A rule never looks behind more than the byte before, so that the cost is
 * linear but for the few bytes a name may be long.
 *
 * Paths come as themselves and as in JSON, where a backslash is two: a run of separators counts as
 * one. Folders of persons are known by the folder above ("home", "Users"), whoever they are; a bare
 * name only when it is of the person who runs the program, and stands next to a separator, because
 * "docker" is a word as well as a user.
 */
#include "cli/redact.h"

#include "base/text.h"
#include "base/util.h"

#include <stdint.h>
#include <string.h>

enum { KEY_MAX = 64, PERSON_MAX = 64 };

static const char redacted[] = "[redacted]", some_user[] = "[user]";

struct redactor {
    const char *text, *end;
    const struct redact_names *names;
    bool is_json;
    struct text out;
};

/* ---- letters ----------------------------------------------------------------------------- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static char lower(char c)
{
    return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static bool is_key_char(char c)
{
    return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What no name of a file has, or what ends one in a text. */
static bool ends_path(char c)
{
    return (unsigned char)c < ' ' || strchr("\"'<>|*?:;,)]}`", c) != NULL;
}

static bool starts_with(const char *at, const char *end, const char *word)
{
    for (; *word; word++, at++)
        if (at == end || lower(*at) != lower(*word))
            return false;
    return true;
}

/* ---- output ------------------------------------------------------------------------------ */

static void put(struct redactor *r, const char *data, size_t len)
{
    text_add(&r->out, data, len);
}

static void put_text(struct redactor *r, const char *text)
{
    put(r, text, strlen(text));
}

/* ---- secrets by the name of their key ---------------------------------------------------- */

static bool is_secret_word(const char *word, const char *before)
{
    static const char *const words[] = { "token",    "tokens",    "secret",     "secrets",
                                         "password", "passwords", "passwd",     "passphrase",
                                         "pass",     "pwd",       "credential", "credentials",
                                         "apikey",   "psk",       "cookie",     "authorization",
                                         "auth",     "grant",     "account",    "accounts",
                                         "user",     "users",     "username",   "login" };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(words[i], word))
            return true;
    return !strcmp(word, "key") && strcmp(before, "registry") != 0 && strcmp(before, "public") != 0;
}

/* Its words, cut at -, _ and a capital: "apiToken", "API_TOKEN", "api-token". */
static bool is_secret_key(const char *key, size_t len)
{
    char word[KEY_MAX] = "", before[KEY_MAX] = "";
    size_t n = 0;

    if (len >= KEY_MAX) {
        key += len - (KEY_MAX - 1);
        len = KEY_MAX - 1;
    }
    for (size_t i = 0; i <= len; i++) {
        bool is_end = i == len || key[i] == '-' || key[i] == '_';
        bool is_hump = i > 0 && i < len && is_upper(key[i]) && is_lower(key[i - 1]);

        if (is_end || is_hump) {
            word[n] = '\0';
            if (is_secret_word(word, before))
                return true;
            memcpy(before, word, n + 1);
            n = 0;
        }
        if (!is_end)
            word[n++] = lower(key[i]);
    }
    return false;
}

/* The end of a JSON array or object that begins at @at. */
static const char *skip_nested(const char *at, const char *end)
{
    unsigned depth = 0;
    bool in_string = false;

    for (; at < end; at++) {
        if (in_string && *at == '\\' && at + 1 < end)
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else if (!in_string && (*at == '[' || *at == '{'))
            depth++;
        else if (!in_string && (*at == ']' || *at == '}') && --depth == 0)
            return at + 1;
    }
    return end;
}

/* What is left of a quoted value: to the quote that ends it. @quote is also `\"`, of JSON in JSON.
 */
static const char *skip_quoted(const char *at, const char *end, const char *quote)
{
    size_t len = strlen(quote);

    for (; at < end && *at != '\n'; at++) {
        if (starts_with(at, end, quote))
            return at;
        if (*at == '\\' && len == 1 && at + 1 < end)
            at++;
    }
    return at;
}

static const char *skip_bare(const struct redactor *r, const char *at, bool in_quotes,
                             bool is_argument)
{
    while (at < r->end && *at != '\n' && *at != '\r') {
        if (in_quotes && strchr(",]}", *at))
            break;
        if (is_argument && is_blank(*at))
            break;
        if (r->is_json && *at == '"')
            break;
        if (r->is_json && *at == '\\' && at + 1 < r->end) {
            if (strchr("nr\"", at[1])) /* the end of a line, or of a string, within the string */
                break;
            at++;
        }
        at++;
    }
    return at;
}

/* The value at @at is left out, but for its quotes. */
static const char *put_value(struct redactor *r, const char *at, bool key_is_quoted,
                             bool is_argument)
{
    static const char *const quotes[] = { "\\\"", "\"", "'" };

    for (unsigned i = 0; i < ARRAY_SIZE(quotes); i++) {
        if (starts_with(at, r->end, quotes[i])) {
            put_text(r, quotes[i]);
            put_text(r, redacted);
            return skip_quoted(at + strlen(quotes[i]), r->end, quotes[i]);
        }
    }
    put_text(r, key_is_quoted ? "\"[redacted]\"" : redacted);
    if (key_is_quoted && at < r->end && (*at == '[' || *at == '{'))
        return skip_nested(at, r->end);
    return skip_bare(r, at, key_is_quoted, is_argument);
}

/* `key = value`, "key": value, --key value; where the value ends. NULL: there is none here. */
static const char *rule_secret(struct redactor *r, const char *at)
{
    const char *key = at, *value;
    bool is_argument = false, key_is_quoted;

    if (!is_key_char(*at) || (at > r->text && is_key_char(at[-1])))
        return NULL;
    while (at < r->end && is_key_char(*at))
        at++;
    if (!is_secret_key(key, (size_t)(at - key)))
        return NULL;
    value = at;
    while (value < r->end && (*value == '\\' || *value == '"' || *value == '\''))
        value++;
    key_is_quoted = value > at && value[-1] == '"' && *at == '"';
    while (value < r->end && is_blank(*value))
        value++;
    if (value < r->end && (*value == '=' || *value == ':')) {
        value++;
    } else {
        is_argument = starts_with(key, r->end, "--") && value > at;
    }
    if (value == at || (!is_argument && value[-1] != '=' && value[-1] != ':'))
        return NULL;
    while (value < r->end && is_blank(*value))
        value++;
    if (value == r->end || *value == '\n' || *value == '\r')
        return NULL;
    put(r, key, (size_t)(value - key));
    return put_value(r, value, key_is_quoted, is_argument);
}

/* ---- secrets by what stands before ------------------------------------------------------- */

static const char *rule_bearer(struct redactor *r, const char *at)
{
    static const char *const words[] = { "bearer ", "basic " };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        size_t len = strlen(words[i]);

        if (!starts_with(at, r->end, words[i]) || (at > r->text && is_key_char(at[-1])))
            continue;
        put(r, at, len);
        put_text(r, redacted);
        at += len;
        while (at < r->end && !is_blank(*at) && (unsigned char)*at > ' ' && !strchr("\"'\\,", *at))
            at++;
        return at;
    }
    return NULL;
}

static const char *rule_url(struct redactor *r, const char *at)
{
    const char *to;

    if (!starts_with(at, r->end, "://"))
        return NULL;
    for (to = at + 3; to < r->end && (unsigned char)*to > ' ' && !strchr("/\"'\\@", *to); to++)
        continue;
    if (to == r->end || *to != '@')
        return NULL;
    put_text(r, "://");
    put_text(r, redacted);
    return to;
}

/* ---- persons ----------------------------------------------------------------------------- */

/* So that a run is looked at once, however long it is. */
static bool is_within_run(const struct redactor *r, const char *at)
{
    return is_separator(*at) && at > r->text && is_separator(at[-1]);
}

static const char *skip_separators(const char *at, const char *end)
{
    while (at < end && is_separator(*at))
        at++;
    return at;
}

/* Behind a backslash a name may have blanks ("Anna Berg"), as long as its folder goes on. */
static const char *skip_person(const char *at, const char *end)
{
    bool may_have_blanks = at[-1] == '\\';
    const char *word_end = NULL, *to = at;

    while (to < end && (size_t)(to - at) < PERSON_MAX && !is_separator(*to) && !ends_path(*to)) {
        if (is_blank(*to)) {
            word_end = word_end ? word_end : to;
            if (!may_have_blanks)
                break;
        }
        to++;
    }
    return word_end && (to == end || *to != '\\') ? word_end : to;
}

/* "/home/NAME" and its like, at the separator before "home". */
static const char *rule_home_of_somebody(struct redactor *r, const char *at)
{
    static const char *const folders[] = { "home", "users", "documents and settings" };
    const char *name, *person, *to;

    if (!is_separator(*at) || is_within_run(r, at))
        return NULL;
    name = skip_separators(at, r->end);
    for (unsigned i = 0; i < ARRAY_SIZE(folders); i++) {
        if (!starts_with(name, r->end, folders[i]))
            continue;
        person = skip_separators(name + strlen(folders[i]), r->end);
        to = skip_person(person, r->end);
        if (person == name + strlen(folders[i]) || to == person)
            continue;
        put(r, at, (size_t)(person - at));
        put_text(r, some_user);
        return to;
    }
    return NULL;
}

/* @path at @at, where a run of separators is one; the end of it, or NULL. */
static const char *match_path(const char *at, const char *end, const char *path)
{
    while (*path) {
        if (is_separator(*path)) {
            if (at == end || !is_separator(*at))
                return NULL;
            at = skip_separators(at, end);
            path = skip_separators(path, path + strlen(path));
        } else if (at < end && lower(*at) == lower(*path)) {
            at++;
            path++;
        } else {
            return NULL;
        }
    }
    return at == end || is_separator(*at) || is_blank(*at) || ends_path(*at) ? at : NULL;
}

static const char *rule_own_home(struct redactor *r, const char *at)
{
    const char *home = r->names->home, *to;

    if (!home || strlen(home) < 3 || is_within_run(r, at) || (at > r->text && is_key_char(at[-1])))
        return NULL;
    to = match_path(at, r->end, home);
    if (to)
        put_text(r, "~");
    return to;
}

static const char *rule_own_name(struct redactor *r, const char *at)
{
    bool begins = at == r->text || !is_key_char(at[-1]);

    for (unsigned i = 0; begins && i < ARRAY_SIZE(r->names->users); i++) {
        const char *user = r->names->users[i];
        size_t len = user ? strlen(user) : 0;

        if (len < 2 || !strcmp(user, "root") || !starts_with(at, r->end, user))
            continue;
        if (at + len < r->end && is_key_char(at[len]))
            continue;
        if ((at > r->text && is_separator(at[-1])) ||
            (at + len < r->end && is_separator(at[len]))) {
            put_text(r, some_user);
            return at + len;
        }
    }
    return NULL;
}

/* ---- the pass ---------------------------------------------------------------------------- */

char *redact(const char *text, size_t len_bytes, const struct redact_names *names, bool is_json,
             size_t *out_len_bytes)
{
    static const char *(*const rules[])(struct redactor *, const char *) = {
        rule_own_home, rule_home_of_somebody, rule_own_name, rule_bearer, rule_url, rule_secret,
    };
    struct redactor r = {
        .text = text, .end = text + len_bytes, .names = names, .is_json = is_json
    };
    const char *at = text;

    while (at < r.end && !r.out.failed) {
        const char *to = NULL;

        for (unsigned i = 0; !to && i < ARRAY_SIZE(rules); i++)
            to = rules[i](&r, at);
        if (!to) {
            put(&r, at, 1);
            to = at + 1;
        }
        at = to;
    }
    return text_take(&r.out, out_len_bytes);
}
