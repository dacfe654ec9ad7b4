/* SPDX-License-Identifier: Apache-2.0
 * ustar.h - the head of a file in a tar archive (POSIX.1-1988 ustar), for regular files only. Pure.
 *
 * Not libarchive: it would be one more library in three builds, for 512 bytes that have not changed
 * since 1988. tar is also what Windows 10 unpacks with its own tar.exe, so there is no zip.
 */
#ifndef WINSVC_CLI_USTAR_H
#define WINSVC_CLI_USTAR_H

#include <stddef.h>
#include <stdint.h>

/* Everything is in blocks: head, then data, filled up with zeros; two empty blocks are the end. */
enum { USTAR_BLOCK = 512, USTAR_NAME_MAX = 100, USTAR_FOLDER_MAX = 155 };

/* "@folder/@name", readable by its owner. Names are shorter than the limits, data than 8 GiB. */
void ustar_head(uint8_t out[static USTAR_BLOCK], const char *folder, const char *name,
                size_t len_bytes, int64_t mtime_s);
/* Zeros that follow @len_bytes of data. */
size_t ustar_padding(size_t len_bytes);

#endif
