/* SPDX-License-Identifier: Apache-2.0
 * cli_fixture.h - a command that runs on the simulator, against a service that says what the test
 * lets it say. Included by one test program at a time.
 */
#ifndef TESTS_UNIT_CLI_CLI_FIXTURE_H
#define TESTS_UNIT_CLI_CLI_FIXTURE_H

#include "support/cmocka_all.h"

#include "base/util.h"
#include "cli/cli.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"

#define FIXTURE_COMMIT "0123456789abcdef0123456789abcdef01234567"
#define FIXTURE_BUILD  "a compiler 1.2.3, TestOS, Release"

struct fixture {
    struct sim *sim;
    struct cli_env env;
    struct cli *cli;
    int code;
    char out[32768], err[4096];
    char output_path[128]; /* what was written to the file of --output */
    unsigned char output[2 * 1024 * 1024];
    size_t output_bytes;
    bool output_is_full, output_is_discarded;
    enum status create; /* how the next create_output() ends */
};

int cli_fixture_setup(void **state);
int cli_fixture_teardown(void **state);

/* `rdlink WORDS`; its first dial ends with @dial. It must not be over at once. */
void start_with(struct fixture *f, const char *words, enum status dial);
void start(struct fixture *f, const char *words);
/* As answer(), for another method than GET and what the request's body must have in it. */
void answer_to(struct fixture *f, const char *method, const char *target, const char *sent,
               const char *line, const char *body);
/* The command's next request must be for @target; it is answered with @line and @body. The
 * dial after it ends with @then. */
void answer_then(struct fixture *f, const char *target, const char *line, const char *body,
                 enum status then);
void answer(struct fixture *f, const char *target, const char *line, const char *body);
bool has(const char *text, const char *what);

#endif
