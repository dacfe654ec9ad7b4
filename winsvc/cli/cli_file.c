/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_file.h"

#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>

bool cli_read_tail(const char *path, size_t max, char **data, size_t *len_bytes)
{
    FILE *f = fopen(path, "rb");
    long size = -1;
    bool good = false;

    *data = NULL;
    if (!f)
        return false;
    if (!fseek(f, 0, SEEK_END))
        size = ftell(f);
    if (size >= 0 && !fseek(f, size > (long)max ? size - (long)max : 0, SEEK_SET))
        *data = malloc(MIN((size_t)size, max) + 1);
    if (*data) {
        *len_bytes = fread(*data, 1, MIN((size_t)size, max), f);
        good = !ferror(f);
    }
    if (good) {
        (*data)[*len_bytes] = '\0';
    } else {
        free(*data);
        *data = NULL;
    }
    fclose(f);
    return good;
}
