/* SPDX-License-Identifier: Apache-2.0
 * fault_shim: preloaded into a program under test, what cannot be done to it from outside.
 *
 *   LD_PRELOAD=fault_shim.so RDL_FAULTS=FILE PROGRAM
 *
 * FILE is two numbers of 64 bits that the test writes at any time and every program with the shim
 * reads:
 *   1. seconds by which the wall clock of these programs is wrong. No other clock moves and no
 *      other program sees it: somebody set the clock, or, to a program that looks at both of its
 *      clocks, the computer slept.
 *   2. a process, which ends by exit code 1 the next time it asks for any time (each turn of an
 *      event loop does).
 * It asks the kernel itself, so it works below a sanitizer, and before anything is initialised.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct faults {
    int64_t wall_shift_s;
    int64_t exit_pid;
};

static const volatile struct faults *faults;

__attribute__((constructor)) static void shim_init(void)
{
    const char *path = getenv("RDL_FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *faults, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED)
        faults = page;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's are reserved.
 */
int clock_gettime(clockid_t id, struct timespec *at)
{
    int failed = (int)syscall(SYS_clock_gettime, id, at);

    if (failed || !faults)
        return failed;
    if (faults->exit_pid == getpid())
        _exit(1);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        at->tv_sec += faults->wall_shift_s;
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);

    (void)zone;
    if (!failed)
        *at = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
    return failed;
}

time_t time(time_t *at)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now))
        return (time_t)-1;
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
