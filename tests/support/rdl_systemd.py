# SPDX-License-Identifier: Apache-2.0
"""A real systemd as process 1 of namespaces of its own, to start units of ours as a guest would.

THEORY
What a unit forbids (system calls, devices, capabilities, files) shows only when systemd itself starts
it. systemd runs as process 1 of a pid namespace without a virtual machine:

    control group of the session          systemd takes it for the root
    mounts    /run empty, /etc a copy, /proc/sys read-only, /run/host the session's folder
    network   empty; what the units call the default namespace
    units     only those given here (SYSTEMD_UNIT_PATH), with empty targets for what every unit
              wants to be after; nothing of this machine is started

It ends with its process, and everything in it does too (the pid namespace goes).
"""

import os
import pathlib
import subprocess

import rdl

_SYSTEMD = "/lib/systemd/systemd"
_EMPTY_TARGETS = ("sysinit", "basic", "shutdown", "multi-user", "test")
_JOURNAL = "/lib/systemd/systemd-journald"
# A journal in memory, of these units alone: the kernel's messages are the machine's.
_JOURNAL_UNITS = {
    "systemd-journald.socket": """[Unit]
DefaultDependencies=no
Before=sockets.target
[Socket]
ListenStream=/run/systemd/journal/stdout
ListenDatagram=/run/systemd/journal/socket
SocketMode=0666
PassCredentials=yes
ReceiveBuffer=8M
Service=systemd-journald.service
""",
    "systemd-journald.service": f"""[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket
[Service]
Type=notify
ExecStart={_JOURNAL}
StandardOutput=null
""",
    "test.target": "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\nAfter=systemd-journald.service\n",
}
_ENTER = 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"'
_PREPARE = """set -e
mount --make-rprivate /
mkdir "$1/etc"
mount -t tmpfs none "$1/etc"
cp -a /etc/. "$1/etc"
mount --move "$1/etc" /etc
rm -f /etc/machine-id
mount -t tmpfs none /run
mkdir /run/host
mount --bind "$1" /run/host
mount -t proc none /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -R -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
export container=other SYSTEMD_UNIT_PATH=/run/host/aliases:/run/host/units SYSTEMD_GENERATOR_PATH=/run/none
exec "$2" --system --unit=test.target --log-target=console --log-level=notice
"""


class Systemd:
    """`units`: file name (or folder.d/name.conf) to text. `aliases`: a further name to a unit's, as
    `systemctl enable` links them. `journal`: journalctl has what the units write."""

    def __init__(self, session, units, aliases=(), name="systemd", journal=False):
        for needed, package in (("unshare", "util-linux"), ("nsenter", "util-linux"),
                                ("systemctl", "systemd")):
            rdl.tool(needed, package)
        if not os.access(_SYSTEMD, os.X_OK):
            raise rdl.Skip(f"no {_SYSTEMD} (package systemd)")
        if os.geteuid() != 0:
            raise rdl.Skip("systemd needs root")
        self.session = session
        units = {**(_JOURNAL_UNITS if journal else {}), **units}
        folder = pathlib.Path(session.path("units"))
        for target in _EMPTY_TARGETS:
            units.setdefault(f"{target}.target", "[Unit]\nDefaultDependencies=no\n")
        for file, text in units.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        os.mkdir(session.path("aliases"))
        for alias, unit in dict(aliases).items():
            os.symlink(f"/run/host/units/{unit}", session.path(f"aliases/{alias}"))
        group = self._make_group()
        self.process = session.start(name, [
            "sh", "-c", _ENTER, "sh", group,
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net",
            "--cgroup", "sh", "-c", _PREPARE, "sh", session.dir, _SYSTEMD])
        rdl.wait_until(self._answers, 20, "systemd answers")

    def _make_group(self):
        top = pathlib.Path("/sys/fs/cgroup")
        if not (top / "cgroup.controllers").exists():
            top = top / "unified"
        if not (top / "cgroup.controllers").exists():
            raise rdl.Skip("no control groups of version 2")
        group = top / self.session.id
        try:
            group.mkdir()
        except OSError as error:
            raise rdl.Skip(f"no control group of our own: {error}") from None
        self.session.at_end(rdl.remove_cgroups, self.session.id)
        return group

    def _answers(self):
        if not self.process.alive():
            raise rdl.Skip(f"systemd does not start here: {self.process.log()[-300:]}")
        return (rdl.children_of(self.process.pid) and
                self.systemctl("is-active", "test.target").stdout.strip() == "active")

    def run(self, *argv, timeout=30):
        """A program beside the units, to its end."""
        init, = rdl.children_of(self.process.pid)
        return subprocess.run(
            ["nsenter", "-t", str(init), "-m", "-p", "-n", *map(str, argv)],
            capture_output=True, text=True, timeout=timeout, check=False)

    def systemctl(self, *words):
        return self.run("systemctl", "--no-pager", *words)

    def value(self, unit, name):
        return self.systemctl("show", "--value", "-p", name, unit).stdout.strip()

    def run_beside(self, unit, *argv, timeout=30):
        """A program in the network namespace of the unit's main process."""
        pid = self.value(unit, "MainPID")
        return self.run("nsenter", "-t", pid, "-n", *argv, timeout=timeout)

    def wait_active(self, unit, timeout=30):
        rdl.wait_until(lambda: self.value(unit, "ActiveState") == "active", timeout,
                       f"{unit} is active")
