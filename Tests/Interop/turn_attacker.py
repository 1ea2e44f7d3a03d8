#!/usr/bin/env python3
"""What somebody tries who has credentials and wants to reach through the relay what only its host or its network reaches: every way to
write such an address, for permissions, channels, connections and Send indications. Nothing of it may arrive.

usage: turn_attacker.py [--dev var/dev.json] [--edge N]

The edge is begun again, first with loopback closed as it is in production, then as in development. Exits non-zero if anything is not
right.
"""
import contextlib
import ipaddress
import select
import socket
import struct
import urllib.parse

import lib_relay
from lib_checks import check, finish
from lib_turn import (
    ALLOCATE, CHANNEL_BIND, CONNECT, COOKIE, IPV4, IPV6, PERMISSION, SEND, INDICATION, TCP, UDP, A, Peer, attribute, channel_number, family,
    is_readable, peer_socket, transport)

V4 = """
0.0.0.0 0.0.0.1 0.1.2.3 0.127.0.1 0.255.255.255 127.0.0.1 127.0.0.2 127.0.1.1 127.1.2.3 127.255.255.254
10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 100.64.0.1 100.100.100.200 100.127.255.255
169.254.0.1 169.254.169.254 169.254.170.2 224.0.0.1 224.0.0.251 239.255.255.250 240.0.0.1 255.255.255.254 255.255.255.255
192.0.0.1 192.0.0.170 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 192.88.99.1
""".split()

V6 = """
:: ::1 fe80::1 febf::1 fe80::a9fe:a9fe fc00::1 fd00::1 fd00:ec2::254 fec0::1 ff01::1 ff02::1 ff02::fb ff05::2 ff0e::1
2001:db8::1 3fff::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 100::1 5f00::1 1::1 4000::1 8000::1 e000::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:192.168.1.1 ::ffff:8.8.8.8 ::ffff:0.0.0.0 ::ffff:169.254.169.254 ::ffff:224.0.0.1
::127.0.0.1 ::10.0.0.1 ::169.254.169.254 ::8.8.8.8 ::0.0.0.2 ::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1 ::ffff:0:8.8.8.8
::fffe:127.0.0.1 ::1:127.0.0.1 0:0:0:0:1:ffff:7f00:1
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::172.16.0.1 64:ff9b::192.168.1.1 64:ff9b::169.254.169.254 64:ff9b::100.64.0.1
64:ff9b:: 64:ff9b::224.0.0.1 64:ff9b::255.255.255.255 64:ff9b:1::8.8.8.8 64:ff9b:1::10.0.0.1 64:ff9b:1:fffe::10.0.0.1
64:ff9b::1:127.0.0.1 64:ff9b:1:7f00:0:100::
2002:7f00:1:: 2002:7f00:1::1 2002:7fff:ffff::1 2002:a00:1::1 2002:c0a8:101::1 2002:a9fe:a9fe:: 2002:e000:1:: 2002::1
2002:6440:1::1 2002:ac10:1::1 2002:c058:6301::
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001::1 2001:0:7f00:1::1 2001::80ff:fffe 2001::f5ff:fffe
fe80::5efe:8.8.8.8 fe80::200:5efe:127.0.0.1 fd00::5efe:8.8.8.8 2a00:1450::5efe:127.0.0.1 2a00:1450::200:5efe:10.0.0.1
2a00:1450:4001:81b:0:5efe:169.254.169.254 2a00:1450::5efe:0.0.0.0 2a00:1450::5efe:239.1.2.3
2002:808:808::5efe:127.0.0.1 2002:808:808:0:200:5efe:a00:1 2002:7f00:1::5efe:8.8.8.8 2001::5efe:8.8.8.8
""".split()


class Raw(Peer):
    """An XOR-PEER-ADDRESS whose family and bytes need not fit."""

    def __init__(self, number, packed, port):
        super().__init__((packed, port))
        self.number, self.packed, self.port = number, packed, port

    def bytes(self, transaction):
        mask = (struct.pack(">I", COOKIE) + transaction + bytes(32))[:len(self.packed)]
        value = bytes(a ^ b for a, b in zip(self.packed, mask))
        return attribute(
            A.XOR_PEER_ADDRESS, struct.pack(">BBH", 0, self.number, self.port ^ (COOKIE >> 16)) + value)


def malformed(port):
    """Family and length that disagree, and lengths that no family has."""
    loopback, loopback6 = bytes([127, 0, 0, 1]), bytes(15) + b"\x01"
    mapped = bytes(10) + b"\xff\xff" + loopback
    return [Raw(IPV4, loopback6, port), Raw(IPV4, mapped, port), Raw(IPV6, loopback, port), Raw(0, loopback, port), Raw(3, loopback, port),
            Raw(0xFF, loopback6, port), Raw(IPV4, loopback + b"\0", port), Raw(IPV4, loopback[:3], port), Raw(IPV6, mapped[:15], port),
            Raw(IPV6, mapped + b"\0", port), Raw(IPV4, b"", port), Raw(IPV6, b"", port), Raw(IPV4, loopback * 2, port)]


class Trap:
    """Sockets that hear whatever comes to one port of this host, by whichever address and family."""

    def __init__(self):
        self.udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.udp.bind(("::", 0))
        self.port = self.udp.getsockname()[1]
        self.tcp = socket.socket(socket.AF_INET6)
        self.tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.tcp.bind(("::", self.port))
        self.tcp.listen()

    def is_silent(self):
        return not select.select([self.udp, self.tcp], [], [], 0.3)[0]


def refused(client, peer, channel=0x4000, use_connect=False):
    """The answers to everything that may name the peer."""
    if use_connect:
        return [client.ask(PERMISSION, peer).code, client.ask(CONNECT, peer).code]
    codes = [client.ask(PERMISSION, peer).code, client.ask(CHANNEL_BIND, channel_number(channel), peer).code]
    client.link.send(client.message(SEND, peer, attribute(A.DATA, b"through"), kind=INDICATION, authenticated=False))
    return codes


def label(number, protocol):
    return f"IPv{4 if number == IPV4 else 6} over {'TCP' if protocol == TCP else 'UDP'}"


def own_ports(edge):
    ports = {edge.port, edge.tls_port} - {0}
    for key in ("http", "admin"):
        ports.add(urllib.parse.urlsplit(edge.edge[key]).port)
    return sorted(ports)


def own_hosts():
    """Addresses of this host, and of what reaches it."""
    hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0"]
    for target in ("192.0.2.200", "2001:db8::200"):
        with contextlib.suppress(OSError), socket.socket(
                socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            hosts.append(probe.getsockname()[0])
    return hosts + ["::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1"]


RELAYED = '[127.0.0.1, "::1"]'
# The allocations from which it is tried: family, and transport to peers.
ALLOCATIONS = [(IPV4, UDP), (IPV6, UDP), (IPV4, TCP), (IPV6, TCP)]


class Attack:
    def __init__(self, edge, name):
        self.edge, self.name = edge, name
        self.trap = Trap()
        self.clients = {}
        for number, protocol in ALLOCATIONS:
            client = edge.client("tcp" if protocol == TCP else "udp", name=f"mallory-{number}-{protocol}")
            answer = client.ask(ALLOCATE, transport(protocol), *([] if number == IPV4 else [family(number)]))
            check(f"{name}: an allocation, {label(number, protocol)}", answer.code == 0, answer)
            self.clients[number, protocol] = client

    def try_all(self, hosts, port, what):
        """Every address, by an allocation of its family and one of the other, over both transports."""
        for (number, protocol), client in self.clients.items():
            wrong = []
            for host in hosts:
                is_same = ipaddress.ip_address(host).version == (4 if number == IPV4 else 6)
                codes = refused(client, Peer((host, port)), use_connect=protocol == TCP)
                if codes != [403 if is_same else 443] * 2:
                    wrong.append((host, codes))
            check(f"{self.name}: {len(hosts)} {what}, {label(number, protocol)}", not wrong, wrong)

    def malformed(self):
        for (number, protocol), client in self.clients.items():
            wrong = []
            for peer in malformed(self.trap.port):
                codes = refused(client, peer, use_connect=protocol == TCP)
                if codes != [400] * 2:
                    wrong.append((peer.number, peer.packed.hex(), codes))
            check(f"{self.name}: addresses that cannot be read, {label(number, protocol)}", not wrong, wrong)

    def end(self):
        check(f"{self.name}: nothing of it arrived", self.trap.is_silent())
        for client in self.clients.values():
            client.link.close()


def closed(edge):
    """As in production: the relay's own address is reached where an allocation is live, and no other."""
    attack = Attack(edge, "closed")
    attack.try_all(V4 + V6, attack.trap.port, "addresses")
    attack.malformed()
    hairpin(edge)
    attack.end()


def hairpin(edge):
    """Two relayed clients reach each other while both live."""
    with edge.client(name="ann") as ann, edge.client(name="bob") as bob:
        anns = ann.allocate().address(A.XOR_RELAYED_ADDRESS)
        bobs = bob.allocate().address(A.XOR_RELAYED_ADDRESS)
        check("hairpin: permissions for each other", (ann.permit(bobs).code, bob.permit(anns).code) == (0, 0))
        ann.send_data(bobs, b"hello")
        check("hairpin: one hears the other", bob.relayed() == (anns, b"hello"))
        check("hairpin: a channel", ann.bind_channel(0x4001, bobs).code == 0)
        others = [(bobs[0], port) for port in (22, 53, 80, 443, edge.port, bobs[1] ^ 1) if port != anns[1]]
        codes = {peer: refused(ann, Peer(peer), channel=0x4002) for peer in others}
        check("hairpin: no other port there", all(code == [403, 403] for code in codes.values()), codes)
        with edge.client("tcp", name="cat") as cat:
            cats = cat.allocate(protocol=TCP).address(A.XOR_RELAYED_ADDRESS)
            codes = (refused(ann, Peer(cats), channel=0x4002), refused(cat, Peer(bobs), use_connect=True))
            check("hairpin: UDP and TCP have ports of their own", codes == ([403, 403], [403, 403]), codes)
        bob.refresh(0)
        ann.send_channel(0x4001, b"gone?")
        codes = refused(ann, Peer(bobs), channel=0x4001)
        check("hairpin: not once the other has ended", codes == [403, 403], codes)


def development(edge):
    """Loopback is open; our own listeners are not."""
    attack = Attack(edge, "development")
    for port in own_ports(edge):
        attack.try_all(own_hosts(), port, f"names of our own port {port}")
    with edge.client(name="eve") as eve, contextlib.closing(peer_socket()) as good, contextlib.closing(peer_socket("127.0.0.2")) as second:
        relayed = eve.allocate().address(A.XOR_RELAYED_ADDRESS)
        check("a peer of this host is heard", eve.permit(good.getsockname()).code == 0)
        good.sendto(b"from the good", relayed)
        check("by its permission", eve.relayed() == (good.getsockname(), b"from the good"))

        code = eve.permit(second.getsockname(), ("10.0.0.1", 53)).code
        second.sendto(b"unasked", relayed)
        check("all or none of several", code == 403 and eve.hears_nothing(), code)

        request = eve.message(PERMISSION, Peer(good.getsockname()))
        request += Peer(second.getsockname()).bytes(request[8:20])
        request = request[:2] + struct.pack(">H", len(request) - 20) + request[4:]
        code = eve.exchange(request).code
        second.sendto(b"unasked", relayed)
        check("what stands behind the integrity counts for nothing", code == 0 and eve.hears_nothing(), code)

        eve.link.send(eve.message(
            SEND, Peer(good.getsockname()), Peer(second.getsockname()), attribute(A.DATA, b"once"), kind=INDICATION, authenticated=False))
        check("of two peers the first is meant", good.recv(100) == b"once" and not is_readable(second, 0.2))
    attack.end()


def main():
    options = lib_relay.arguments(__doc__).parse_args()
    edge = lib_relay.Edge(options.dev, options.edge, {"relay_addresses": RELAYED, "allow_loopback_peers": "false"})
    check("the table is large", len(set(V4 + V6)) >= 120, len(set(V4 + V6)))
    closed(edge)
    edge.stop()
    edge.start({"relay_addresses": RELAYED})
    development(edge)
    check("the relay goes on", edge.answers())
    finish()


main()
