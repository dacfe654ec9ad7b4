/* SPDX-License-Identifier: Apache-2.0
 * man_page.h - a manual page as roff (man(7) macros), written from the tables that the program
 * itself goes by, so that there is no second list of options to keep.
 *
 * Each program prints its own (`rdlink help man`); the build target `man` saves them. Texts are
 * plain: what means something to roff is escaped here. Pure.
 */
#ifndef SHARED_BASE_MAN_PAGE_H
#define SHARED_BASE_MAN_PAGE_H

#include "base/options.h"

struct man_page {
    void (*print)(void *ctx, const char *text); /* the page, piece by piece */
    void *ctx;
    bool has_text; /* below the last heading; the writer's own */
};

/* The head; @summary follows the name in one line. Once, and first. */
void man_page_begin(struct man_page *m, const char *name, unsigned section, const char *summary);
/* A heading: "EXIT STATUS"; one below it. */
void man_page_section(struct man_page *m, const char *title);
void man_page_part(struct man_page *m, const char *title);
/* Filled text, a paragraph. */
void man_page_text(struct man_page *m, const char *text);
/* Lines that stay as they are: tables, commands. */
void man_page_lines(struct man_page *m, const char *lines);
/* @term in bold, and what it means, indented. */
void man_page_item(struct man_page *m, const char *term, const char *text);
/* An item for each option: its value, what it means, its default. */
void man_page_options(struct man_page *m, const struct option *table, size_t count);

#endif
