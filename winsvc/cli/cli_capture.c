/* SPDX-License-Identifier: Apache-2.0
 * `rdlink capture`: frames of a guest's link as pcapng, into a file or to standard output, such as
 *
 *   rdlink capture -o dns.pcapng --filter "udp port 53" --for 60s
 *   rdlink capture | wireshark -k -i -
 *
 * The switch sends, this program writes: the service opens no file for anybody.
 */
#include "cli/cli_control.h"

#include "base/util.h"
#include "cli/http_client.h"
#include "cli/url_text.h"
#include "port/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TARGET_MAX = 1024 };

struct capture_run {
    struct cli_env env;
    struct cli_service service;
    char output[OPTION_VALUE_MAX], filter[OPTION_VALUE_MAX], wanted[OPTION_VALUE_MAX];
    uint32_t for_ms, max_bytes;
    struct control_list *list; /* owned */
    struct control_place place;
    struct http_client *client; /* owned */
    struct timer next;
    bool is_open, is_broken;
    uint64_t written_bytes;
};

static const struct option options[] = {
    { .key = "output",
      .kind = OPTION_STRING,
      .offset = offsetof(struct capture_run, output),
      .fallback = "-",
      .value_name = "FILE",
      .help = "where to, also -o; - is standard output" },
    { .key = "filter",
      .kind = OPTION_STRING,
      .offset = offsetof(struct capture_run, filter),
      .value_name = "EXPR",
      .help = "which frames, such as \"tcp port 80\"; all by default" },
    { .key = "for",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct capture_run, for_ms),
      .fallback = "10m",
      .min = 1000,
      .max = 86400000,
      .value_name = "TIME",
      .help = "how long" },
    { .key = "bytes",
      .kind = OPTION_UINT,
      .offset = offsetof(struct capture_run, max_bytes),
      .fallback = "67108864",
      .min = 4096,
      .max = UINT32_MAX,
      .value_name = "N",
      .help = "end before the file is larger" },
    { .key = "switch",
      .kind = OPTION_STRING,
      .offset = offsetof(struct capture_run, wanted),
      .value_name = "NAME",
      .help = "of which guest, where there are several: as rdlink status names it" },
    CLI_SERVICE_OPTIONS(struct capture_run, service, "5s", "how long to wait for the first byte"),
};

/* ---- the stream -------------------------------------------------------------------------- */

static int failed(struct capture_run *r, const char *what, const char *next)
{
    cli_complain(&r->env, what, next);
    return CLI_DEGRADED;
}

/* A reader of standard output that went away ends the capture, as it does for tcpdump. */
static void on_bytes(void *ctx, const void *data, size_t len_bytes)
{
    struct capture_run *r = ctx;

    if (r->is_broken)
        return;
    if (r->env.write_output(r->env.ctx, data, len_bytes)) {
        r->written_bytes += len_bytes;
    } else {
        r->is_broken = true;
        timer_start(&r->next, 0);
    }
}

static void on_end(void *ctx, enum status st, const struct http_client_answer *answer,
                   const struct errmsg *why)
{
    struct capture_run *r = ctx;
    char text[400];
    int code = CLI_READY;

    if (r->is_broken)
        return; /* on_next() is about to say so */
    if (st != ST_OK) {
        snprintf(text, sizeof text, "the capture ended: %.250s", why->text);
        code = failed(r, text, "what is in the file is good; see rdlink status");
    } else if (answer->status != 200) {
        snprintf(text, sizeof text, "the switch refuses: %.*s", (int)strcspn(answer->body, "\n"),
                 answer->body);
        code = failed(r, text, "rdlink help capture");
    } else {
        snprintf(text, sizeof text, "%" PRIu64 " bytes of %s\n", r->written_bytes, r->place.name);
        r->env.print(r->env.ctx, CLI_STDERR, text);
    }
    r->env.finish(r->env.ctx, code);
}

static void ask(struct capture_run *r)
{
    char target[TARGET_MAX], filter[3 * OPTION_VALUE_MAX];
    struct errmsg e = { "" };
    enum status st;

    url_encode(filter, sizeof filter, r->filter);
    snprintf(target, sizeof target, "/capture?seconds=%u&bytes=%u%s%s", r->for_ms / 1000,
             r->max_bytes, filter[0] ? "&filter=" : "", filter);
    st = http_client_stream(&r->client, r->env.loop, &r->place.at, target, r->service.timeout_ms,
                            on_bytes, on_end, r, &e);
    if (st != ST_OK)
        on_end(r, st, NULL, &e);
}

/* Either the first step, or the output broke. */
static void on_next(void *ctx)
{
    struct capture_run *r = ctx;
    char text[400];

    if (!r->is_broken && r->env.open_output(r->env.ctx, r->output)) {
        r->is_open = true;
        ask(r);
        return;
    }
    snprintf(text, sizeof text, "cannot write to %.250s", r->output);
    r->env.finish(r->env.ctx, failed(r, text, "give another --output"));
}

static void on_places(void *ctx, const struct control_place *places, unsigned count, int exit_code)
{
    struct capture_run *r = ctx;

    if (exit_code == CLI_PENDING && count > 1) {
        cli_complain(&r->env, "there are several guests with a network",
                     "name one with --switch; rdlink status has the names");
        exit_code = CLI_USAGE;
    }
    if (exit_code != CLI_PENDING) {
        r->env.finish(r->env.ctx, exit_code);
        return;
    }
    r->place = places[0];
    timer_start(&r->next, 0);
}

/* ---- start ------------------------------------------------------------------------------- */

static void capture_fini(void *run)
{
    struct capture_run *r = run;

    timer_stop(&r->next);
    control_list_free(r->list);
    http_client_free(r->client);
}

static int capture_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct capture_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->next, env->loop, on_next, r);
    code = cli_parse(&cli_capture_command, env, r, &r->service, argc, argv);
    return code == CLI_PENDING
               ? control_list_start(&r->list, &r->env, &r->service, r->wanted, on_places, r)
               : code;
}

const struct cli_command cli_capture_command = {
    .name = "capture",
    .usage = "[-o FILE] [--filter EXPR] [--for TIME] [--bytes N] ...",
    .summary = "frames of a guest's link, as pcapng",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct capture_run),
    .start = capture_start,
    .fini = capture_fini,
};
