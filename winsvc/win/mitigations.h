/* SPDX-License-Identifier: Apache-2.0
 * mitigations.h - what Windows shall forbid this process, for good. Which of it is on is measured
 * from outside (port/process_identity.h) and shown in the status.
 */
#ifndef WINSVC_WIN_MITIGATIONS_H
#define WINSVC_WIN_MITIGATIONS_H

/* First thing in main(), service or not: libraries are only loaded from System32, so that a file
 * planted beside the program is never run; then the policies that every process of ours has. */
void mitigations_process(void);
/* First thing in a worker: neither windows nor children. */
void mitigations_worker(void);

#endif
