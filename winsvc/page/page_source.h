/* SPDX-License-Identifier: Apache-2.0
 * page_source.h - what assemble.cmake writes at build time: the page as bytes. Only for page.c.
 */
#ifndef WINSVC_PAGE_PAGE_SOURCE_H
#define WINSVC_PAGE_PAGE_SOURCE_H

#include <stddef.h>

extern const unsigned char page_source[];
extern const size_t page_source_len_bytes;
extern const size_t page_source_data_at; /* where the data goes */
extern const char page_source_policy[];

#endif
