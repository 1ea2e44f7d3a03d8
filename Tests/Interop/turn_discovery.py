#!/usr/bin/env python3
"""NAT behaviour discovery (RFC 5780): coturn's natdiscovery, and every address that an answer may be asked from.

usage: turn_discovery.py [--dev var/dev.json] [--edge N]
       turn_discovery.py --coturn      against coturn's own server

Needs turnutils_natdiscovery (coturn). Begins the edge again by itself, on 127.0.0.1 and 127.0.0.2. Exits non-zero if anything is
not right.
"""
import os
import socket
import struct
import subprocess

import lib_relay
from lib_checks import check, finish
from lib_turn import BINDING, COOKIE, A, Message, attribute

CHANGE_ADDRESS, CHANGE_PORT = 4, 2


def settings(edge):
    """Listeners at two addresses and two ports."""
    second = lib_relay.free_port()
    addresses = [f'"{host}:{port}"' for host in (edge.host, "127.0.0.2") for port in (edge.port, second)]
    return {"listen_addresses": f"[{', '.join(addresses)}]", "nat_discovery": "true"}


def natdiscovery(relay, options, expected):
    done = subprocess.run(
        ["turnutils_natdiscovery", *options, "-p", str(relay.port), "-L", relay.host, relay.host], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60)
    good = done.returncode == 0 and all(one in done.stdout for one in expected)
    check(f"natdiscovery {' '.join(options)}: {expected[-1]}", good, done.stdout)


class Prober:
    """A socket that is not connected: answers come from where they come."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(2)

    def ask(self, server, *attributes):
        body, transaction = b"".join(attributes), os.urandom(12)
        self.socket.sendto(struct.pack(">HHI", BINDING, len(body), COOKIE) + transaction + body, server)
        data, source = self.socket.recvfrom(5000)
        answer = Message(data)
        assert answer.transaction == transaction
        return answer, source


def change(flags):
    return attribute(A.CHANGE_REQUEST, struct.pack(">I", flags))


def every_address(relay):
    prober = Prober()
    own = prober.socket.getsockname()
    answer, _ = prober.ask((relay.host, relay.port))
    other = answer.address(A.OTHER_ADDRESS)
    check("OTHER-ADDRESS differs in address and port", other is not None and other[0] != relay.host and other[1] != relay.port, answer)
    hosts, ports = [relay.host, other[0]], [relay.port, other[1]]
    for at_host in (0, 1):
        for at_port in (0, 1):
            for flags in (0, CHANGE_PORT, CHANGE_ADDRESS, CHANGE_ADDRESS | CHANGE_PORT):
                server = hosts[at_host], ports[at_port]
                answer, source = prober.ask(server, change(flags))
                wanted = hosts[at_host ^ bool(flags & CHANGE_ADDRESS)], ports[at_port ^ bool(flags & CHANGE_PORT)]
                beyond = hosts[1 - at_host], ports[1 - at_port]
                seen = source, answer.address(A.RESPONSE_ORIGIN), answer.address(A.OTHER_ADDRESS), answer.address(A.XOR_MAPPED_ADDRESS)
                check(f"asked at {server[0]}:{server[1]}, change {flags}", seen == (wanted, wanted, beyond, own), seen)
    answer, _ = prober.ask((relay.host, relay.port), attribute(A.PADDING, bytes(500)))
    check("PADDING is answered with padding", answer.get(A.PADDING) is not None, answer)
    elsewhere = Prober()
    request = struct.pack(">HHI", BINDING, 8, COOKIE) + os.urandom(12)
    request += attribute(A.RESPONSE_PORT, struct.pack(">HH", elsewhere.socket.getsockname()[1], 0))
    prober.socket.sendto(request, (relay.host, relay.port))
    answer = Message(elsewhere.socket.recv(5000))
    check("RESPONSE-PORT is answered there", answer.address(A.XOR_MAPPED_ADDRESS) == own, answer)


def main():
    with lib_relay.relay(lib_relay.arguments(__doc__).parse_args(), settings) as relay:
        natdiscovery(relay, ["-m"], ["Endpoint Independent Mapping!"])
        natdiscovery(relay, ["-f"], ["Endpoint Independent Filtering!"])
        natdiscovery(relay, ["-m", "-f", "-P"], ["Endpoint Independent Mapping!", "Endpoint Independent Filtering!"])
        natdiscovery(relay, ["-H"], ["successful hairpinning"])
        natdiscovery(relay, ["-c", "-A", "127.0.0.3"], ["RFC 5780 response 2", "UDP reflexive addr: 127.0.0.3"])
        every_address(relay)
    finish()


main()
