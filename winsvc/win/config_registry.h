/* SPDX-License-Identifier: Apache-2.0
 * config_registry.h - settings from the registry (config_store.h), in two keys under HKLM:
 * SOFTWARE\NAME, and SOFTWARE\Policies\NAME, which only administrators may write.
 *
 * REG_SZ is a text, REG_DWORD a number or a flag, REG_MULTI_SZ a list; a value of another type is a
 * mistake. Sub-keys are somebody else's. Keys are those of 64-bit programs.
 */
#ifndef WINSVC_WIN_CONFIG_REGISTRY_H
#define WINSVC_WIN_CONFIG_REGISTRY_H

#include "config/config_store.h"

/* ST_FULL: @name is too long. */
enum status config_registry_init(struct config_store *s, const char *name);

#endif
