/* SPDX-License-Identifier: Apache-2.0 */
#include "port/process_identity.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct facts {
    bool has_uid, has_capabilities;
    unsigned long uid;
    uint64_t capabilities; /* effective */
    bool no_new_privileges;
    unsigned long seccomp; /* 2 = a filter */
};

static void read_line(struct facts *f, const char *line)
{
    if (!strncmp(line, "Uid:", 4)) {
        f->has_uid = true;
        f->uid = strtoul(line + 4, NULL, 10);
    } else if (!strncmp(line, "CapEff:", 7)) {
        f->has_capabilities = true;
        f->capabilities = strtoull(line + 7, NULL, 16);
    } else if (!strncmp(line, "NoNewPrivs:", 11)) {
        f->no_new_privileges = strtoul(line + 11, NULL, 10) == 1;
    } else if (!strncmp(line, "Seccomp:", 8)) {
        f->seccomp = strtoul(line + 8, NULL, 10);
    }
}

static void describe(const struct facts *f, struct process_identity *out)
{
    unsigned count = 0;

    for (uint64_t c = f->capabilities; c; c &= c - 1)
        count++;
    if (f->has_uid)
        snprintf(out->account, sizeof out->account, "uid %lu", f->uid);
    if (!f->has_capabilities)
        return;
    if (count)
        snprintf(out->token, sizeof out->token, "%u %s", count,
                 count == 1 ? "capability" : "capabilities");
    else
        snprintf(out->token, sizeof out->token, "no capabilities");
    if (f->no_new_privileges)
        strncat(out->token, ", no new privileges", sizeof out->token - strlen(out->token) - 1);
    if (f->seccomp == 2)
        strncat(out->token, ", system calls filtered", sizeof out->token - strlen(out->token) - 1);
}

void process_identity_of(int64_t pid, struct process_identity *out)
{
    struct facts f = { .has_uid = false };
    char path[40], line[256];
    FILE *file;

    *out = (struct process_identity){ .account = "" };
    snprintf(path, sizeof path, "/proc/%" PRId64 "/status", pid);
    file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof line, file))
        read_line(&f, line);
    fclose(file);
    describe(&f, out);
}
