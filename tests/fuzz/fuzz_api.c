/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes how a request finds its route, where one segment of the path is a name: the first byte is
 * how the connection's bytes are cut.
 *
 * Checked: everything answered is HTTP, a name and a query are bounded texts, the connection ends.
 */
#include "base/util.h"
#include "http/api.h"
#include "port/sim/stream_sim.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void serve(struct api_conn *c, const struct api_request *r)
{
    char value[16];

    ASSERT(strlen(r->name) < API_NAME_MAX && strlen(r->query) < API_QUERY_MAX);
    ASSERT(r->name[0] || !strchr(r->route->path, '*'));
    ASSERT(!r->body == !r->body_bytes && r->body_bytes <= API_BODY_MAX);
    (void)api_query_find(r->query, "a", value, sizeof value);
    api_respond_text(c, 200, r->name);
}

static void serve_write(struct api_conn *c, const struct api_request *r)
{
    if (api_may_write(c, r))
        api_respond_text(c, 200, "written");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static const struct api_route routes[] = {
        { "/v1", serve, "GET", NULL },
        { "/v1/parts/*/restart", serve, "POST", NULL },
        { "/v1/parts/*", serve, NULL, NULL },
        { "/write", serve_write, NULL, NULL },
    };
    struct sim *sim = sim_new();
    struct api_config config = { .loop = sim_loop(sim),
                                 .routes = routes,
                                 .route_count = ARRAY_SIZE(routes),
                                 .token = "s3cret" };
    struct stream *stream;
    struct sim_peer *p = sim_stream(sim, &stream);
    struct api *api;
    size_t n;

    ASSERT(api_new(&api, &config) == ST_OK);
    ASSERT(api_accept(api, stream, NULL) == ST_OK);
    if (len_bytes) {
        sim_peer_set_piece(p, data[0]);
        sim_peer_send(p, data + 1, len_bytes - 1);
    }
    sim_run(sim);
    sim_advance_ms(sim, API_HEAD_MS + API_BODY_MS);
    ASSERT(sim_peer_is_closed(p));
    const uint8_t *got = sim_peer_data(p, &n);

    ASSERT(n == 0 || (n > 15 && memcmp(got, "HTTP/1.1 ", 9) == 0));
    api_free(api);
    sim_free(sim);
    return 0;
}
