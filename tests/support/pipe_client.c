/* SPDX-License-Identifier: Apache-2.0
 * pipe_client.c - what the Wine tests need on the Windows side: a docker-like client of a named
 * pipe with blocking calls (none of our code, so that it can disagree with it), and a few levers.
 *
 *   exchange PIPE BYTES    send, end our direction, read to the end      "sent N received N end=E"
 *   listen PIPE BYTES      read to the end first, then send and end      same
 *   many PIPE N BYTES      N at once, all connected before any sends     "N of N"
 *   sequence PIPE N BYTES  one after the other                           "N of N"
 *   http PIPE PATH         one GET; prints what comes back
 *   squat PIPE             holds the name as a server until stdin ends   "holds"
 *   kill PID               TerminateProcess
 *   idle                   keeps the Wine session alive until stdin ends
 *
 * Bytes sent are "abc...z" over and over. E is "message" (an empty message) or "close". Whoever
 * finds the pipe busy waits up to 20 s, as docker does. Exit code 0 = as it should be.
 */
#include <fcntl.h>
#include <io.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { PATIENCE_MS = 20000, CHUNK = 32768, MAX_CLIENTS = 64 };

struct result {
    size_t sent, received;
    const char *end;
};

static HANDLE connect_pipe(const char *name)
{
    char path[300];
    DWORD mode = PIPE_READMODE_MESSAGE;
    DWORD until = GetTickCount() + PATIENCE_MS;

    snprintf(path, sizeof(path), "\\\\.\\pipe\\%s", name);
    for (;;) {
        HANDLE h = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
        if (h != INVALID_HANDLE_VALUE) {
            SetNamedPipeHandleState(h, &mode, NULL, NULL); /* fails on a byte-type pipe */
            return h;
        }
        if (GetLastError() != ERROR_PIPE_BUSY || (int)(until - GetTickCount()) <= 0) {
            fprintf(stderr, "open %s: error %lu\n", path, GetLastError());
            return h;
        }
        WaitNamedPipeA(path, 100);
    }
}

static bool send_all(HANDLE h, size_t len, struct result *r)
{
    static char chunk[CHUNK];
    DWORD n;

    for (size_t i = 0; i < sizeof(chunk); i++)
        chunk[i] = (char)('a' + i % 26);
    while (r->sent < len) {
        /* A multiple of 26, so that the alphabet goes on where it stopped. */
        size_t want = len - r->sent < CHUNK - CHUNK % 26 ? len - r->sent : CHUNK - CHUNK % 26;
        if (!WriteFile(h, chunk, (DWORD)want, &n, NULL)) {
            fprintf(stderr, "write: error %lu\n", GetLastError());
            return false;
        }
        r->sent += n;
    }
    if (!WriteFile(h, chunk, 0, &n, NULL)) {
        fprintf(stderr, "end of data: error %lu\n", GetLastError());
        return false;
    }
    return true;
}

static bool read_to_end(HANDLE h, struct result *r, FILE *copy)
{
    char *buf = malloc(CHUNK);
    bool ok = true;
    DWORD n;

    for (;;) {
        if (!ReadFile(h, buf, CHUNK, &n, NULL) && GetLastError() != ERROR_MORE_DATA) {
            r->end = "close";
            ok = GetLastError() == ERROR_BROKEN_PIPE;
            if (!ok)
                fprintf(stderr, "read: error %lu\n", GetLastError());
            break;
        }
        if (n == 0) {
            r->end = "message";
            break;
        }
        r->received += n;
        if (copy)
            fwrite(buf, 1, n, copy);
    }
    free(buf);
    return ok;
}

static int report(const struct result *r, bool ok)
{
    printf("sent %lu received %lu end=%s\n", (unsigned long)r->sent, (unsigned long)r->received,
           r->end ? r->end : "none");
    return ok ? 0 : 1;
}

static int exchange(const char *name, size_t len, bool listen_first, struct result *r)
{
    HANDLE h = connect_pipe(name);
    bool ok = h != INVALID_HANDLE_VALUE;

    if (listen_first)
        ok = ok && read_to_end(h, r, NULL) && send_all(h, len, r);
    else
        ok = ok && send_all(h, len, r) && read_to_end(h, r, NULL);
    if (ok && listen_first) { /* our last words are out when the other side closes */
        struct result rest = { 0 };
        read_to_end(h, &rest, NULL);
    }
    if (h != INVALID_HANDLE_VALUE)
        CloseHandle(h);
    return ok ? 0 : 1;
}

/* ---- many at once ---------------------------------------------------------------------- */

struct client {
    const char *name;
    size_t len;
    HANDLE go; /* set once all are connected */
    LONG *connected;
    bool ok;
};

static DWORD WINAPI client_main(void *arg)
{
    struct client *c = arg;
    struct result r = { 0 };
    HANDLE h = connect_pipe(c->name);

    InterlockedIncrement(c->connected);
    WaitForSingleObject(c->go, PATIENCE_MS);
    if (h != INVALID_HANDLE_VALUE) {
        c->ok = send_all(h, c->len, &r) && read_to_end(h, &r, NULL) && r.received >= c->len;
        CloseHandle(h);
    }
    return 0;
}

static int many(const char *name, unsigned count, size_t len)
{
    struct client clients[MAX_CLIENTS];
    HANDLE threads[MAX_CLIENTS];
    HANDLE go = CreateEventA(NULL, TRUE, FALSE, NULL);
    LONG connected = 0;
    unsigned good = 0;

    if (count > MAX_CLIENTS)
        count = MAX_CLIENTS;
    for (unsigned i = 0; i < count; i++) {
        clients[i] = (struct client){ name, len, go, &connected, false };
        threads[i] = CreateThread(NULL, 0, client_main, &clients[i], 0, NULL);
    }
    while (InterlockedCompareExchange(&connected, 0, 0) < (LONG)count)
        Sleep(1);
    SetEvent(go);
    for (unsigned i = 0; i < count; i++) {
        WaitForSingleObject(threads[i], INFINITE);
        good += clients[i].ok;
    }
    printf("%u of %u\n", good, count);
    return good == count ? 0 : 1;
}

static int sequence(const char *name, unsigned count, size_t len)
{
    unsigned good = 0;
    for (unsigned i = 0; i < count; i++) {
        struct result r = { 0 };
        good += exchange(name, len, false, &r) == 0 && r.received >= len;
    }
    printf("%u of %u\n", good, count);
    return good == count ? 0 : 1;
}

/* ---- levers ---------------------------------------------------------------------------- */

static int http(const char *name, const char *path)
{
    char request[512];
    struct result r = { 0 };
    DWORD n;
    HANDLE h = connect_pipe(name);

    if (h == INVALID_HANDLE_VALUE)
        return 1;
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    bool ok = WriteFile(h, request, (DWORD)strlen(request), &n, NULL) && read_to_end(h, &r, stdout);
    CloseHandle(h);
    return ok && r.received > 0 ? 0 : 1;
}

static void wait_for_stdin(void)
{
    while (getchar() != EOF)
        ;
}

/* Like any server, it takes the next client when one has gone. */
static DWORD WINAPI squatter_main(void *h)
{
    char byte;
    DWORD n;

    while (ConnectNamedPipe(h, NULL) || GetLastError() == ERROR_PIPE_CONNECTED ||
           GetLastError() == ERROR_NO_DATA) {
        while (ReadFile(h, &byte, 1, &n, NULL))
            ;
        DisconnectNamedPipe(h);
    }
    return 0;
}

static int squat(const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "\\\\.\\pipe\\%s", name);
    HANDLE h = CreateNamedPipeA(path, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, 0, 255, 0,
                                0, 0, NULL);
    if (h == INVALID_HANDLE_VALUE)
        return 1;
    CreateThread(NULL, 0, squatter_main, h, 0, NULL);
    printf("holds\n");
    fflush(stdout);
    wait_for_stdin();
    return 0; /* ends the thread and the pipe */
}

static int kill_process(const char *pid)
{
    HANDLE h = OpenProcess(PROCESS_TERMINATE, FALSE, strtoul(pid, NULL, 10));
    return h && TerminateProcess(h, 9) ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    const char *name = argc > 2 ? argv[2] : "";
    size_t last = argc > 3 ? strtoul(argv[argc - 1], NULL, 10) : 0;
    struct result r = { 0 };

    _setmode(_fileno(stdout), _O_BINARY); /* what a server says is printed as it came */
    if (!strcmp(verb, "exchange") || !strcmp(verb, "listen")) {
        bool ok = exchange(name, last, verb[0] == 'l', &r) == 0;
        return report(&r, ok);
    }
    if (!strcmp(verb, "many") && argc == 5)
        return many(name, (unsigned)strtoul(argv[3], NULL, 10), last);
    if (!strcmp(verb, "sequence") && argc == 5)
        return sequence(name, (unsigned)strtoul(argv[3], NULL, 10), last);
    if (!strcmp(verb, "http") && argc == 4)
        return http(name, argv[3]);
    if (!strcmp(verb, "squat"))
        return squat(name);
    if (!strcmp(verb, "kill"))
        return kill_process(name);
    if (!strcmp(verb, "idle")) {
        wait_for_stdin();
        return 0;
    }
    fprintf(stderr, "pipe_client: see the top of pipe_client.c\n");
    return 4;
}
