/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: systemd sets JOURNAL_STREAM to the device and inode of the socket that it made our
 * standard error; a redirected one has others. One record is one datagram of KEY=value lines, which
 * a record's text cannot break: it is clean of newlines. The send never waits; what is not taken
 * goes to standard error, where the journal finds it later, without its fields.
 */
#include "guestagent/journal.h"

#include "base/log.h"
#include "base/log_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static struct {
    int fd;
    struct sockaddr_un to;
} journal = { .fd = -1 };

static bool is_ours(void)
{
    const char *said = getenv("JOURNAL_STREAM");
    char is[64];
    struct stat st;

    if (!said || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(is, sizeof is, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return !strcmp(said, is);
}

static int priority_of(enum log_level level)
{
    static const int priorities[] = {
        [LOG_ERROR] = 3, [LOG_WARN] = 4, [LOG_INFO] = 6, [LOG_DEBUG] = 7, [LOG_TRACE] = 7,
    };

    return priorities[level];
}

static void sink(void *ctx, const struct log_record *r)
{
    char text[LOG_LINE_MAX];
    int len = snprintf(text, sizeof text,
                       "PRIORITY=%d\nSYSLOG_IDENTIFIER=rdlink-agent\nRDLINK_COMPONENT=%s\n"
                       "RDLINK_PROCESS=%s\nRDLINK_LEVEL=%s\nRDLINK_EVENT=%u\nMESSAGE=%s\n",
                       priority_of(r->level), log_component_name(r->component), r->process,
                       log_level_name(r->level), r->event, r->text);

    if (sendto(journal.fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&journal.to, sizeof journal.to) >= 0)
        return;
    log_line_format(text, r);
    fputs(text, stderr);
}

enum status journal_open(const char *path)
{
    if (!is_ours())
        return ST_NOTFOUND;
    journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal.fd < 0)
        return errno == EMFILE || errno == ENFILE ? ST_NOFILES : ST_IO;
    journal.to.sun_family = AF_UNIX;
    snprintf(journal.to.sun_path, sizeof journal.to.sun_path, "%s", path ? path : JOURNAL_SOCKET);
    log_set_sink(sink, NULL);
    return ST_OK;
}
