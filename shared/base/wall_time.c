/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wall_time.h"

#include <stdio.h>

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* Days since 1970-01-01 as year, month and day of the Gregorian calendar. Counting in eras of 400
 * years that begin in March puts the leap day last, so that no month needs a special case. */
static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468; /* from 0000-03-01 */
    int64_t era = z / 146097;
    int64_t of_era = z - era * 146097;
    int64_t yoe = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t doy = of_era - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = y / 400; /* years are positive */
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

const char *wall_time_text(int64_t wall_ms, char buf[static WALL_TIME_MAX])
{
    const int64_t last_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
    int64_t ms = wall_ms < 0 ? 0 : wall_ms > last_ms ? last_ms : wall_ms;
    int of_day = (int)(ms % DAY_MS);
    int year, month, day;

    civil_from_days(ms / DAY_MS, &year, &month, &day);
    snprintf(buf, WALL_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
             of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
    return buf;
}

/* @count digits at @text; -1: something else is among them. */
static int number(const char *text, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static bool has_shape(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z";

    for (int i = 0; i < WALL_TIME_LEN; i++)
        if (shape[i] != '0' && text[i] != shape[i])
            return false;
    return true;
}

bool wall_time_parse(const char *text, size_t len_bytes, int64_t *wall_ms)
{
    int year, month, day, hour, minute, second, ms, y, m, d;
    int64_t days;

    if (len_bytes != WALL_TIME_LEN || !has_shape(text))
        return false;
    year = number(text, 4);
    month = number(text + 5, 2);
    day = number(text + 8, 2);
    hour = number(text + 11, 2);
    minute = number(text + 14, 2);
    second = number(text + 17, 2);
    ms = number(text + 20, 3);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59 || ms < 0)
        return false;
    days = days_from_civil(year, month, day);
    civil_from_days(days, &y, &m, &d);
    if (y != year || m != month || d != day)
        return false; /* such as 30 February */
    *wall_ms = days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    return true;
}
