/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes what the controller reads from a worker's standard error, in pieces of any size.
 *
 * Checked: every record has the worker's name and number and a printable text, and so have its last
 * words.
 */
#include "base/util.h"
#include "supervisor/worker_output.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void check_printable(const char *text)
{
    for (; *text; text++)
        ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check(void *ctx, const struct log_record *r)
{
    check_printable(r->text);
    if (r->component != LOG_OUTPUT)
        ASSERT(!strcmp(r->process, "worker") && r->pid == 7);
}

/* The first byte says how large the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static struct worker_output o;
    size_t piece;

    if (!len_bytes)
        return 0;
    piece = (size_t)data[0] + 1;
    log_set_sink(check, NULL);
    worker_output_init(&o, "worker", 7);
    for (size_t at = 1; at < len_bytes; at += piece)
        worker_output_take(&o, data + at, MIN(piece, len_bytes - at));
    worker_output_end(&o);
    check_printable(o.words);
    ASSERT(strlen(o.words) < sizeof o.words);
    return 0;
}
