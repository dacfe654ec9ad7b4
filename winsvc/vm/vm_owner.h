/* SPDX-License-Identifier: Apache-2.0
 * vm_owner.h - whose the virtual machine is, and who may therefore use docker.
 *
 * The service runs as SYSTEM and reaches every user's machine, so it has to find out itself whom it
 * serves. WSL keeps a user's distributions in the user's own part of the registry, which is there
 * while the user is logged on: the one user who has Rancher Desktop's distribution is the owner.
 * With none, or several, nobody is: then only accounts that an administrator configured are served.
 *
 * struct vm_users is where registrations come from: win/vm_users_registry.c, or a script in tests.
 * Pure but for that; Runs on: the thread of its vm_users.
 */
#ifndef WINSVC_VM_VM_OWNER_H
#define WINSVC_VM_VM_OWNER_H

#include "base/options.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    VM_OWNER_SID_MAX = 192, /* the longest SID text is 184 characters */
    VM_OWNER_NAME_MAX = 128,
    VM_OWNER_GRANTS_MAX = OPTION_LIST_MAX
};

enum vm_owner_state {
    VM_OWNER_NOT_ASKED, /* this system has no such thing */
    VM_OWNER_NONE,      /* no user who is logged on has the distribution */
    VM_OWNER_ONE,
    VM_OWNER_SEVERAL, /* more than one has */
    VM_OWNER_STATE_COUNT
};

struct vm_owner {
    enum vm_owner_state state;
    char sid[VM_OWNER_SID_MAX];   /* of the one; otherwise "" */
    char name[VM_OWNER_NAME_MAX]; /* DOMAIN\user, or the SID where it has no name */
};

/* A distribution is registered for a user. Both texts are borrowed for the call, and hostile: every
 * user writes their own part of the registry. */
typedef void vm_registration_fn(void *ctx, const char *sid, const char *distribution);

struct vm_users;
struct vm_users_ops {
    /* Calls @fn for each registration that can be seen now. */
    void (*scan)(struct vm_users *u, vm_registration_fn *fn, void *ctx);
    /* The account's name; the SID where it has none. */
    void (*name)(struct vm_users *u, const char *sid, char *buf, size_t cap);
    void (*close)(struct vm_users *u);
};
struct vm_users {
    const struct vm_users_ops *ops;
};

/* Those of this computer. @key, for tests, stands for HKEY_USERS below HKLM; NULL or "" = itself.
 * ST_UNSUPPORTED: not Windows. ST_INVAL, ST_NOMEM. */
enum status vm_users_open(struct vm_users **out, const char *key, struct errmsg *e);

/* Who has one of @distributions; without case, as WSL compares them. */
void vm_owner_find(struct vm_users *u, const struct option_list *distributions,
                   struct vm_owner *out);

/* Whom to serve: the owner's SID, then the accounts of @configured. Where none is configured and
 * there is an owner, the group docker-users too (*is_optional: it need not exist). Pointers into
 * the arguments, or static; returns how many. An owner beyond the bound pushes the last one out. */
unsigned vm_owner_grants(const struct vm_owner *owner, const struct option_list *configured,
                         const char *names[static VM_OWNER_GRANTS_MAX], bool *is_optional);

#endif
