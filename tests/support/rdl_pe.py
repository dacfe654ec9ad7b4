# SPDX-License-Identifier: Apache-2.0
"""Reads what a Windows loader reads of an executable: headers, sections, imports, resources.

Only PE32+ (64 bits). Offsets are those of Microsoft's "PE Format"; anything that is not there raises,
so a test cannot pass on a file that was not understood.
"""

import pathlib
import struct

HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT = 0x20, 0x40, 0x100
EXECUTE, READ, WRITE = 0x20000000, 0x40000000, 0x80000000
IMPORTS, RESOURCES, RELOCATIONS = 1, 2, 5  # data directories
MANIFEST, VERSION, MESSAGES = 24, 16, 11  # resource types


class Pe:
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        head = struct.unpack_from("<I", self.data, 0x3C)[0]
        assert self.data[:2] == b"MZ" and self.data[head:head + 4] == b"PE\0\0", path
        count, self.timestamp = struct.unpack_from("<2xHI", self.data, head + 4)
        optional_size = struct.unpack_from("<H", self.data, head + 20)[0]
        optional = head + 24
        assert struct.unpack_from("<H", self.data, optional)[0] == 0x20B, "not PE32+"
        self.characteristics = struct.unpack_from("<H", self.data, optional + 70)[0]
        self._directories = [struct.unpack_from("<II", self.data, optional + 112 + 8 * i)
                             for i in range(16)]
        self.sections = [Section(self.data, optional + optional_size + 40 * i)
                         for i in range(count)]

    def directory(self, number):
        """(address, size) of a data directory."""
        return self._directories[number]

    def _offset(self, address):
        for section in self.sections:
            if section.address <= address < section.address + section.raw_size:
                return address - section.address + section.raw
        raise ValueError(f"address {address:#x} is in no section")

    def imports(self):
        """Names of the DLLs, as written."""
        names, at = [], self._offset(self.directory(IMPORTS)[0])
        while True:
            name = struct.unpack_from("<12xI", self.data, at)[0]
            if not name:
                return names
            start = self._offset(name)
            names.append(self.data[start:self.data.index(b"\0", start)].decode("ascii"))
            at += 20

    def resource(self, kind):
        """Bytes of the first resource of that type, or None."""
        address, size = self.directory(RESOURCES)
        if not size:
            return None
        root = self._offset(address)
        for number, child in self._entries(root):
            if number == kind:
                while child & 0x80000000:
                    child = self._entries(root + (child & 0x7FFFFFFF))[0][1]
                where, length = struct.unpack_from("<II", self.data, root + child)
                start = self._offset(where)
                return self.data[start:start + length]
        return None

    def _entries(self, at):
        named, numbered = struct.unpack_from("<HH", self.data, at + 12)
        return [struct.unpack_from("<II", self.data, at + 16 + 8 * i)
                for i in range(named + numbered)]

    def version_strings(self):
        """{name: value} of VERSIONINFO's strings."""
        raw = self.resource(VERSION)
        return _strings(raw) if raw else {}


    def messages(self):
        """{number: text} of the message table; empty when there is none."""
        raw = self.resource(MESSAGES)
        found = {}
        for block in range(struct.unpack_from("<I", raw)[0] if raw else 0):
            first, last, at = struct.unpack_from("<III", raw, 4 + 12 * block)
            for number in range(first, last + 1):
                length, is_utf16 = struct.unpack_from("<HH", raw, at)
                text = raw[at + 4:at + length]
                found[number] = text.decode("utf-16-le" if is_utf16 else "latin-1").rstrip("\0")
                at += length
        return found


class Section:
    def __init__(self, data, at):
        self.name = data[at:at + 8].rstrip(b"\0").decode("ascii")
        self.address, self.raw_size, self.raw = struct.unpack_from("<III", data, at + 12)
        self.flags = struct.unpack_from("<I", data, at + 36)[0]


def _strings(block):
    """The leaves of a VERSIONINFO tree that hold text. A node is length, value length, type, key in
    UTF-16, value, children; each part begins at a multiple of four."""
    found = {}

    def walk(at, end):
        while at + 6 <= end:
            length, value_length, is_text = struct.unpack_from("<HHH", block, at)
            if length < 6:
                return
            key_end = at + 6
            while block[key_end:key_end + 2] != b"\0\0":
                key_end += 2
            key = block[at + 6:key_end].decode("utf-16-le")
            value = (key_end + 2 + 3) & ~3
            size = value_length * (2 if is_text else 1)
            if is_text and value_length:
                found[key] = block[value:value + size].decode("utf-16-le").rstrip("\0")
            walk((value + size + 3) & ~3, at + length)
            at = (at + length + 3) & ~3

    walk(0, len(block))
    return found
