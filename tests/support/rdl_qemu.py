# SPDX-License-Identifier: Apache-2.0
"""A guest with a kernel of its own and real AF_VSOCK: Debian's cloud kernel under QEMU's software
emulation, with a host side that is a hybrid socket (tests/support/vsockdev.c).

THEORY
The kernel package is downloaded once through apt (which checks its signature) into build/downloads
and unpacked there. The initramfs is made anew for each guest: busybox, the agent with the libraries
it was linked to, vsock_guest, and the vsock modules. Its init loads the modules and becomes a shell
on the serial console; `Guest.run()` types a command there and reads up to a marker, so a test says
what happens inside in the order in which it reads. The guest dies with its QEMU, which belongs to
the Session.
"""

import os
import pathlib
import re
import secrets
import shutil
import stat
import subprocess

import rdl

DOWNLOADS = rdl.ROOT / "build/downloads"
MODULES = [
    "drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci", "net/vmw_vsock/vsock",
    "net/vmw_vsock/vmw_vsock_virtio_transport_common", "net/vmw_vsock/vsock_loopback",
    "net/vmw_vsock/vmw_vsock_virtio_transport", "drivers/net/tun",
]

INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /run /tmp
stty -F /dev/ttyS0 raw -echo
/bin/vsock_guest load {modules}
echo 'GUEST IS UP'
exec sh </dev/ttyS0 >/dev/ttyS0 2>&1
"""


def test_program(name):
    """Path of a program that the tests bring (built beside the unit tests)."""
    return str(pathlib.Path(rdl.binary("rdlinkd")).parent.parent / "tests" / name)


def release_binary(name):
    """What ships: the sanitizers are too slow under emulation."""
    path = rdl.ROOT / "build/bin" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (./dev build)")
    return path


def kernel():
    """Directory of the unpacked kernel package."""
    unpacked = DOWNLOADS / "guest-kernel"
    if not (unpacked / "complete").exists():
        package = _kernel_package()
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package],
                       cwd=unpacked, check=True, stdout=subprocess.DEVNULL)
        (deb,) = unpacked.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", deb.name, "."], cwd=unpacked, check=True)
        deb.unlink()
        (unpacked / "complete").touch()
    return unpacked


def _kernel_package():
    """The package that linux-image-cloud-amd64 stands for today."""
    listing = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"],
                             check=True, capture_output=True, text=True).stdout
    return re.search(r"Depends: (\S+)", listing).group(1)


def _copy_program(root, program, name):
    """The program and the shared libraries it needs, at the paths it expects."""
    shutil.copy2(program, root / "bin" / name)
    listing = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+)", listing):
        to = root / library.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, to)


def _initramfs(session, unpacked):
    root = session.dir / "initramfs"
    for directory in ("bin", "proc", "sys", "dev", "mod"):
        (root / directory).mkdir(parents=True)
    shutil.copy2(rdl.tool("busybox", "busybox-static"), root / "bin/busybox")
    _copy_program(root, release_binary("rdlink-agent"), "rdlink-agent")
    _copy_program(root, test_program("vsock_guest"), "vsock_guest")
    (modules,) = unpacked.glob("lib/modules/*")
    names = []
    for module in MODULES:
        file = modules / "kernel" / f"{module}.ko"
        shutil.copy2(file, root / "mod" / file.name)
        names.append(f"/mod/{file.name}")
    init = root / "init"
    init.write_text(INIT.format(modules=" ".join(names)))
    init.chmod(init.stat().st_mode | stat.S_IXUSR)
    archive = session.path("initramfs.cpio")
    entries = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
    with open(archive, "wb") as out:
        subprocess.run([rdl.tool("cpio", "cpio"), "-o", "-H", "newc", "--quiet"], cwd=root,
                       input=entries, stdout=out, check=True)
    return archive


class Guest:
    """One booted guest. `uds` is its hybrid socket: connect and say CONNECT port."""

    def __init__(self, session, name="vm1", cid=4):
        unpacked = kernel()
        (image,) = unpacked.glob("boot/vmlinuz-*")
        vhost = session.path(f"{name}.vhost")
        self.session = session
        self.folder = session.dir / "vms"
        self.folder.mkdir(exist_ok=True)
        self.uds = str(self.folder / f"{name}.vsock")
        self.device = session.start(f"{name}-device", [
            test_program("vsockdev"), "--vm",
            f"guest-cid={cid},socket={vhost},uds-path={self.uds}"])
        rdl.wait_until(lambda: os.path.exists(vhost), 5, "the vsock device listens")
        self.qemu = session.start(f"{name}-qemu", [
            rdl.tool("qemu-system-x86_64", "qemu-system-x86"),
            "-M", "q35,accel=tcg,memory-backend=m0",
            "-object", "memory-backend-memfd,id=m0,size=256M,share=on",
            "-cpu", "max", "-m", "256", "-nographic", "-no-reboot", "-nic", "none",
            "-kernel", image, "-initrd", _initramfs(session, unpacked),
            "-append", "console=ttyS0 quiet panic=-1",
            "-chardev", f"socket,id=c0,path={vhost}", "-device", "vhost-user-vsock-pci,chardev=c0",
        ], stdin=subprocess.PIPE)
        rdl.wait_until(lambda: "GUEST IS UP" in self.console(), 90, "the guest boots")

    def console(self):
        return self.qemu.log()

    def run(self, command, timeout=30):
        """Runs a shell command in the guest; returns what it printed."""
        marker = secrets.token_hex(6)
        seen = len(self.console())
        # The marker is typed in two halves, so that an echo of the line is not taken for it.
        line = f"{{ {command}\n}}; echo {marker[:6]}''{marker[6:]}\n"
        self.qemu.popen.stdin.write(line.encode())
        self.qemu.popen.stdin.flush()
        out = rdl.wait_until(
            lambda: self.console()[seen:] if marker in self.console()[seen:] else None, timeout,
            f"the guest finishes: {command}")
        return out[:out.index(marker)].replace("\r", "")
