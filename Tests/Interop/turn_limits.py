#!/usr/bin/env python3
"""What the relay refuses and how little it says to strangers, by a client of this file's own: sizes of answers, wrong and
expired credentials, refused peers, malformed datagrams.

usage: turn_limits.py [--dev var/dev.json] [--edge N] [--refused HOST:PORT]…
       turn_limits.py --server HOST:PORT --user USERNAME --credential CREDENTIAL [--refused HOST:PORT]…

The relay's own listener and every --refused address must be refused as peers. Exits non-zero if anything is not right.
"""
import argparse
import hashlib
import hmac
import ipaddress
import os
import random
import socket
import struct

from lib_checks import check, finish, relay_login

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH, PERMISSION, CHANNEL = 1, 3, 4, 8, 9


def attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def xor_address(address):
    host, port = address
    ip = ipaddress.ip_address(host).packed
    mask = struct.pack(">I", COOKIE)
    return struct.pack(">BBH", 0, 1, port ^ (COOKIE >> 16)) + bytes(a ^ b for a, b in zip(ip, mask))


class Client:
    def __init__(self, server, user, credential):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect(server)
        self.user, self.credential = user, credential
        self.realm = self.nonce = None

    def ask(self, method, *attributes, authenticated=True):
        body = b"".join(attributes)
        transaction = os.urandom(12)
        if authenticated and self.nonce:
            body += attribute(6, self.user.encode()) + attribute(0x14, self.realm) + attribute(0x15, self.nonce)
            key = hashlib.md5(f"{self.user}:{self.realm.decode()}:{self.credential}".encode()).digest()
            head = struct.pack(">HHI", method, len(body) + 24, COOKIE) + transaction
            body += attribute(8, hmac.new(key, head + body, hashlib.sha1).digest())
        self.socket.send(struct.pack(">HHI", method, len(body), COOKIE) + transaction + body)
        answer = self.socket.recv(2000)
        assert answer[8:20] == transaction
        return answer

    def authenticated(self, method, *attributes):
        """The error code, or 0."""
        if not self.nonce:
            challenge = read(self.ask(method, *attributes, authenticated=False))
            self.realm, self.nonce = challenge[0x14], challenge[0x15]
        return code(self.ask(method, *attributes))


def read(message):
    values, offset = {}, 20
    while offset < len(message):
        kind, count = struct.unpack(">HH", message[offset:offset + 4])
        values.setdefault(kind, message[offset + 4:offset + 4 + count])
        offset += 4 + count + (-count % 4)
    return values


def code(message):
    error = read(message).get(9)
    return error[2] * 100 + error[3] if error else 0


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--dev", default="var/dev.json")
parser.add_argument("--edge", type=int, default=0)
parser.add_argument("--server")
parser.add_argument("--user")
parser.add_argument("--credential")
parser.add_argument("--refused", action="append", default=[], type=address)
arguments = parser.parse_args()
host, port, user, credential = relay_login(arguments)
server = host, port
udp = attribute(0x19, struct.pack(">I", 17 << 24))

stranger = Client(server, user, credential)
binding = stranger.ask(BINDING)
check("a Binding answer has at most 44 bytes", len(binding) <= 44, len(binding))
check("and tells the address", read(binding)[0x20] == xor_address(stranger.socket.getsockname()))
challenge = stranger.ask(ALLOCATE, udp)
check("a 401 has at most 128 bytes", code(challenge) == 401 and len(challenge) <= 128, len(challenge))
check("and no reason phrase", len(read(challenge)[9]) == 4)

expiry, tenant, name = user.split(":")
check("a wrong credential is 401", Client(server, user, credential + "x").authenticated(ALLOCATE, udp) == 401)
check("an expired one is 401", Client(server, f"1:{tenant}:{name}", credential).authenticated(ALLOCATE, udp) == 401)

client = Client(server, user, credential)
check("nothing without an allocation", client.authenticated(REFRESH) == 437)
check("no other transport", client.authenticated(ALLOCATE, attribute(0x19, struct.pack(">I", 6 << 24))) == 442)
check("no unknown attribute", client.authenticated(ALLOCATE, udp, attribute(0x7ABC, b"")) == 420)
allocated = client.ask(ALLOCATE, udp)
check("an allocation", code(allocated) == 0)
check("not twice", client.authenticated(ALLOCATE, udp) == 437)
client.nonce = b"x" * 22
check("a made-up nonce is stale", code(client.ask(REFRESH)) == 438)
client.nonce = None

peers = [server, ("0.0.0.0", 53), ("0.0.0.1", 53), ("10.0.0.1", 53), ("100.64.0.1", 53), ("169.254.169.254", 80),
         ("172.16.0.1", 53), ("192.168.0.1", 53), ("192.0.2.1", 53), ("198.18.0.1", 53), ("224.0.0.1", 53),
         ("240.0.0.1", 53), ("255.255.255.255", 53), *arguments.refused]
for peer in peers:
    permission = client.authenticated(PERMISSION, attribute(0x12, xor_address(peer)))
    channel = client.authenticated(CHANNEL, attribute(0x0C, struct.pack(">HH", 0x4000, 0)), attribute(0x12, xor_address(peer)))
    check(f"no permission and no channel to {peer[0]}:{peer[1]}", (permission, channel) == (403, 403), (permission, channel))

randomness = random.Random(5769)
for _ in range(20_000):
    datagram = bytearray(challenge if randomness.random() < 0.5 else allocated)
    for _ in range(randomness.randrange(1, 6)):
        datagram[randomness.randrange(len(datagram))] = randomness.randrange(256)
    datagram = datagram[:randomness.randrange(len(datagram) + 1)]
    if datagram and datagram[0] == 0 and datagram[1] in (BINDING, ALLOCATE):
        datagram[0] = 0x80
    client.socket.send(datagram)
client.socket.setblocking(False)
try:
    while client.socket.recv(2000):
        pass
except BlockingIOError:
    client.socket.settimeout(2)


def still_answers():
    for _ in range(3):
        try:
            return code(client.ask(REFRESH, attribute(0x0D, struct.pack(">I", 0)))) in (0, 437)
        except TimeoutError:
            pass
    return False


check("20,000 malformed datagrams later it answers", still_answers())
finish()
