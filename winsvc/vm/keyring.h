/* SPDX-License-Identifier: Apache-2.0
 * keyring.h - the keys of the instances that this host knows: a folder of INSTANCE.key files.
 *
 * A key is read when it is needed, so what is in the folder counts from the next greeting on; a
 * change in the folder is told, for those that were greeted before it. Runs on: one loop. Owns: the
 * watch.
 */
#ifndef WINSVC_VM_KEYRING_H
#define WINSVC_VM_KEYRING_H

#include "base/status.h"

struct keyring;
struct loop;
struct proof_key;

/* Files came, went, or may have changed. Called from the loop. */
typedef void keyring_change_fn(void *ctx);

/* The folder need not exist; "" = there are no keys. @on_change NULL: it is not watched. ST_NOMEM;
 * ST_INVAL: the path is too long. */
enum status keyring_new(struct keyring **out, struct loop *loop, const char *folder,
                        keyring_change_fn *on_change, void *ctx);
/* ST_NOTFOUND: none of that name, or it is no name (proof_is_instance()). A file that is there and
 * cannot be used is logged, with why; otherwise as key_file_read(). @k NULL: ST_NOTFOUND. */
enum status keyring_find(const struct keyring *k, const char *instance, struct proof_key *out);
/* NULL is fine. */
void keyring_free(struct keyring *k);

#endif
