# SPDX-License-Identifier: Apache-2.0
"""A Windows for installers: Wine 10 with a prefix of its own, in a root of its own.

Debian 12 has Wine 8, whose service manager does not notice a service that dies, and whose Windows
Installer stops at services. Debian 13 has Wine 10, so a root is made of its packages:

  once, into build/wine10      apt resolves and downloads them from the archive that this machine's own
                               sources name (signatures checked), into lists of its own; they are
                               unpacked, not installed: nothing of Debian 13 runs but Wine itself
  for each Wine10              a mount namespace with an overlay over that root, whose upper half is
                               memory. The prefix that the test changes is gone with the namespace,
                               and so is every process in it

The packages are kept in build/downloads/wine10. What the test gives to Windows it puts into
`share`, a folder that is drive Z:\\share there.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess

import rdl

ROOT = rdl.ROOT / "build/wine10"
DOWNLOADS = rdl.ROOT / "build/downloads/wine10"
PACKAGES = ["wine64", "libc-bin", "dash", "coreutils"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
RECIPE = "2"  # raised when what is done below changes, so that a root made before is made again

# Runs as process 1 of the namespaces: $1 the root, $2 a folder for the mounts, $3 the share.
HOLDER = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mount --bind "$3" "$2/root/share"
echo ready
exec sleep infinity
"""
ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/bin:/usr/sbin", "WINEPREFIX": "/prefix", "WINEDEBUG": "-all",
               "WINEDLLOVERRIDES": "mscoree,mshtml=", "WINESERVER": "/usr/lib/wine/wineserver64"}
WINE = "/usr/lib/wine/wine64"
# A boot takes one to five seconds, a prefix ten to thirty. When Wine's first process was one that ended
# at once, a boot hung in one of some thirty starts on a busy machine. Why is not known, so what takes
# longer than this is killed and done again from the beginning.
BOOT_S, BOOT_TRIES, PREFIX_S = 20, 4, 90
DRIVERS = r"HKCU\\Software\\Wine\\Drivers"  # for a shell; no display is looked for


def root():
    """The folder of the finished root; made when it is not there. rdl.Skip: we are not root, or the
    kernel refuses namespaces."""
    if os.geteuid() != 0:
        raise rdl.Skip("Wine 10's root needs root (chroot, mounts)")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        raise rdl.Skip("the kernel refuses mount and process namespaces")
    ROOT.mkdir(parents=True, exist_ok=True)
    with open(ROOT / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = ROOT / "ready"
        if not stamp.exists() or stamp.read_text() != RECIPE:
            _make()
            stamp.write_text(RECIPE)
    return ROOT / "root"


def _make():
    packages = _download()
    target = ROOT / "root"
    shutil.rmtree(target, ignore_errors=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (target / "usr" / name).mkdir(parents=True)
        (target / name).symlink_to(f"usr/{name}")
    for name in ("proc", "dev", "tmp", "root", "share", "etc"):
        (target / name).mkdir()
    for package in packages:
        _run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
              "sh", package, target])
    (target / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    chroot = ["chroot", target, "env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items())]
    _run([*chroot, "ldconfig"])
    # libwine's own step after unpacking: it makes a library of another package one of Wine's.
    script = subprocess.run(
        ["dpkg-deb", "--info", next(p for p in packages if p.name.startswith("libwine_")), "postinst"],
        check=True, capture_output=True).stdout
    _run([*chroot, "sh", "-s", "configure"], input=script)
    for _ in range(BOOT_TRIES):
        if _make_prefix(target, chroot):
            return
    raise AssertionError(f"Wine 10 did not make its prefix in {PREFIX_S} s, {BOOT_TRIES} times")


def _make_prefix(target, chroot):
    """Whether the prefix was made in time; the namespace takes the processes of a failed try along."""
    shutil.rmtree(target / "prefix", ignore_errors=True)
    made = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec",
         'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; shift; "$@"', "sh", target,
         "timeout", "-s", "KILL", str(PREFIX_S), *chroot, "sh", "-c",
         # The server writes the registry when it ends.
         f"{WINE} wineboot.exe -i; {WINE} reg.exe add {DRIVERS} /v Graphics /d null /f;"
         f" {ENVIRONMENT['WINESERVER']} -w"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return made.returncode == 0 and (target / "prefix/system.reg").exists()


def _download():
    """Paths of the packages."""
    lists, cache, parts = DOWNLOADS / "state", DOWNLOADS / "cache", DOWNLOADS / "sources"
    for folder in (lists / "lists/partial", cache / "archives/partial", parts):
        folder.mkdir(parents=True, exist_ok=True)
    (lists / "status").write_text("")
    (parts / "trixie.sources").write_text(
        f"Types: deb\nURIs: {_archive()}\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n")
    apt = ["apt-get", "-q", "-y", *(word for option in (
        "Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={parts}", f"Dir::State={lists}",
        f"Dir::State::status={lists}/status", f"Dir::Cache={cache}", "APT::Sandbox::User=root",
        "APT::Architecture=amd64", "APT::Architectures=amd64", "Acquire::Languages=none",
        "Acquire::Retries=2") for word in ("-o", option))]
    install = [*apt, "--no-install-recommends", "install", *PACKAGES]
    if not (lists / "complete").exists():
        _run([*apt, "update"])
        _run([*install, "--download-only"])
        (lists / "complete").touch()
    return sorted((cache / "archives").glob("*.deb"))


def _archive():
    """The Debian archive of this machine's own sources."""
    text = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT) $(RELEASE)", "Origin: Debian",
         "Identifier: Packages"], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        uri, component, release = line.split()
        if component == "main" and "-" not in release:
            return uri
    raise AssertionError("this machine's apt sources name no Debian archive")


def _run(argv, **options):
    result = subprocess.run([str(a) for a in argv], check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, **options)
    if result.returncode != 0:
        said = result.stdout.decode(errors="replace")[-1000:]
        raise AssertionError(f"{argv[0]} ended with {result.returncode}: {said}")


class Wine10:
    """Windows for the length of a session, as new."""

    def __init__(self, session):
        lower = root()
        self.session = session
        self.share = session.dir / "share"
        mounts = session.dir / "wine10"
        self.share.mkdir()
        mounts.mkdir()
        self._root = mounts / "root"
        for number in range(1, BOOT_TRIES + 1):
            self._mount(f"wine10-{number}", lower, mounts)
            if self._boot(f"idle-{number}"):
                return
            print(f"Wine 10 did not boot in {BOOT_S} s, try {number} of {BOOT_TRIES}", flush=True)
            self._holder.kill()  # and with it every process and mount of the namespaces
        raise AssertionError("Wine 10 does not boot")

    def _mount(self, name, lower, mounts):
        self._holder = self.session.start(
            name, ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation",
                   "private", "sh", "-c", HOLDER, "sh", lower, mounts, self.share])
        self.session.at_end(self._holder.kill)  # unshare ignores SIGTERM
        rdl.wait_until(self._is_ready, 20, "Wine 10's root is mounted")
        self._inner = rdl.children_of(self._holder.pid)[0]

    def _boot(self, name):
        """Whether Windows is there in time. Its first process boots Wine, and services die with the
        last ordinary process: a command line that waits is both."""
        idle = self.start(name, "cmd.exe", stdin=subprocess.PIPE)
        self.session.at_end(idle.popen.stdin.close)
        try:
            rdl.wait_until(lambda: "\\>" in idle.log(), BOOT_S, "a prompt", every=0.1)
            return self.run("cmd.exe", "/c", "ver", check=False, timeout=BOOT_S)[1] == 0
        except rdl.Timeout:
            return False

    def _is_ready(self):
        if self._holder.alive():
            return "ready" in self._holder.log()
        raise rdl.Skip(f"the kernel refuses Wine 10's mounts: {self._holder.log().strip()}")

    def _argv(self, words):
        return ["nsenter", f"--target={self._inner}", "--mount", "--pid", "chroot", self._root, "env",
                "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()),
                f"RDL_SESSION={self.session.id}", WINE, *map(str, words)]

    def run(self, *words, check=True, timeout=120):
        """Runs a program to its end; returns its output (both streams) and exit code."""
        with open(self.session.path("out"), "w+b") as out:
            code = subprocess.run(["timeout", "-s", "KILL", str(timeout), *self._argv(words)],
                                  stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                  check=False).returncode
            out.seek(0)
            text = out.read().decode(errors="replace").replace("\r\n", "\n")
        if check and code != 0:
            raise AssertionError(f"{words}: exit code {code}: {text}")
        return text, code

    def start(self, name, *words, **popen):
        return self.session.start(name, self._argv(words), **popen)

    def path(self, windows_path):
        """The file behind a path of drive C:."""
        relative = windows_path.removeprefix("C:\\").replace("\\", "/")
        return pathlib.Path(f"/proc/{self._inner}/root{self._root}/prefix/drive_c/{relative}")

    def registry(self, key):
        """`reg query KEY /s`, as lines."""
        text, code = self.run("reg.exe", "query", key, "/s", check=False)
        return text.splitlines() if code == 0 else []
