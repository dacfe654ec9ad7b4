/* SPDX-License-Identifier: Apache-2.0
 * build_info.h - what this program was made of. The build writes the .c (cmake/commit.cmake). Any
 * thread.
 */
#ifndef WINSVC_CLI_BUILD_INFO_H
#define WINSVC_CLI_BUILD_INFO_H

/* The commit of the sources, with "-dirty" when they are not quite that one; "unknown". */
extern const char build_info_commit[];
/* By what and for what: "GNU 12.2.0, Linux x86_64, Release". */
extern const char build_info_kind[];

#endif
