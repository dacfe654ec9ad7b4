/* SPDX-License-Identifier: Apache-2.0 */
#include "port/log_pipe.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* libuv's pipes are sockets, and send() can be asked not to wait without a flag on the descriptor,
 * which whoever prints a crash report would stumble over. */
size_t log_pipe_put(const char *data, size_t len_bytes)
{
    ssize_t n;

    do {
        n = send(STDERR_FILENO, data, len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = write(STDERR_FILENO, data, len_bytes);
    } while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0;
}
