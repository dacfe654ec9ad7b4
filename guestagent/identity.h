/* SPDX-License-Identifier: Apache-2.0
 * identity.h - who this guest is to its host: an instance's name, and the key that goes with it.
 *
 * The file is read at each greeting, and once a second (control_server.h), so a key that is put
 * there or taken away counts at once. Owns: nothing. Runs on: the agent's loop.
 */
#ifndef GUESTAGENT_IDENTITY_H
#define GUESTAGENT_IDENTITY_H

#include "base/options.h"
#include "base/status.h"
#include "ipc/channel.h"

#include <stdbool.h>

/* As given; a member of the units' configurations. */
struct identity_options {
    char instance[OPTION_VALUE_MAX], key_file[OPTION_VALUE_MAX];
    bool require_proof;
};

/* Rows of an option table for @member of @type. */
/* clang-format off: rows of an option table */
#define IDENTITY_OPTIONS(type, member)                                                        \
    { "instance",                                                                             \
      OPTION_STRING,                                                                          \
      offsetof(type, member.instance),                                                        \
      "default",                                                                              \
      0,                                                                                      \
      0,                                                                                      \
      identity_check_instance,                                                                \
      "NAME",                                                                                 \
      "what this guest is called; the host looks for the key of that name" },                 \
        { "key-file",                                                                         \
          OPTION_STRING,                                                                      \
          offsetof(type, member.key_file),                                                    \
          "/etc/rdlink/agent.key",                                                            \
          0,                                                                                  \
          0,                                                                                  \
          NULL,                                                                               \
          "FILE",                                                                             \
          "the key of this instance; without such a file nobody is proved" },                 \
    {                                                                                         \
        "require-proof", OPTION_FLAG, offsetof(type, member.require_proof), NULL, 0, 0, NULL, \
            NULL, "take no host that does not prove to have the same key"                     \
    }
/* clang-format on */

enum status identity_check_instance(const char *value, struct errmsg *e);

struct identity {
    const struct identity_options *options; /* borrowed */
    struct channel_proof proof;             /* for channels of ours */
    enum status last;                       /* what the last look at the file came to */
};

/* Looks at the key once. ST_OK also when there is none, and with an error in the log when we may
 * not read it or others may, unless proof is required; a file that is no key is an error here and
 * no key later. @out must stay where it is. */
enum status identity_init(struct identity *out, const struct identity_options *options,
                          struct errmsg *e);

#endif
