/* SPDX-License-Identifier: Apache-2.0
 * `rdlink key new INSTANCE`: a key for one guest, and how it gets there. The key itself is never
 * shown; without --output it goes where the service looks for it.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "config/config_names.h"
#include "ipc/key_file.h"
#include "ipc/proof.h"

#include <stdio.h>
#include <string.h>

struct key_options {
    char output[OPTION_VALUE_MAX], root[OPTION_VALUE_MAX];
};

static const struct option options[] = {
    { .key = "output",
      .kind = OPTION_STRING,
      .offset = offsetof(struct key_options, output),
      .value_name = "FILE",
      .help = "a new file, instead of INSTANCE.key in the service's folder of keys" },
    { .key = "config-root",
      .kind = OPTION_STRING,
      .offset = offsetof(struct key_options, root),
      .value_name = "NAME",
      .help = "as the service's option of that name" },
};

static int wrong_usage(const struct cli_env *env, const char *what)
{
    cli_complain(env, what, "rdlink help key");
    return CLI_USAGE;
}

/* "/etc/rdlink/keys/INSTANCE.key": beside the configuration file. */
static enum status default_output(struct key_options *o, const char *instance)
{
    struct config_places places = { .file = "" };
    enum status st = config_places_find(o->root, &places);
    size_t folder = 0;
    int len;

    if (st)
        return st;
    for (size_t i = 0; places.file[i]; i++)
        if (places.file[i] == '/' || places.file[i] == '\\')
            folder = i + 1;
    len = snprintf(o->output, sizeof o->output, "%.*skeys/%s.key", (int)folder, places.file,
                   instance);
    return len < (int)sizeof o->output ? ST_OK : ST_FULL;
}

static int failure(const struct cli_env *env, enum status st, const struct errmsg *e)
{
    if (st == ST_EXISTS) {
        cli_complain(env, e->text, "remove it first, if its guest shall get another key");
        return CLI_USAGE;
    }
    if (st == ST_DENIED) {
        cli_complain(env, e->text, "run this as root or administrator");
        return CLI_NO_PERMISSION;
    }
    cli_complain(env, e->text,
                 st == ST_NOTFOUND ? "make its folder first, closed to others"
                                   : "name another FILE");
    return CLI_USAGE;
}

static void say_next(const struct cli_env *env, const char *instance, const char *file)
{
    cli_say(env,
            "%s holds the key of instance %s.\n\n"
            "Into the guest, as /etc/rdlink/agent.key, readable for root only. From Windows:\n"
            "  wsl.exe -d DISTRIBUTION -u root sh -c "
            "\"umask 077; cat >/etc/rdlink/agent.key\" <\"%s\"\n\n",
            file, instance, file);
    cli_say(env,
            "In the guest's /etc/rdlink/agent.conf and net.conf:\n"
            "  instance = %s\n\n"
            "Then there: systemctl restart rdlink-bridge rdlink-net\n"
            "The service takes note by itself; rdlink status says whether it is proved.\n",
            instance);
}

static int make_key(const struct cli_env *env, struct key_options *o, const char *instance)
{
    struct errmsg e = { "" };
    enum status st;

    if (!proof_is_instance(instance))
        return wrong_usage(env, "key: INSTANCE is 1 to 63 letters, digits, '-', '_' and '.'");
    if (!o->output[0] && default_output(o, instance) != ST_OK)
        return wrong_usage(env, "key: the service's folder of keys has too long a path");
    st = key_file_create(o->output, &e);
    if (st)
        return failure(env, st, &e);
    say_next(env, instance, o->output);
    return CLI_READY;
}

static int key_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct key_options o = { .output = "" };
    int code;

    if (argc < 1 || strcmp(argv[0], "new") != 0) {
        code = cli_parse_options(&cli_key_command, env, &o, NULL, argc, argv);
        return code != CLI_PENDING ? code : wrong_usage(env, "key: what? new INSTANCE");
    }
    if (argc < 2 || argv[1][0] == '-')
        return wrong_usage(env, "key new: of which INSTANCE?");
    code = cli_parse_options(&cli_key_command, env, &o, NULL, argc - 2, argv + 2);
    return code != CLI_PENDING ? code : make_key(env, &o, argv[1]);
}

const struct cli_command cli_key_command = {
    .name = "key",
    .usage = "new INSTANCE [-o FILE]",
    .summary = "makes the key by which guest and host know each other",
    .words = "new",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .start = key_start,
};
