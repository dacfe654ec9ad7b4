/* SPDX-License-Identifier: Apache-2.0
 * name_look.h - whether this system asks other name servers than before. linux/ looks at
 * resolv.conf, win/ at when the adapters' settings were written. Any thread.
 */
#ifndef SHARED_PORT_NAME_LOOK_H
#define SHARED_PORT_NAME_LOOK_H

#include <stdint.h>

/* Another number after they changed, and sometimes after something else did. Cheap enough to be
 * asked several times a second. */
uint64_t name_look(void);

#endif
