/* SPDX-License-Identifier: Apache-2.0
 * command_line.h - words as one Windows command line, which the C library takes apart into the same
 * words again, whatever blanks, quotes and backslashes they hold. Pure; any thread.
 */
#ifndef SHARED_PORT_WIN_COMMAND_LINE_H
#define SHARED_PORT_WIN_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* Set out and cap, the rest zero. */
struct command_line {
    char *out;
    size_t cap; /* bytes, terminator included */
    size_t len; /* so far; beyond cap when it did not fit */
};

/* The first word, the program: in quotes always, or Windows would try each prefix up to a blank. A
 * path cannot hold a quote. */
void command_line_program(struct command_line *c, const char *path);
void command_line_add(struct command_line *c, const char *word);
/* Terminates it; false: it did not fit. */
bool command_line_end(struct command_line *c);

#endif
