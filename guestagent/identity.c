/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/identity.h"

#include "base/log.h"
#include "ipc/key_file.h"

enum status identity_check_instance(const char *value, struct errmsg *e)
{
    if (proof_is_instance(value))
        return ST_OK;
    errmsg_set(e, "'%.80s' names no instance: 1 to %d letters, digits, '-', '_' and '.'", value,
               PROOF_INSTANCE_MAX - 1);
    return ST_INVAL;
}

/* The one key there is; @instance is our own name. What is wrong with it is said once. */
static enum status find_key(void *ctx, const char *instance, struct proof_key *out)
{
    struct identity *self = ctx;
    struct errmsg e = { "" };
    enum status st = key_file_read(self->options->key_file, out, &e);

    if (st != self->last && st != ST_OK && st != ST_NOTFOUND)
        log_warn_limited(LOG_IPC, "no key: %s", e.text);
    self->last = st;
    return st;
}

enum status identity_init(struct identity *out, const struct identity_options *options,
                          struct errmsg *e)
{
    struct proof_key key;
    enum status st = key_file_read(options->key_file, &key, e);

    crypto_wipe(&key, sizeof key);
    *out = (struct identity){
        .options = options,
        .proof = { .find_key = find_key, .ctx = out, .is_required = options->require_proof },
        .last = st
    };
    /* Docker is not to be out of reach for want of a key that nobody asks for. */
    if (st == ST_DENIED && !options->require_proof)
        log_error(LOG_IPC, "no key, this guest stays unproved: %s", e->text);
    if ((st == ST_NOTFOUND || st == ST_DENIED) && !options->require_proof)
        st = ST_OK;
    else if (st)
        errmsg_wrap(e, "key file");
    if (st == ST_OK)
        log_info(LOG_IPC, "instance=%s proof=%s", options->instance,
                 options->require_proof ? "required" : "offered");
    return st;
}
