/* SPDX-License-Identifier: Apache-2.0
 * main_help.h - `rdlinkd help` and, as roff, `rdlinkd help man`.
 */
#ifndef WINSVC_MAIN_HELP_H
#define WINSVC_MAIN_HELP_H

/* @argv begins after the verb. Returns the exit code. */
int main_help(int argc, const char *const *argv);

#endif
