/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/key_copy.h"

enum status key_copy(const char *from, const char *to, struct errmsg *e)
{
    errmsg_set(e, "%s", status_text(ST_UNSUPPORTED));
    return ST_UNSUPPORTED;
}
