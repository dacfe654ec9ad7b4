/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ustar.h"

#include "base/util.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Fields of a head: offset and size. Numbers are octal digits and a zero byte. */
enum {
    NAME_AT = 0,
    MODE_AT = 100,
    MODE_SIZE = 8,
    UID_AT = 108,
    GID_AT = 116,
    SIZE_AT = 124,
    SIZE_SIZE = 12,
    MTIME_AT = 136,
    CHECKSUM_AT = 148,
    CHECKSUM_SIZE = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345
};

static void put_octal(uint8_t *at, size_t size, uint64_t value)
{
    int n = snprintf((char *)at, size, "%0*" PRIo64, (int)size - 1, value);

    ASSERT(n == (int)size - 1);
}

void ustar_head(uint8_t out[static USTAR_BLOCK], const char *folder, const char *name,
                size_t len_bytes, int64_t mtime_s)
{
    static const uint8_t magic[] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };
    unsigned sum = 0;

    ASSERT(strlen(name) < USTAR_NAME_MAX && strlen(folder) < USTAR_FOLDER_MAX);
    memset(out, 0, USTAR_BLOCK);
    snprintf((char *)out + NAME_AT, USTAR_NAME_MAX, "%s", name);
    put_octal(out + MODE_AT, MODE_SIZE, 0600);
    put_octal(out + UID_AT, MODE_SIZE, 0);
    put_octal(out + GID_AT, MODE_SIZE, 0);
    put_octal(out + SIZE_AT, SIZE_SIZE, len_bytes);
    put_octal(out + MTIME_AT, SIZE_SIZE, mtime_s > 0 ? (uint64_t)mtime_s : 0);
    out[TYPE_AT] = '0';
    memcpy(out + MAGIC_AT, magic, sizeof magic);
    snprintf((char *)out + PREFIX_AT, USTAR_FOLDER_MAX, "%s", folder);
    /* The sum counts its own field as blanks; it ends with a zero byte and one of them. */
    memset(out + CHECKSUM_AT, ' ', CHECKSUM_SIZE);
    for (unsigned i = 0; i < USTAR_BLOCK; i++)
        sum += out[i];
    put_octal(out + CHECKSUM_AT, CHECKSUM_SIZE - 1, sum);
}

size_t ustar_padding(size_t len_bytes)
{
    return (USTAR_BLOCK - len_bytes % USTAR_BLOCK) % USTAR_BLOCK;
}
