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

`SystemdGuest` is Debian with systemd as process 1, from a disk (rdl_root.py) that the initramfs
mounts. Its systemd is told by its environment that it is in a container of the kind `wsl`, which is
how it sees WSL too, so that units with ConditionVirtualization=wsl start. The shell on the console is
a service there.
"""

import os
import pathlib
import re
import secrets
import shutil
import socket
import stat
import subprocess

import rdl

DOWNLOADS = rdl.ROOT / "build/downloads"
MODULES = [
    "drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci", "net/vmw_vsock/vsock",
    "net/vmw_vsock/vmw_vsock_virtio_transport_common", "net/vmw_vsock/vsock_loopback",
    "net/vmw_vsock/vmw_vsock_virtio_transport", "drivers/net/tun", "drivers/net/veth",
    "drivers/block/virtio_blk",
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

DISK_INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /disk
/bin/vsock_guest load {modules}
mount -t ext4 /dev/vda /disk
mount --move /dev /disk/dev
mount --move /sys /disk/sys
mount --move /proc /disk/proc
exec env -i container=wsl TERM=dumb PATH=/usr/sbin:/usr/bin /bin/switch_root /disk /lib/systemd/systemd
"""

SHELL_UNIT = """[Unit]
After=basic.target
[Service]
Environment=PS1= PS2=
ExecStart=/bin/sh -c "stty -F /dev/ttyS0 raw -echo; echo 'GUEST IS UP'; exec /bin/sh"
StandardInput=file:/dev/ttyS0
StandardOutput=file:/dev/ttyS0
StandardError=inherit
[Install]
WantedBy=multi-user.target
"""
DISK_SIZE = "700M"


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


def _initramfs(session, unpacked, init_text):
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
    init.write_text(init_text.format(modules=" ".join(names)))
    init.chmod(init.stat().st_mode | stat.S_IXUSR)
    archive = session.path("initramfs.cpio")
    entries = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
    with open(archive, "wb") as out:
        subprocess.run([rdl.tool("cpio", "cpio"), "-o", "-H", "newc", "--quiet"], cwd=root,
                       input=entries, stdout=out, check=True)
    return archive


class Guest:
    """One booted guest. `uds` is its hybrid socket: connect and say CONNECT port."""

    BOOT_SECONDS = 90
    INIT_TEXT = INIT
    MEMORY = "256"

    def __init__(self, session, name="vm1", cid=4, disk=()):
        """`disk`: further words of QEMU's command line."""
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
            "-object", f"memory-backend-memfd,id=m0,size={self.MEMORY}M,share=on",
            "-cpu", "max", "-m", self.MEMORY, "-nographic", "-no-reboot", "-nic", "none",
            "-kernel", image, "-initrd",
            _initramfs(session, unpacked, self.INIT_TEXT), *disk,
            "-append", "console=ttyS0 quiet panic=-1",
            "-chardev", f"socket,id=c0,path={vhost}", "-device", "vhost-user-vsock-pci,chardev=c0",
        ], stdin=subprocess.PIPE)
        rdl.wait_until(lambda: "GUEST IS UP" in self.console() or not self.qemu.alive(),
                       self.BOOT_SECONDS, "the guest boots")
        if not self.qemu.alive():
            raise AssertionError(f"the guest did not boot: {self.console()[-2000:]}")

    def console(self):
        return self.qemu.log()

    def connect(self, port, timeout=20):
        """A connection from the host to @port of the guest; None when nobody listens there."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(self.uds)
        s.sendall(b"CONNECT %d\n" % port)
        answer = b""
        while not answer.endswith(b"\n"):
            piece = s.recv(1)
            if not piece:
                s.close()
                return None
            answer += piece
        return s

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


class SystemdGuest(Guest):
    """Debian with systemd, from `root` (an rdl_root.Root, which this finishes and packs up)."""

    BOOT_SECONDS = 240
    INIT_TEXT = DISK_INIT
    MEMORY = "512"

    def __init__(self, session, root, **options):
        root.write("etc/systemd/system/test-shell.service", SHELL_UNIT)
        root.run("systemctl", "--quiet", "enable", "test-shell.service")
        # Nobody else reads or writes the console, and nothing else takes the emulated processor.
        root.run("systemctl", "--quiet", "mask", "console-getty.service", "getty@tty1.service",
                 "serial-getty@ttyS0.service", "e2scrub_reap.service", "apt-daily.timer",
                 "apt-daily-upgrade.timer", "e2scrub_all.timer", "dpkg-db-backup.timer")
        root.run("systemctl", "--quiet", "set-default", "multi-user.target")
        # A reload runs each of them, which takes seconds here; there is nothing for them to find.
        for generator in (root.path / "usr/lib/systemd/system-generators").iterdir():
            root.link(f"etc/systemd/system-generators/{generator.name}", "/dev/null")
        root.write("etc/systemd/system.conf.d/test.conf", "[Manager]\nShowStatus=no\n")
        image = session.path("disk.img")
        subprocess.run([rdl.tool("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", root.path, image,
                        DISK_SIZE], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(root.path)
        super().__init__(session, disk=("-drive", f"file={image},if=virtio,format=raw,snapshot=on"),
                         **options)

    def value(self, unit, name):
        out = self.run(f"echo value=$(systemctl show --value -p {name} {unit})=")
        return re.search(r"value=(.*)=", out).group(1)
