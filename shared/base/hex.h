/* SPDX-License-Identifier: Apache-2.0
 * hex.h - hexadecimal digits of either case, whatever the locale. Pure.
 */
#ifndef SHARED_BASE_HEX_H
#define SHARED_BASE_HEX_H

/* 0 to 15; -1: @c is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that two digits are; -1: they are not, and then @at[1] was not read unless @at[0] is
 * one.
 */
static inline int hex_byte(const char *at)
{
    int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);

    return low < 0 ? -1 : high << 4 | low;
}

#endif
