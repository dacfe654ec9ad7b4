/* SPDX-License-Identifier: Apache-2.0
 * sys.h - small questions to the operating system that have no better home. Any thread.
 */
#ifndef SHARED_PORT_SYS_H
#define SHARED_PORT_SYS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Cryptographically strong bytes from the system. */
enum status sys_random(void *buf, size_t len_bytes);
/* Wall clock, milliseconds since 1970 UTC; may jump. */
int64_t sys_wall_ms(void);
int64_t sys_wall_us(void); /* the same clock in microseconds */
/* Monotonic milliseconds, for places without a loop (logging). */
uint64_t sys_monotonic_ms(void);
/* Processor time that this process has used, milliseconds of all its threads. */
uint64_t sys_cpu_ms(void);
int64_t sys_pid(void);
/* Memory that was freed goes back to the system, as far as the allocator can. Milliseconds: for
 * quiet moments after much was in use. */
void sys_trim_memory(void);
/* Absolute path of the running program, UTF-8. */
enum status sys_self_path(char *buf, size_t cap);

/* What a report says of the computer. Nothing that names it or its owner. */
struct sys_facts {
    char system[64], release[64], version[128], machine[64]; /* as uname says; "" = unknown */
    unsigned cpus;
    uint64_t memory_bytes, uptime_s;
};
void sys_describe(struct sys_facts *out);

#endif
