# SPDX-License-Identifier: Apache-2.0
"""A small Debian system of its own, to install packages into or to boot.

THEORY
The system is made once by mmdebstrap from this machine's own apt sources (which checks signatures)
and kept as a tar in build/downloads, named by what is in it. A Root is that tar, unpacked into the
session's folder. Commands run in it by chroot, in mount and pid namespaces of their own, so that
/proc is mounted for them alone and nothing they start outlives them. Nobody runs as process 1
there: to packages it looks like an image that is being made.
"""

import hashlib
import os
import pathlib
import re
import stat
import subprocess

import rdl

DIST = rdl.ROOT / "build/dist"
DOWNLOADS = rdl.ROOT / "build/downloads"
SUITE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "kmod", "iproute2", "procps")

_ENTER = """set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
exec chroot "$@"
"""

# What installing leaves behind by design: the package manager's own books.
BOOKS = re.compile(r"(var/lib/dpkg/(status|status-old|available|lock.*|triggers/.*|diversions.*)"
                   r"|var/(log|cache|lib/apt)(/.*)?|var/lib/rpm(/.*)?|proc/.*|run/.*|tmp/.*)$")


def _sources():
    """apt's lines for this machine's Debian archives."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
         "Origin: Debian", "Identifier: Packages"], check=True, capture_output=True, text=True)
    entries = sorted(set(listing.stdout.splitlines()))
    return "".join(f"deb {entry}\n" for entry in entries)


def _base():
    """The tar of the system, made when it is not there."""
    tool = rdl.tool("mmdebstrap", "mmdebstrap")
    digest = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    tar = DOWNLOADS / f"guest-root-{digest}.tar"
    if not tar.exists():
        DOWNLOADS.mkdir(parents=True, exist_ok=True)
        part = tar.with_suffix(".part.tar")
        done = subprocess.run(
            [tool, "--variant=minbase", "--mode=root", f"--include={','.join(PACKAGES)}", SUITE,
             part, "-"], input=_sources(), text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"mmdebstrap: {done.stderr[-2000:]}")
        part.rename(tar)
    return tar


class Root:
    def __init__(self, session, name="root"):
        if os.geteuid() != 0:
            raise rdl.Skip("a system of its own needs root: chroot, owners, mounts")
        self.session = session
        self.path = pathlib.Path(session.path(name))
        self.path.mkdir()
        subprocess.run(["tar", "-xpf", _base(), "-C", self.path, "--numeric-owner"], check=True)
        # No service is to be started by what is installed, as in any chroot.
        self.write("etc/machine-id", "")

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, name, target):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def try_run(self, *argv, timeout=120):
        return subprocess.run(
            [rdl.tool("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child",
             "--net", "sh", "-c", _ENTER, "sh", self.path, *map(str, argv)],
            capture_output=True, text=True, timeout=timeout, check=False,
            env=self.session.env(DEBIAN_FRONTEND="noninteractive", LC_ALL="C", TERM="dumb",
                                 SYSTEMD_COLORS="0", SYSTEMD_URLIFY="0"))

    def run(self, *argv, timeout=120):
        """What it printed; AssertionError when it failed."""
        done = self.try_run(*argv, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"{argv}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def bring(self, file):
        """A copy of a file of this machine in the root's /tmp; returns its path in there."""
        name = pathlib.Path(file).name
        (self.path / "tmp" / name).write_bytes(pathlib.Path(file).read_bytes())
        return f"/tmp/{name}"

    def files(self):
        """{path: (mode, uid, gid, contents)} of everything but the package managers' books."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            for name in (*folders, *names):
                path = pathlib.Path(folder) / name
                relative = str(path.relative_to(self.path))
                if not BOOKS.match(relative):
                    found[relative] = _seen(path)
        return found


def _seen(path):
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        what = os.readlink(path)
    elif stat.S_ISREG(facts.st_mode):
        what = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        what = ""
    return (stat.filemode(facts.st_mode), facts.st_uid, facts.st_gid, what)


def package(pattern, folder=DIST):
    """The one file of DIST whose name matches the glob."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder}/{pattern}: {len(found)} files (./dev package)")
    return found[0]


def next_revision(session, name="next"):
    """A folder with the same x86-64 packages as a later revision: what an upgrade installs."""
    folder = pathlib.Path(session.path(name))
    folder.mkdir()
    subprocess.run(["bash", rdl.ROOT / "installer/linux/package.sh", folder], check=True,
                   stdout=subprocess.DEVNULL,
                   env=session.env(RDL_RELEASE="2", RDL_ARCHES="x86_64"))
    return folder
