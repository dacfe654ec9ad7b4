/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * libuv starts a child with our own token only, so this does it by itself:
 *
 *   pipe pairs  one end is our stream, the other the child's standard input or error stream
 *   token, job  worker_token.c
 *   process     suspended, with exactly three handles: its input, our output, our error stream
 *   into the job, resumed, waited for by the pump (io_pump.h)
 *
 * The pipe has a random name that exists until both ends are open; it is the first instance and the
 * only one, so whoever guessed it would make us fail and not be connected to us.
 *
 * A process is in a job before its first instruction, and the job's only handle is ours: however we
 * end, it ends. A job that restricts the desktop cannot be nested in another one, which is where a
 * console's or an editor's children are; there it goes without that.
 *
 * Where the restricted token cannot be made or given, the worker runs with ours: a service that
 * does not start helps nobody. It is logged, and the status says what the token is
 * (process_identity.h).
 *
 * Killed by us is reported as signal 9, as elsewhere: Windows itself knows only exit codes.
 */
#include "port/process.h"

#include "base/log.h"
#include "port/stream.h"
#include "port/sys.h"
#include "port/uv/stream_uv.h"
#include "port/win/command_line.h"
#include "port/win/io_pump.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"
#include "port/win/worker_token.h"

#include <fcntl.h>
#include <inttypes.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMMAND_MAX = 32767, /* CreateProcess' own bound */
    PATH_CHARS = 1024,
    STDIO = 3,
    KILLED = 9,
    PIPE_BYTES = 65536
};

struct process {
    struct io_pump *pump; /* acquired */
    struct io_wait wait;  /* under way until the exit was seen */
    HANDLE handle, job;   /* owned */
    process_exit_fn *on_exit;
    void *ctx;
    DWORD pid;
    bool killed, exited, forgotten;
};

/* What a start needs and the end of it gives back. */
struct start {
    HANDLE token;           /* NULL: our own */
    HANDLE control, output; /* our ends; output is NULL where the child has our error stream */
    HANDLE stdio[STDIO];    /* inheritable; [0] is the child's end of the control stream */
    wchar_t *command;
    LPPROC_THREAD_ATTRIBUTE_LIST attributes; /* NULL until made */
};

static void close_handle(HANDLE h)
{
    if (h && h != INVALID_HANDLE_VALUE)
        CloseHandle(h);
}

static void start_end(struct start *s)
{
    close_handle(s->token);
    close_handle(s->control);
    close_handle(s->output);
    for (unsigned i = 0; i < STDIO; i++)
        close_handle(s->stdio[i]);
    if (s->attributes)
        DeleteProcThreadAttributeList(s->attributes);
    free(s->attributes);
    free(s->command);
}

/* ---- what the child gets --------------------------------------------------------------------- */

/* *ours is overlapped, as libuv needs it; *theirs is with FILE_FLAG_OVERLAPPED in @flags. */
static enum status make_pipe(HANDLE *ours, HANDLE *theirs, DWORD flags, struct errmsg *e)
{
    SECURITY_ATTRIBUTES inherit = { sizeof inherit, NULL, TRUE };
    const DWORD mode = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE;
    wchar_t name[64];
    uint64_t random[2];
    enum status st = sys_random(random, sizeof random);

    if (st) {
        errmsg_set(e, "name of a pipe: %s", status_text(st));
        return st;
    }
    swprintf(name, ARRAY_SIZE(name), L"\\\\.\\pipe\\rdlink-worker-%016" PRIx64 "%016" PRIx64,
             random[0], random[1]);
    *ours = CreateNamedPipeW(name, mode,
                             PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1,
                             PIPE_BYTES, PIPE_BYTES, 0, NULL);
    if (*ours == INVALID_HANDLE_VALUE)
        return win_error_set(e, "pipe to the child", GetLastError());
    *theirs = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, &inherit, OPEN_EXISTING,
                          flags | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS, NULL);
    return *theirs != INVALID_HANDLE_VALUE ? ST_OK
                                           : win_error_set(e, "pipe to the child", GetLastError());
}

/* Ours, or nothing where we have none: a service. */
static HANDLE inheritable(DWORD which)
{
    SECURITY_ATTRIBUTES inherit = { sizeof inherit, NULL, TRUE };
    HANDLE own = GetStdHandle(which), copy = NULL;

    if (own && own != INVALID_HANDLE_VALUE &&
        DuplicateHandle(GetCurrentProcess(), own, GetCurrentProcess(), &copy, 0, TRUE,
                        DUPLICATE_SAME_ACCESS))
        return copy;
    return CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                       &inherit, OPEN_EXISTING, 0, NULL);
}

/* Only these three are inherited, whatever else is inheritable at that moment. */
static enum status make_attributes(struct start *s, struct errmsg *e)
{
    SIZE_T size = 0;

    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    s->attributes = malloc(size);
    if (!s->attributes || !InitializeProcThreadAttributeList(s->attributes, 1, 0, &size)) {
        free(s->attributes);
        s->attributes = NULL;
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    if (!UpdateProcThreadAttribute(s->attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, s->stdio,
                                   sizeof s->stdio, NULL, NULL))
        return win_error_set(e, "handles of the child", GetLastError());
    return ST_OK;
}

static enum status make_command(struct start *s, char *const *argv, struct errmsg *e)
{
    struct command_line line = { .out = malloc(COMMAND_MAX), .cap = COMMAND_MAX };
    enum status st = ST_NOMEM;

    s->command = malloc(COMMAND_MAX * sizeof s->command[0]);
    if (line.out && s->command) {
        command_line_program(&line, argv[0]);
        for (char *const *word = argv + 1; *word; word++)
            command_line_add(&line, *word);
        st = command_line_end(&line) ? utf8_to_utf16(s->command, COMMAND_MAX, line.out) : ST_FULL;
    }
    if (st)
        errmsg_set(e, "command line: %s", status_text(st));
    free(line.out);
    return st;
}

/* The C library's writes are not overlapped, so the child's error stream is not either. */
static enum status make_stdio(struct start *s, bool with_output, struct errmsg *e)
{
    enum status st = make_pipe(&s->control, &s->stdio[0], FILE_FLAG_OVERLAPPED, e);

    s->stdio[1] = inheritable(STD_OUTPUT_HANDLE);
    if (st == ST_OK && with_output)
        return make_pipe(&s->output, &s->stdio[2], 0, e);
    s->stdio[2] = inheritable(STD_ERROR_HANDLE);
    return st;
}

static enum status prepare(struct start *s, const struct process_spec *spec, struct errmsg *e)
{
    struct errmsg why = { "" };
    enum status st = make_stdio(s, spec->output != NULL, e);

    if (st == ST_OK)
        st = make_attributes(s, e);
    if (st == ST_OK)
        st = make_command(s, spec->argv, e);
    if (worker_token_new(&s->token, &why) != ST_OK) {
        s->token = NULL;
        log_warn(LOG_PORT, "a worker runs with our own rights: %s", why.text);
    }
    return st;
}

/* ---- starting -------------------------------------------------------------------------------- */

static bool create(struct start *s, const wchar_t *file, PROCESS_INFORMATION *out)
{
    /* Without a console of ours the child would be given one, and a process to show it. */
    const DWORD flags =
        CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT | (GetConsoleCP() ? 0 : DETACHED_PROCESS);
    STARTUPINFOEXW info = { .StartupInfo = { .cb = sizeof info,
                                             .dwFlags = STARTF_USESTDHANDLES,
                                             .hStdInput = s->stdio[0],
                                             .hStdOutput = s->stdio[1],
                                             .hStdError = s->stdio[2] },
                            .lpAttributeList = s->attributes };
    char text[WIN_ERROR_TEXT_MAX];

    if (s->token && CreateProcessAsUserW(s->token, file, s->command, NULL, NULL, TRUE, flags, NULL,
                                         NULL, &info.StartupInfo, out))
        return true;
    if (s->token && GetLastError() != ERROR_PRIVILEGE_NOT_HELD)
        return false;
    if (s->token)
        log_warn(LOG_PORT, "a worker runs with our own rights: %s",
                 win_error_text(GetLastError(), text));
    return CreateProcessW(file, s->command, NULL, NULL, TRUE, flags, NULL, NULL, &info.StartupInfo,
                          out);
}

static enum status join_job(struct process *p, struct errmsg *e)
{
    for (int restricts_desktop = 1; restricts_desktop >= 0; restricts_desktop--) {
        enum status st = worker_job_new(&p->job, restricts_desktop, e);

        if (st)
            return st;
        if (AssignProcessToJobObject(p->job, p->handle))
            return ST_OK;
        win_error_set(e, "put the child into a job", GetLastError());
        CloseHandle(p->job);
        p->job = NULL;
    }
    return ST_DENIED;
}

static void on_gone(struct io_wait *w);

static enum status launch(struct process *p, struct start *s, const struct process_spec *spec,
                          struct errmsg *e)
{
    PROCESS_INFORMATION made;
    wchar_t file[PATH_CHARS];
    enum status st = utf8_to_utf16(file, ARRAY_SIZE(file), spec->file);

    if (st) {
        errmsg_set(e, "%s", status_text(st));
        return st;
    }
    if (!create(s, file, &made))
        return win_error_set(e, "create process", GetLastError());
    p->handle = made.hProcess;
    p->pid = made.dwProcessId;
    st = join_job(p, e);
    if (st == ST_OK)
        st = io_wait_start(p->pump, &p->wait, p->handle, on_gone, e);
    if (st == ST_OK)
        ResumeThread(made.hThread);
    else
        TerminateProcess(made.hProcess, 1);
    CloseHandle(made.hThread);
    return st;
}

static void release(struct process *p)
{
    close_handle(p->handle);
    close_handle(p->job);
    if (p->pump)
        io_pump_release(p->pump);
    free(p);
}

/* *ours becomes the stream's, also when that fails. */
static enum status wrap(struct loop *loop, HANDLE *ours, struct stream **out)
{
    int fd = _open_osfhandle((intptr_t)*ours, _O_RDWR | _O_BINARY);

    if (fd < 0)
        return ST_NOFILES;
    *ours = NULL;
    return stream_uv_from_fd(loop, fd, out);
}

static enum status make_streams(struct loop *loop, struct start *s, struct stream **control,
                                struct stream **output)
{
    enum status st = wrap(loop, &s->control, control);

    if (st || !output)
        return st;
    st = wrap(loop, &s->output, output);
    if (st)
        stream_close(*control);
    return st;
}

enum status process_spawn(struct loop *loop, struct process **out, const struct process_spec *spec,
                          struct stream **control, process_exit_fn *on_exit, void *ctx,
                          struct errmsg *e)
{
    struct process *p = calloc(1, sizeof *p);
    struct start s = { .token = NULL };
    enum status st = ST_NOMEM;

    if (p) {
        p->on_exit = on_exit;
        p->ctx = ctx;
        st = io_pump_acquire(&p->pump, loop, e);
    } else {
        errmsg_set(e, "%s", status_text(st));
    }
    if (st == ST_OK)
        st = prepare(&s, spec, e);
    if (st == ST_OK)
        st = launch(p, &s, spec, e);
    if (st == ST_OK)
        st = make_streams(loop, &s, control, spec->output);
    start_end(&s);
    if (st == ST_OK) {
        *out = p;
        return ST_OK;
    }
    errmsg_wrap(e, "start %s", spec->file);
    if (p && p->wait.pump)
        process_free(p);
    else if (p)
        release(p);
    return st;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void on_gone(struct io_wait *w)
{
    struct process *p = container_of(w, struct process, wait);
    DWORD code = 0;

    p->exited = true;
    if (p->forgotten) {
        release(p);
        return;
    }
    GetExitCodeProcess(p->handle, &code);
    p->on_exit(p->ctx, (int64_t)code, p->killed ? KILLED : 0);
}

int64_t process_pid(const struct process *p)
{
    return p->pid;
}

void process_kill(struct process *p)
{
    if (p->exited)
        return;
    p->killed = true;
    TerminateProcess(p->handle, 1); /* fails only when it is gone already */
}

void process_free(struct process *p)
{
    if (!p)
        return;
    process_kill(p);
    p->forgotten = true;
    if (p->exited || io_wait_stop(&p->wait))
        release(p);
}

void process_die_with_parent(void)
{
    /* We are in our parent's job, which ends its member when the parent's handle closes. */
}
