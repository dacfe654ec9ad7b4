/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a person reads from the top and stops when it is clear what to do.
 *
 *   rdlinkd 0.1.0: Waiting for 12s (pid 812)           one line: is it well?
 *     why   GuestNotAnswering: dev: timed out          only when it is not Ready
 *     next  Start the distribution: wsl -d ...
 *
 *   PART                 STATE         FOR     DETAIL
 *   docker               NOT_SERVING   12s     pid 815, 2 restarts, last: Killed (signal 9)
 *     DockerReachable=False NoTarget: no guest yet     one line for each thing that is false
 *     next  ...
 *   vm/dev               probing       12s     40 probes, 3 timeouts
 *   endpoint/docker      listening     12s     unix:/run/docker.sock
 *   tcp/127.0.0.1:80     waiting       -       for 192.168.127.2:80: taken by pid 7
 *
 * A hint is printed once however often its reason occurs. Columns are fixed so that two outputs can
 * be compared; what is too long for its column is cut with "...", what is too long for the line is
 * wrapped at a space and indented.
 */
#include "cli/render.h"

#include "base/text.h"
#include "base/util.h"
#include "ipc/peer_text.h"
#include "status/hints.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 80,
    NAME_COLUMNS = 20,
    STATE_COLUMNS = 13,
    FOR_COLUMNS = 7,
    FIELD_MAX = 304,
    LINE_MAX = 1400,
    HINTS_MAX = 32
};

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WAIT, TONE_BAD, TONE_DIM };

struct page {
    struct text text;
    const struct render_opts *opts;
    const char *hinted[HINTS_MAX]; /* borrowed from the JSON: reasons whose hint is printed */
    unsigned hinted_count;
};

/* ---- writing --------------------------------------------------------------------------- */

static void page_toned(struct page *p, enum tone tone, const char *text)
{
    static const char *const codes[] = {
        [TONE_GOOD] = "\033[32m",
        [TONE_WAIT] = "\033[33m",
        [TONE_BAD] = "\033[31m",
        [TONE_DIM] = "\033[2m",
    };

    if (p->opts->color && tone != TONE_PLAIN)
        text_printf(&p->text, "%s%s\033[0m", codes[tone], text);
    else
        text_printf(&p->text, "%s", text);
}

/* Bytes of the first @columns characters; @text is valid UTF-8, and a character counts as one. */
static size_t bytes_of_columns(const char *text, size_t columns)
{
    size_t i = 0;

    while (text[i]) {
        if (((unsigned char)text[i] & 0xc0) != 0x80 && columns-- == 0)
            break;
        i++;
    }
    return i;
}

static size_t columns_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Shortens @text in place to @columns characters. */
static const char *cut(char *text, size_t columns)
{
    text[bytes_of_columns(text, columns)] = '\0';
    return text;
}

/* Exactly @columns wide and a space: padded, or cut with "...". */
static void page_cell(struct page *p, enum tone tone, const char *text, size_t columns)
{
    char cell[LINE_MAX];
    size_t width = columns_of(text);

    if (width > columns) {
        snprintf(cell, sizeof cell, "%.*s...", (int)bytes_of_columns(text, columns - 3), text);
        width = columns;
    } else {
        snprintf(cell, sizeof cell, "%s", text);
    }
    page_toned(p, tone, cell);
    text_printf(&p->text, "%*s", (int)(columns - width + 1), "");
}

/* Where to break @text so that it fits into @columns: after a space when there is one. */
static size_t break_at(const char *text, size_t columns)
{
    size_t most = bytes_of_columns(text, columns);
    size_t at = most;

    if (!text[most])
        return most;
    while (at > 0 && text[at] != ' ')
        at--;
    return at ? at : most;
}

/* @text from column @from on, wrapped to lines indented by @indent; ends the line. */
static void page_wrapped(struct page *p, size_t from, size_t indent, const char *text)
{
    size_t room = WIDTH - from;

    for (;;) {
        size_t n = break_at(text, room);

        text_add(&p->text, text, n);
        text_add(&p->text, "\n", 1);
        text += n;
        while (*text == ' ')
            text++;
        if (!*text)
            return;
        text_printf(&p->text, "%*s", (int)indent, "");
        room = WIDTH - indent;
    }
}

/* ---- reading --------------------------------------------------------------------------- */

/* The text of a field, safe for a terminal; "" when it is not there or no text. */
static const char *text_of(const cJSON *object, const char *name, char buf[static FIELD_MAX])
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    peer_text_copy(buf, FIELD_MAX, value);
    return buf;
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

/* 0 when it is not there. */
static int64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) && item->valuedouble >= -9e15 && item->valuedouble <= 9e15
               ? (int64_t)item->valuedouble
               : 0;
}

static bool flag_of(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Days since 1970-01-01; see civil_from_days() in status_json.c for the calendar. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* Exactly @digits digits and then @after; moves *at past both. */
static bool take_number(const char **at, unsigned digits, char after, int *out)
{
    *out = 0;
    for (; digits; digits--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = 10 * *out + (**at - '0');
    }
    return *(*at)++ == after;
}

/* RFC 3339 in UTC with milliseconds, as our service writes it. False when it is anything else. */
static bool parse_time(const char *text, int64_t *wall_ms)
{
    int year, month, day, hour, minute, second, ms;

    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, 'T', &day) || !take_number(&text, 2, ':', &hour) ||
        !take_number(&text, 2, ':', &minute) || !take_number(&text, 2, '.', &second) ||
        !take_number(&text, 3, 'Z', &ms))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *wall_ms = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60000 +
               (int64_t)second * 1000 + ms;
    return true;
}

/* "12s", "3m12s", "5h07m", "4d03h" since the time in that field; "-" when there is none. */
static const char *for_text(const struct page *p, const char *time, char buf[static 32])
{
    int64_t at_ms, s;

    if (!parse_time(time, &at_ms)) {
        snprintf(buf, 32, "-");
        return buf;
    }
    s = MAX(p->opts->now_ms - at_ms, 0) / 1000;
    if (s < 60)
        snprintf(buf, 32, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(buf, 32, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, 32, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(buf, 32, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return buf;
}

/* ---- what to do ------------------------------------------------------------------------ */

/* Each reason once; beyond HINTS_MAX reasons hints are repeated rather than lost. */
static bool hint_is_new(struct page *p, const char *reason)
{
    for (unsigned i = 0; i < p->hinted_count; i++)
        if (!strcmp(p->hinted[i], reason))
            return false;
    if (p->hinted_count < HINTS_MAX)
        p->hinted[p->hinted_count++] = reason;
    return true;
}

static void page_hint(struct page *p, const cJSON *condition)
{
    const char *reason =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(condition, "reason"));
    char clean[64], anchor[128];
    const char *hint;

    if (!reason || !reason[0] || !hint_is_new(p, reason))
        return;
    hint = hint_find(reason);
    if (!hint) {
        peer_text_copy(clean, sizeof clean, reason);
        for (char *c = clean; *c; c++)
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c + 'a' - 'A');
        snprintf(anchor, sizeof anchor, "see docs/troubleshooting.md#%s", clean);
        hint = anchor;
    }
    text_printf(&p->text, "  next  ");
    page_wrapped(p, 8, 8, hint);
}

/* Every condition that is false, with what to do about it. Unknown is no trouble: it is what a part
 * says that has not been asked, or does not apply; --json has it. */
static void page_conditions(struct page *p, const cJSON *part)
{
    const cJSON *c;

    cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(part, "conditions"))
    {
        char type[FIELD_MAX], status[FIELD_MAX], reason[FIELD_MAX], message[FIELD_MAX];
        char line[LINE_MAX];

        text_of(c, "status", status);
        if (strcmp(status, "False"))
            continue;
        snprintf(line, sizeof line, "%s=%s %s: %s", text_of(c, "type", type), or_dash(status),
                 text_of(c, "reason", reason), text_of(c, "message", message));
        text_printf(&p->text, "  ");
        page_wrapped(p, 2, 4, line);
        page_hint(p, c);
    }
}

/* ---- parts ----------------------------------------------------------------------------- */

static enum tone tone_of(const char *state)
{
    static const struct {
        const char *state;
        enum tone tone;
    } rows[] = {
        { "Ready", TONE_GOOD },      { "SERVING", TONE_GOOD }, { "listening", TONE_GOOD },
        { "linked", TONE_GOOD },     { "control", TONE_GOOD }, { "Degraded", TONE_BAD },
        { "NOT_SERVING", TONE_BAD }, { "taken", TONE_BAD },    { "off", TONE_BAD },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].state, state))
            return rows[i].tone;
    return TONE_WAIT;
}

static void page_row(struct page *p, const char *name, const cJSON *part, const char *detail)
{
    char state[FIELD_MAX], since[FIELD_MAX], age[32];

    page_cell(p, TONE_PLAIN, name, NAME_COLUMNS);
    text_of(part, "state", state);
    page_cell(p, tone_of(state), or_dash(state), STATE_COLUMNS);
    page_cell(p, TONE_PLAIN, for_text(p, text_of(part, "since", since), age), FOR_COLUMNS);
    page_wrapped(p, NAME_COLUMNS + STATE_COLUMNS + FOR_COLUMNS + 3, 4, or_dash(detail));
}

static void page_component(struct page *p, const cJSON *c)
{
    const cJSON *exit = cJSON_GetObjectItemCaseSensitive(c, "lastExit");
    char name[FIELD_MAX], reason[FIELD_MAX], detail[LINE_MAX];
    int64_t pid = number_of(c, "pid"), restarts = number_of(c, "restarts");
    size_t n = 0;

    if (pid)
        n = (size_t)snprintf(detail, sizeof detail, "pid %" PRId64, pid);
    else
        n = (size_t)snprintf(detail, sizeof detail, "no process");
    if (restarts)
        n += (size_t)snprintf(detail + n, sizeof detail - n, ", %" PRId64 " restart%s", restarts,
                              restarts == 1 ? "" : "s");
    if (cJSON_IsObject(exit))
        n += (size_t)snprintf(detail + n, sizeof detail - n, ", last: %s",
                              text_of(exit, "reason", reason));
    if (flag_of(c, "crashLoop"))
        snprintf(detail + n, sizeof detail - n, ", crash loop");
    page_row(p, or_dash(text_of(c, "name", name)), c, detail);
    page_conditions(p, c);
}

static void page_instance(struct page *p, const cJSON *i)
{
    const cJSON *agent = cJSON_GetObjectItemCaseSensitive(i, "agent");
    char vm[FIELD_MAX], name[LINE_MAX], generation[FIELD_MAX], version[FIELD_MAX], error[FIELD_MAX];
    char detail[LINE_MAX], owner[FIELD_MAX];
    size_t len;

    snprintf(name, sizeof name, "vm/%s", or_dash(text_of(i, "vm", vm)));
    text_of(i, "generation", generation);
    if (cJSON_IsObject(agent))
        snprintf(detail, sizeof detail, "agent %s %s%s",
                 or_dash(text_of(agent, "version", version)),
                 flag_of(agent, "serving") ? "serving" : "not serving",
                 flag_of(agent, "proved") ? "" : ", unproved");
    else if (generation[0] && strcmp(generation, "none"))
        snprintf(detail, sizeof detail, "generation %s, unproved", generation);
    else
        snprintf(detail, sizeof detail, "%s", text_of(i, "lastError", error));
    len = strlen(detail);
    if (text_of(i, "owner", owner)[0])
        snprintf(detail + len, sizeof detail - len, "%sof %s", len ? ", " : "", owner);
    page_row(p, name, i, detail);
    page_conditions(p, i);
    if (cJSON_IsObject(agent))
        page_conditions(p, agent);
}

/* Who may use it, where an access list says so. */
static void add_granted(const cJSON *e, char *detail, size_t cap)
{
    const cJSON *account;
    bool is_first = true;

    cJSON_ArrayForEach(account, cJSON_GetObjectItemCaseSensitive(e, "granted"))
    {
        char clean[FIELD_MAX];
        size_t len = strlen(detail);

        peer_text_copy(clean, sizeof clean, cJSON_IsString(account) ? account->valuestring : "");
        snprintf(detail + len, cap - len, "%s%s", is_first ? ", for " : ", ", or_dash(clean));
        is_first = false;
    }
}

static void page_endpoint(struct page *p, const cJSON *e)
{
    char text[FIELD_MAX], requested[FIELD_MAX], address[FIELD_MAX];
    char name[LINE_MAX], detail[LINE_MAX];

    snprintf(name, sizeof name, "endpoint/%s", or_dash(text_of(e, "name", text)));
    text_of(e, "requested", requested);
    text_of(e, "address", address);
    if (!address[0])
        snprintf(detail, sizeof detail, "%s %s", requested, text_of(e, "message", text));
    else if (strcmp(address, requested))
        snprintf(detail, sizeof detail, "%s instead of %s", address, requested);
    else
        snprintf(detail, sizeof detail, "%s", address);
    add_granted(e, detail, sizeof detail);
    page_row(p, name, e, detail);
}

/* Only those that wait for their port: why is what one wants to know. */
static void page_forward(struct page *p, const cJSON *f)
{
    char text[FIELD_MAX], proto[FIELD_MAX], message[FIELD_MAX], name[LINE_MAX], detail[LINE_MAX];

    if (strcmp(text_of(f, "state", text), "waiting") != 0)
        return;
    snprintf(name, sizeof name, "%s/%s", or_dash(text_of(f, "proto", proto)),
             or_dash(text_of(f, "host", text)));
    snprintf(detail, sizeof detail, "for %s: %s", or_dash(text_of(f, "guest", text)),
             text_of(f, "message", message));
    page_row(p, name, f, detail);
}

static void page_parts(struct page *p, const cJSON *status, const char *array,
                       void (*part)(struct page *p, const cJSON *item))
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, array))
    {
        part(p, item);
    }
}

/* ---- the page -------------------------------------------------------------------------- */

static const cJSON *condition_of(const cJSON *status, const char *wanted)
{
    const cJSON *c;
    char type[FIELD_MAX];

    cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(status, "conditions"))
    {
        if (!strcmp(text_of(c, "type", type), wanted))
            return c;
    }
    return NULL;
}

static void page_headline(struct page *p, const cJSON *status)
{
    const cJSON *program = cJSON_GetObjectItemCaseSensitive(status, "program");
    const cJSON *ready = condition_of(status, "Ready");
    char name[FIELD_MAX], version[FIELD_MAX], phase[FIELD_MAX], time[FIELD_MAX], age[32];

    text_of(program, "name", name);
    text_of(program, "version", version);
    text_of(status, "phase", phase);
    text_printf(&p->text, "%s %s: ", or_dash(cut(name, 14)), or_dash(cut(version, 14)));
    page_toned(p, tone_of(phase), or_dash(cut(phase, 10)));
    if (ready)
        text_printf(&p->text, " for %s",
                    for_text(p, text_of(ready, "lastTransitionTime", time), age));
    text_printf(&p->text, " (pid %" PRId64 ")\n", number_of(program, "pid"));
}

static void page_why(struct page *p, const cJSON *status)
{
    const cJSON *ready = condition_of(status, "Ready");
    char reason[FIELD_MAX], message[FIELD_MAX], line[LINE_MAX];

    if (!ready || flag_of(status, "ready"))
        return;
    snprintf(line, sizeof line, "%s: %s", text_of(ready, "reason", reason),
             text_of(ready, "message", message));
    text_printf(&p->text, "  why   ");
    page_wrapped(p, 8, 8, line);
    page_hint(p, ready);
}

/* A mistake in what was written last, and what waits for the next start. */
static void page_config(struct page *p, const cJSON *status)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(status, "config"), *key;
    const cJSON *valid = condition_of(status, "ConfigValid");
    char text[FIELD_MAX], line[LINE_MAX];
    size_t len;

    if (valid && strcmp(text_of(valid, "status", text), "False") == 0) {
        snprintf(line, sizeof line, "ConfigInvalid: %s", text_of(valid, "message", text));
        text_printf(&p->text, "  config  ");
        page_wrapped(p, 10, 10, line);
        page_hint(p, valid);
    }
    len = (size_t)snprintf(line, sizeof line, "in force after a restart:");
    cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(config, "pending"))
    {
        if (!cJSON_IsString(key) || len >= sizeof line)
            continue;
        peer_text_copy(text, sizeof text, key->valuestring);
        len += (size_t)snprintf(line + len, sizeof line - len, " %s", text);
    }
    if (line[strcspn(line, ":") + 1]) {
        text_printf(&p->text, "  config  ");
        page_wrapped(p, 10, 10, line);
    }
}

char *render_status(const struct cJSON *status, const struct render_opts *opts)
{
    struct page p = { .opts = opts };

    page_headline(&p, status);
    page_why(&p, status);
    page_config(&p, status);
    text_add(&p.text, "\n", 1);
    page_toned(&p, TONE_DIM, "PART                 STATE         FOR     DETAIL");
    text_add(&p.text, "\n", 1);
    page_parts(&p, status, "components", page_component);
    page_parts(&p, status, "instances", page_instance);
    page_parts(&p, status, "endpoints", page_endpoint);
    page_parts(&p, status, "forwards", page_forward);
    return text_take(&p.text, NULL);
}
