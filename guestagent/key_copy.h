/* SPDX-License-Identifier: Apache-2.0
 * key_copy.h - root's key, handed to a unit that is nobody in particular. What `rdlink-agent
 * copy-key` does; rdlink-bridge.service has it run before the bridge starts. linux/key_copy.c;
 * win/key_copy.c knows no such users.
 */
#ifndef GUESTAGENT_KEY_COPY_H
#define GUESTAGENT_KEY_COPY_H

#include "base/status.h"

/* @to becomes a file with the key that is in @from, of the user whose the folder of @to is, and
 * closed to everybody else. A file that was there is replaced at once. Whoever owns the folder may
 * do there what he likes meanwhile: the key gets nowhere but into that folder.
 *
 * ST_OK: so it is; or @from is not there or empty, and now @to is not there either. On failure @to
 * is not there: ST_DENIED, ST_INVAL, ST_FULL and ST_IO as key_file_read() says it of @from;
 * ST_NOTFOUND: no folder for @to; ST_DENIED: nothing may be written there; ST_NOFILES; ST_INVAL:
 * @to is no path of a file, ST_IO; ST_UNSUPPORTED. Blocks for as long as the file system does. */
enum status key_copy(const char *from, const char *to, struct errmsg *e);

#endif
