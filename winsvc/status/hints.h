/* SPDX-License-Identifier: Apache-2.0
 * hints.h - what a person should do next, by condition reason. Pure.
 */
#ifndef WINSVC_STATUS_HINTS_H
#define WINSVC_STATUS_HINTS_H

/* One short line, or NULL when there is nothing shorter than the reason's entry in
 * docs/troubleshooting.md. */
const char *hint_find(const char *reason);

#endif
