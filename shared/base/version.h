/* SPDX-License-Identifier: Apache-2.0
 * version.h - which rdlink this is. One version for all programs, set in the top CMakeLists.txt.
 */
#ifndef SHARED_BASE_VERSION_H
#define SHARED_BASE_VERSION_H

/* "0.1.0" */
const char *rdlink_version(void);

#endif
