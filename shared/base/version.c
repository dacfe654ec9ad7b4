/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

const char *rdlink_version(void)
{
    return RDLINK_VERSION;
}
