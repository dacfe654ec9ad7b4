# SPDX-License-Identifier: Apache-2.0
"""The switch of Windows, under Wine, before the same guest and the same tests as that of Linux: the
kernel's own stack behind a tap device. TCP on loopback is the link here, because Wine has no unix
sockets."""

import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "linux"))
sys.path.insert(0, __file__.rpartition("/")[0])
import switch_test
import wine_support
from wine_support import rdl


class UnderWine(switch_test.SwitchCase, unittest.TestCase):
    PROTOCOL = "v2"
    # Windows does not say which datagram an ICMP error was about (net_uv_udp.c).
    test_udp_to_a_closed_port_is_refused = None

    @classmethod
    def start_switch(cls):
        wine = wine_support.Wine(cls.session)
        cls.port = wine_support.free_port()
        cls.switch = wine.start(
            "switch", wine_support.windows_program("rdlinkd"), "switch", "--link",
            f"{cls.PROTOCOL}:tcp:127.0.0.1:{cls.port}", "--mtu", cls.MTU, *cls.OPTIONS)
        return str(cls.port)

    @classmethod
    def connect_link(cls):
        return socket.create_connection(("127.0.0.1", cls.port))


if __name__ == "__main__":
    rdl.main()
