/* SPDX-License-Identifier: Apache-2.0
 * main_help.h - `rdlink-agent help` and, as roff, `rdlink-agent help man`.
 */
#ifndef GUESTAGENT_MAIN_HELP_H
#define GUESTAGENT_MAIN_HELP_H

#include <stdio.h>

void main_help_usage(FILE *to);
/* @argv begins after the verb. Returns the exit code. */
int main_help(int argc, const char *const *argv);

#endif
