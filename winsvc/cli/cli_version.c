/* SPDX-License-Identifier: Apache-2.0
 * `rdlink version`: of this program, and with --json what it was made of: the commit, the protocol
 * that host and guest speak (the highest minor; each lower one is understood), compiler and system.
 * The service's own version is in its status, and `rdlink check` compares.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "base/version.h"
#include "ipc/channel.h"

#include <cjson/cJSON.h>

struct version_options {
    bool json;
};

static const struct option options[] = {
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct version_options, json),
      .help = "print an object of {name, version, commit, apiVersion, protocol, build}" },
};

static int print_json(const struct cli_env *env)
{
    cJSON *version = cJSON_CreateObject(), *protocol;
    char *text;

    cJSON_AddStringToObject(version, "name", "rdlink");
    cJSON_AddStringToObject(version, "version", rdlink_version());
    cJSON_AddStringToObject(version, "commit", env->commit);
    cJSON_AddStringToObject(version, "apiVersion", CLI_API_VERSION);
    protocol = cJSON_AddObjectToObject(version, "protocol");
    cJSON_AddNumberToObject(protocol, "major", IPC_MAJOR);
    cJSON_AddNumberToObject(protocol, "minor", IPC_MINOR);
    cJSON_AddStringToObject(version, "build", env->build);
    text = cJSON_PrintUnformatted(version);
    cJSON_Delete(version);
    if (!text)
        return cli_out_of_memory(env, CLI_DEGRADED);
    cli_say(env, "%s\n", text);
    cJSON_free(text);
    return CLI_READY;
}

static int version_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct version_options o = { false };
    int code = cli_parse_options(&cli_version_command, env, &o, NULL, argc, argv);

    if (code != CLI_PENDING)
        return code;
    if (o.json)
        return print_json(env);
    cli_say(env, "rdlink %s\n", rdlink_version());
    return CLI_READY;
}

const struct cli_command cli_version_command = {
    .name = "version",
    .usage = "[--json]",
    .summary = "of this program",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .start = version_start,
};
