/* SPDX-License-Identifier: Apache-2.0
 * policy_template.h - the table of options as an administrative template for Windows' Group Policy:
 * an .admx file that says what may be set, and its .adml with the texts. What the editor writes is
 * what config_registry.h reads. Options for tests, and those that only a command line may have, are
 * left out. Pure.
 */
#ifndef WINSVC_CONFIG_POLICY_TEMPLATE_H
#define WINSVC_CONFIG_POLICY_TEMPLATE_H

/* The file, piece by piece. */
typedef void policy_print_fn(void *ctx, const char *text);

void policy_template_admx(policy_print_fn *print, void *ctx);
void policy_template_adml(policy_print_fn *print, void *ctx);

#endif
