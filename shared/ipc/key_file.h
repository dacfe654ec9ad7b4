/* SPDX-License-Identifier: Apache-2.0
 * key_file.h - the key of one instance, in a file: 64 hexadecimal digits and the end of a line.
 * Blocks for as long as the file system does; any thread.
 */
#ifndef SHARED_IPC_KEY_FILE_H
#define SHARED_IPC_KEY_FILE_H

#include "base/status.h"

struct proof_key;

/* ST_NOTFOUND: there is none, or it is empty. ST_INVAL: it holds something else. Otherwise as
 * secret_file_read(). The message never quotes what is in the file. */
enum status key_file_read(const char *path, struct proof_key *out, struct errmsg *e);
/* A new file with a new random key. As secret_file_create(); ST_IO also when the system gives no
 * random bytes. */
enum status key_file_create(const char *path, struct errmsg *e);

#endif
