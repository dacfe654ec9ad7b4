/* SPDX-License-Identifier: Apache-2.0
 * `rdlink page`: the address of the status page with its token, to be opened in a browser.
 *
 * Whoever may read the token's file may read the status; that is all this asks. It prints and
 * starts no browser, because a program's arguments, the token among them, are for everybody to see.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "cli/cli_file.h"
#include "cli/http_client.h"
#include "cli/status_fields.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 128 };

struct page_run {
    struct cli_env env;
    struct cli_service service;
    struct http_client *client; /* owned */
};

static const struct option options[] = {
    CLI_SERVICE_OPTIONS(struct page_run, service, "5s", "how long to wait for the answer"),
};

static int complain(const struct page_run *r, int code, const char *what, const char *detail,
                    const char *next)
{
    char text[600];

    snprintf(text, sizeof text, "%s%.500s", what, detail);
    cli_complain(&r->env, text, next);
    return code;
}

static int print_address(const struct page_run *r, const char *url, const char *token_file)
{
    char *token;
    size_t len;

    if (!cli_read_tail(token_file, TOKEN_MAX, &token, &len))
        return complain(r, CLI_NO_PERMISSION, "the page's token cannot be read: ", token_file,
                        "run it as the owner of the service or an administrator");
    len = strspn(token, "0123456789abcdef");
    if (len == 0 || token[len + strspn(token + len, "\r\n")]) {
        free(token);
        return complain(r, CLI_DEGRADED, "there is no token in ", token_file,
                        "restart the service: it writes a new one");
    }
    token[len] = '\0';
    cli_say(&r->env, "%.300s#token=%s\n", url, token);
    free(token);
    return CLI_READY;
}

static int show_page(const struct page_run *r, const cJSON *status)
{
    const cJSON *page = cJSON_GetObjectItemCaseSensitive(status, "page");

    if (!cJSON_IsObject(page))
        return complain(r, CLI_DEGRADED, "the service shows no status page", "",
                        "start it with --page tcp:127.0.0.1:PORT, or: rdlink report --html");
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(page, "served")))
        return complain(r, CLI_DEGRADED,
                        "the status page is not served: ", status_text_in(page, "message"),
                        "give --page another port, or end the program that has it");
    return print_address(r, status_text_in(page, "url"), status_text_in(page, "tokenFile"));
}

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct page_run *r = ctx;
    cJSON *status = NULL;
    int code;

    if (st == ST_OK && answer->status == 200)
        status = cJSON_ParseWithLength(answer->body, answer->len_bytes);
    if (status)
        code = show_page(r, status);
    else
        code = cli_service_failure(&r->env, &r->service, st ? st : ST_PROTO, why);
    cJSON_Delete(status);
    r->env.finish(r->env.ctx, code);
}

static void page_fini(void *run)
{
    struct page_run *r = run;

    http_client_free(r->client);
}

static int page_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct page_run *r = run;
    int code;

    r->env = *env;
    code = cli_parse(&cli_page_command, env, r, &r->service, argc, argv);
    return code == CLI_PENDING ? cli_ask(&r->client, env, &r->service, "/v1/status", on_answer, r)
                               : code;
}

const struct cli_command cli_page_command = {
    .name = "page",
    .usage = "[--address ADDR] [--timeout TIME]",
    .summary = "the address of the status page, for a browser",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct page_run),
    .start = page_start,
    .fini = page_fini,
};
