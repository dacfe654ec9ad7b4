/* SPDX-License-Identifier: Apache-2.0
 * main_switch.h - `rdlinkd switch`: one switch alone, without controller and discovery, for
 * development, tests and other virtual machines.
 */
#ifndef WINSVC_MAIN_SWITCH_H
#define WINSVC_MAIN_SWITCH_H

/* Runs until a stop signal; @argv begins with the first option. Returns the exit code. */
int main_switch(int argc, const char *const *argv);

#endif
