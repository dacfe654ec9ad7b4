# SPDX-License-Identifier: Apache-2.0
"""Process 1 of the test guest, started in new pid, mount, network and ipc namespaces.

Gives the guest directories of its own where an engine writes outside its data root, brings its
loopback up, says "ready", then reaps orphans until its standard input ends. When it ends, the
kernel kills everything in the guest and the namespaces go with it: that is the guest's clean-up,
and it works however the harness dies.
"""

import errno
import os
import select
import signal
import subprocess
import sys

# What rdlink-agent net writes, and the engine hands to containers.
FILES = ("/etc/resolv.conf", "/etc/hosts")
# What dockerd, containerd and their shims write to whatever --data-root says.
PRIVATE = ("/run", "/etc/docker", "/opt", "/var/lib/containerd", "/var/lib/docker")


def private_directories():
    for path in PRIVATE:
        if os.path.isdir(path):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "guest", path], check=True)


def private_files():
    """Over the machine's own, which stay as they are. /run is ours already."""
    for path in FILES:
        own = "/run/guest-" + os.path.basename(path)
        with open(own, "w") as file:
            file.write("127.0.0.1 localhost\n" if path == "/etc/hosts" else "")
        real = os.path.realpath(path)
        if not os.path.exists(real):  # a link into the machine's /run, which is not there for us
            os.makedirs(os.path.dirname(real), exist_ok=True)
            open(real, "w").close()
        subprocess.run(["mount", "--bind", own, real], check=True)


def control_groups():
    """The engine's. Where the outer ones are hidden (`ip netns exec` does that), mounts them anew:
    version 1 controllers, or version 2."""
    base = "/sys/fs/cgroup"
    if os.path.exists(f"{base}/cgroup.controllers") or os.path.ismount(f"{base}/memory"):
        return
    with open("/proc/cgroups") as table:
        rows = [line.split() for line in table if not line.startswith("#")]
    names = [row[0] for row in rows if row[1] != "0"]
    if not names:
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", base], check=False)
        return
    subprocess.run(["mount", "-t", "tmpfs", "cgroups", base], check=False)
    for name in names:
        os.makedirs(f"{base}/{name}", exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup", "-o", name, "cgroup", f"{base}/{name}"],
                       check=False)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise


def main():
    private_directories()
    private_files()
    control_groups()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([sys.stdin, wake], [], [])
        if sys.stdin in readable:
            return
        os.read(wake, 4096)
        reap()


main()
