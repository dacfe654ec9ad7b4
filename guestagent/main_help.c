/* SPDX-License-Identifier: Apache-2.0
 * Both forms of the help go by the tables of options and by `verbs`.
 */
#include "guestagent/main_help.h"

#include "base/man_page.h"
#include "base/util.h"
#include "guestagent/config.h"
#include "guestagent/net/net_config.h"
#include "guestagent/net/relay_config.h"

#include <string.h>

enum { HELP_MAX = 8192 };

static const char summary[] = "the guest's end of rdlink";
static const char signals[] = "SIGTERM drains, a second one cuts.";

static const struct {
    const char *words, *what;
} verbs[] = {
    { "bridge [options]", "carry docker streams from the host to docker.sock" },
    { "net [options]", "the guest's network: interface, link, address" },
    { "relay [options]", "ports that containers publish at 127.0.0.1, for the host" },
    { "copy-key FROM TO", "hand root's key to whom the folder of TO belongs, and to nobody else" },
    { "version", "of this program" },
    { "help [man]", "this, or the manual page" },
};

void main_help_usage(FILE *to)
{
    static char bridge_text[HELP_MAX], net_text[HELP_MAX], relay_text[HELP_MAX];

    config_help(bridge_text, sizeof bridge_text);
    net_config_help(net_text, sizeof net_text);
    relay_config_help(relay_text, sizeof relay_text);
    fprintf(to, "rdlink-agent - %s\n\n", summary);
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(to, "  rdlink-agent %-18s %s\n", verbs[i].words, verbs[i].what);
    fprintf(to,
            "\nOptions of bridge:\n%s\n%s\n\n"
            "Options of net:\n%s\n"
            "Options of relay:\n%s\n"
            "Exit codes: 0 stopped or done, 1 failed, 4 usage.\n",
            bridge_text, signals, net_text, relay_text);
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

    man_page_begin(&m, "rdlink-agent", 8, summary);
    man_page_section(&m, "SYNOPSIS");
    man_page_lines(&m, "rdlink-agent bridge [OPTIONS]\nrdlink-agent net [OPTIONS]\n"
                       "rdlink-agent relay [OPTIONS]\nrdlink-agent copy-key FROM TO");
    man_page_section(&m, "DESCRIPTION");
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        snprintf(term, sizeof term, "rdlink-agent %s", verbs[i].words);
        man_page_item(&m, term, verbs[i].what);
    }
    man_page_text(&m, signals);
    man_page_section(&m, "OPTIONS OF BRIDGE");
    options = config_options(&count);
    man_page_options(&m, options, count);
    man_page_section(&m, "OPTIONS OF NET");
    options = net_config_options(&count);
    man_page_options(&m, options, count);
    man_page_section(&m, "OPTIONS OF RELAY");
    options = relay_config_options(&count);
    man_page_options(&m, options, count);
    man_page_section(&m, "EXIT STATUS");
    man_page_lines(&m, "0  stopped or done\n1  failed\n4  wrong usage\n");
    man_page_section(&m, "SEE ALSO");
    man_page_lines(&m, "rdlinkd(8), rdlink(1)");
}

int main_help(int argc, const char *const *argv)
{
    if (argc > 0 && !strcmp(argv[0], "man"))
        print_man_page();
    else
        main_help_usage(stdout);
    return 0;
}
