/* SPDX-License-Identifier: Apache-2.0
 * A reason is here when there is one thing to do that fits on a line; all others are explained in
 * docs/troubleshooting.md, where the reader is sent for want of a row.
 */
#include "status/hints.h"

#include "base/util.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *reason, *hint;
} rows[] = {
    { "ComponentCrashLoop", "read the service's log: the component says there why it ends" },
    { "AccessDenied", "put the agent's user into the group of docker.sock, restart it" },
    { "ComponentNotServing", "see what that component says below" },
    { "ComponentRestarting", "nothing: it is started again by itself" },
    { "ComponentStarting", "nothing: wait a moment" },
    { "ConfigInvalid", "correct it there; all mistakes: rdlink config check" },
    { "ConnectionRefused", "in the guest: systemctl restart docker" },
    { "DataPortTaken", "end Rancher Desktop's own host-switch, or the other rdlinkd" },
    { "EndpointFallback", "end the program that holds the name; it is taken back by itself" },
    { "EndpointTaken", "end the program that holds the name; it is taken by itself then" },
    { "EngineSilent", "in the guest: systemctl status docker" },
    { "GuestNotAnswering", "start Rancher Desktop, or rdlink-agent in the guest" },
    { "GuestUnreachable", "in the guest: systemctl status rdlink-bridge" },
    { "LogDiskFull", "make room; the file is written again by itself" },
    { "LogFolderDenied", "give the folder of log-dir to the account that rdlinkd runs as" },
    { "NetworkNotReady", "see what NetworkReady and the guest say below" },
    { "NoListener", "start Rancher Desktop's distribution: wsl -d rancher-desktop" },
    { "NoGuest", "see what the virtual machine says below" },
    { "LegacyGuest", "nothing: only rdlink-agent can prove who it is" },
    { "NoKey", "rdlink key new INSTANCE, or nothing: proof is not required" },
    { "NotServing", "see what the agent says below" },
    { "NoVirtualMachine", "start Rancher Desktop or its WSL distribution" },
    { "OutOfDescriptors", "raise LimitNOFILE, or find the client that never ends" },
    { "OwnerAmbiguous", "name who is served with `endpoint-grant`, or let the others log off" },
    { "OwnerNotFound",
      "log on as the user of Rancher Desktop, or name accounts with `endpoint-grant`" },
    { "ProofFailed", "give the guest the key that this host has, or make a new one for both" },
    { "ProofMissing", "give both sides the instance's key: rdlink key new" },
    { "PortTaken", "end the program that holds the port; it is taken by itself then" },
    { "SocketMissing", "in the guest: systemctl start docker" },
    { "SourceMissing", "start Rancher Desktop or its WSL distribution" },
    { "SubnetOverlap", "give the guests another network with `subnet`, or leave that one" },
    { "SwitchDown", "nothing: it is started again by itself; see its last exit" },
    { "SwitchStarting", "nothing: wait a moment" },
    { "Stopping", "nothing: the service was told to end" },
};

const char *hint_find(const char *reason)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].reason, reason))
            return rows[i].hint;
    return NULL;
}
