/* SPDX-License-Identifier: Apache-2.0
 * option_value.h - one option's value in a configuration struct: from text, to text, compared,
 * copied. Pure.
 */
#ifndef SHARED_BASE_OPTION_VALUE_H
#define SHARED_BASE_OPTION_VALUE_H

#include "base/options.h"

/* Checks @value by kind and o->check and stores it into @config. @first: a list forgets what it has
 * before. ST_INVAL, and @config is what it was. */
enum status option_value_store(const struct option *o, void *config, const char *value, bool first,
                               struct errmsg *e);
/* As it could be written: true, 1500, 800ms, a text; a list as "a, b". Cut when too long; returns
 * the whole length, as snprintf does. */
size_t option_value_format(const struct option *o, const void *config, char *buf, size_t cap);
bool option_value_equal(const struct option *o, const void *a, const void *b);
void option_value_copy(const struct option *o, void *to, const void *from);

#endif
