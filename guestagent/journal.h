/* SPDX-License-Identifier: Apache-2.0
 * journal.h - the log as the journal's own fields (docs/logging.md), when standard error is the
 * journal's: by datagram, without libsystemd. linux/journal.c; win/journal.c has none.
 */
#ifndef GUESTAGENT_JOURNAL_H
#define GUESTAGENT_JOURNAL_H

#include "base/status.h"

/* From here on the log goes there; a line that it does not take at once goes to standard error as
 * ever. @path of its socket, borrowed; NULL = systemd's. ST_NOTFOUND: standard error is not the
 * journal's, nothing has changed. ST_IO, ST_NOFILES. Before the first thread. */
enum status journal_open(const char *path);

#endif
