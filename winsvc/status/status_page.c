/* SPDX-License-Identifier: Apache-2.0 */
#include "status/status_page.h"

#include "base/log.h"
#include "port/loop.h"
#include "port/put_file.h"
#include "port/sys.h"
#include "status/status_gate.h"
#include "status/status_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES = 32, MAX_CONNECTIONS = 32 };

struct status_page {
    struct loop *loop; /* borrowed */
    struct status_page_config config;
    char token_file[PUT_FILE_PATH_MAX], url[ADDR_TEXT_MAX];
    struct status_gate gate;
    struct status_server *server; /* owned; NULL: not served now */
    struct timer retry;
    struct errmsg why;
};

static enum status draw_token(struct status_page *p)
{
    unsigned char bytes[TOKEN_BYTES];
    enum status st = sys_random(bytes, sizeof bytes);

    static_assert(sizeof p->gate.token > 2 * sizeof bytes, "two digits a byte and the end");
    for (unsigned i = 0; st == ST_OK && i < sizeof bytes; i++)
        snprintf(p->gate.token + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return st;
}

static enum status write_token(struct status_page *p, struct errmsg *e)
{
    char line[STATUS_TOKEN_MAX + 1];
    int n = snprintf(line, sizeof line, "%s\n", p->gate.token);
    enum status st = put_file(p->token_file, line, (size_t)n, STATUS_PAGE_TOKEN_MODE);

    if (st != ST_OK)
        errmsg_set(e, "token file %.200s: %s", p->token_file, status_text(st));
    return st;
}

/* Listens first: a token of a page that another program serves is nothing for a file. */
static enum status serve(struct status_page *p, struct errmsg *e)
{
    const struct status_server_config config = { .max_connections = MAX_CONNECTIONS,
                                                 .listen = { .adopt_fd = -1 },
                                                 .gate = &p->gate };
    enum status st = draw_token(p);

    if (st != ST_OK)
        errmsg_set(e, "no random bytes: %s", status_text(st));
    else
        st = status_server_new(&p->server, p->loop, &p->config.at, &config, p->config.ops,
                               p->config.ctx, e);
    if (st == ST_OK)
        st = write_token(p, e);
    if (st != ST_OK) {
        status_server_free(p->server);
        p->server = NULL;
    }
    return st;
}

static void on_retry(void *ctx)
{
    struct status_page *p = ctx;
    struct errmsg e = { "" };

    if (serve(p, &e) == ST_OK)
        log_info(LOG_STATUS, "status page at %s, its token in %s", p->url, p->token_file);
    else
        timer_start(&p->retry, STATUS_PAGE_RETRY_MS);
    if (!p->server && strcmp(p->why.text, e.text) != 0)
        log_warn(LOG_STATUS, "no status page at %s: %s; trying again", p->url, e.text);
    p->why = e;
    p->config.on_change(p->config.ctx);
}

static bool has_room_for(char *buf, size_t cap, const char *text)
{
    int n = snprintf(buf, cap, "%s", text);

    return n >= 0 && (size_t)n < cap;
}

enum status status_page_new(struct status_page **out, struct loop *loop,
                            const struct status_page_config *config)
{
    struct status_page *p = calloc(1, sizeof *p);
    char at[ADDR_TEXT_MAX];

    if (!p)
        return ST_NOMEM;
    p->loop = loop;
    p->config = *config;
    p->gate.port = config->at.tcp_port;
    addr_format(&config->at, at, sizeof at);
    snprintf(p->url, sizeof p->url, "http://%s/", at + strlen("tcp:"));
    if (!has_room_for(p->token_file, sizeof p->token_file, config->token_file)) {
        free(p);
        return ST_INVAL;
    }
    p->config.token_file = p->token_file;
    timer_init(&p->retry, loop, on_retry, p);
    timer_start(&p->retry, 0);
    *out = p;
    return ST_OK;
}

void status_page_changed(struct status_page *p)
{
    if (p->server)
        status_server_changed(p->server);
}

struct status_page_view status_page_view(const struct status_page *p)
{
    return (struct status_page_view){ .url = p->url,
                                      .token_file = p->token_file,
                                      .is_served = p->server != NULL,
                                      .why = p->why.text };
}

void status_page_free(struct status_page *p)
{
    if (!p)
        return;
    timer_stop(&p->retry);
    status_server_free(p->server);
    free(p);
}
