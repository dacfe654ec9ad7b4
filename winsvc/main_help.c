/* SPDX-License-Identifier: Apache-2.0
 * Both forms of the help go by the tables of options and by `verbs`.
 */
#include "main_help.h"

#include "base/man_page.h"
#include "base/util.h"
#include "config/config.h"
#include "config/policy_template.h"
#include "main_run.h"
#include "switch/switch_options.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *words, *what;
} verbs[] = {
    { "run [OPTIONS]", "run on this console until Ctrl-C" },
    { "service [OPTIONS]", "run under the Windows service manager" },
    { "install [OPTIONS]", "register the Windows service with these options" },
    { "uninstall", "remove it, with its keys and logs" },
    { "start", "the Windows service, and wait until it runs" },
    { "stop", "it, and wait until it has ended" },
    { "status", "of the Windows service itself; `rdlink status` has what it does" },
    { "configure", "set up a service that an installer registered" },
    { "switch --link PROTO:ADDR [OPTIONS]", "one host switch, alone" },
    { "version", "of this program" },
    { "help [man|admx|adml]", "this; the manual page; a template for group policy, its texts" },
};

static const char purpose[] =
    "Carries docker clients on this machine to the docker engine in the guest, and\n"
    "the guest's network to this machine's. `rdlink status` shows how it is doing.";

static void print_usage(void)
{
    static char text[8192], switch_text[4096];

    config_help(text, sizeof text);
    switch_options_help(switch_text, sizeof switch_text);
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
        printf("%s rdlinkd %-36s %s\n", i ? "      " : "Usage:", verbs[i].words, verbs[i].what);
    printf("\n%s\n"
           "\n"
           "Options, also as `key = value` lines in --config FILE:\n%s"
           "\n"
           "Options of `rdlinkd switch`:\n%s",
           purpose, text, switch_text);
}

/* ---- the manual page ------------------------------------------------------------------------- */

static void print(void *ctx, const char *text)
{
    fputs(text, stdout);
}

static void print_man_page(void)
{
    struct man_page m = { .print = print };
    const struct option *options;
    char term[128];
    size_t count;

    man_page_begin(&m, "rdlinkd", 8, "the host's side of the link to virtual machines");
    man_page_section(&m, "SYNOPSIS");
    man_page_lines(&m, "rdlinkd run [OPTIONS]");
    man_page_section(&m, "DESCRIPTION");
    man_page_lines(&m, purpose);
    man_page_section(&m, "COMMANDS");
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        snprintf(term, sizeof term, "rdlinkd %s", verbs[i].words);
        man_page_item(&m, term, verbs[i].what);
    }
    man_page_section(&m, "OPTIONS");
    man_page_text(&m, "Also as `key = value` lines in the file that --config names.");
    options = config_options(&count);
    man_page_options(&m, options, count);
    man_page_section(&m, "OPTIONS OF SWITCH");
    options = switch_options_table(&count);
    man_page_options(&m, options, count);
    man_page_section(&m, "EXIT STATUS");
    man_page_lines(&m, "0  stopped as it was told; `status`: the service runs\n1  failed\n3  "
                       "`status`: it does not run\n4  wrong usage\n");
    man_page_section(&m, "SEE ALSO");
    man_page_lines(&m, "rdlink(1), rdlink-agent(8)");
}

int main_help(int argc, const char *const *argv)
{
    if (argc > 0 && !strcmp(argv[0], "man"))
        print_man_page();
    else if (argc > 0 && !strcmp(argv[0], "admx"))
        policy_template_admx(print, NULL);
    else if (argc > 0 && !strcmp(argv[0], "adml"))
        policy_template_adml(print, NULL);
    else
        print_usage();
    return EXIT_OK;
}
