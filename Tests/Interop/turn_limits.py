#!/usr/bin/env python3
"""What the relay refuses and how little it says to strangers, by a client of this file's own: sizes of answers, wrong and
expired credentials, refused peers, malformed datagrams.

usage: turn_limits.py [--dev var/dev.json] [--edge N] [--refused HOST:PORT]…
       turn_limits.py --server HOST:PORT --user USERNAME --credential CREDENTIAL [--refused HOST:PORT]…

The relay's own listener and every --refused address must be refused as peers. Exits non-zero if anything is not right.
"""
import random

import lib_relay
from lib_checks import check, finish
from lib_turn import ALLOCATE, BINDING, REFRESH, TCP, A, attribute, transport


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


parser = lib_relay.arguments(__doc__)
parser.add_argument("--refused", action="append", default=[], type=address)
options = parser.parse_args()
relay = lib_relay.relay(options)
user, credential = relay.login()

stranger = relay.client()
binding = stranger.ask_once(BINDING)
check("a Binding answer has at most 44 bytes", len(binding.data) <= 44, len(binding.data))
check("and tells the address", binding.address(A.XOR_MAPPED_ADDRESS) == stranger.link.socket.getsockname())
challenge = stranger.ask_once(ALLOCATE, transport())
check("a 401 has at most 128 bytes", challenge.code == 401 and len(challenge.data) <= 128, len(challenge.data))
check("and no reason phrase", len(challenge.get(A.ERROR_CODE)) == 4)

expiry, tenant, name = user.split(":")
check("a wrong credential is 401", relay.client(login=(user, credential + "x")).allocate().code == 401)
check("an expired one is 401", relay.client(login=(f"1:{tenant}:{name}", credential)).allocate().code == 401)

client = relay.client()
check("nothing without an allocation", client.refresh().code == 437)
check("no TCP to peers over UDP", client.allocate(protocol=TCP).code == 400)
check("no other transport", client.allocate(protocol=132).code == 442)
check("no unknown attribute", client.allocate(attribute(0x7ABC)).code == 420)
allocated = client.allocate()
check("an allocation", allocated.code == 0, allocated)
check("not twice", client.allocate().code == 437)
client.nonce = b"x" * 22
check("a made-up nonce is stale", client.ask_once(REFRESH).code == 438)
client.nonce = None

peers = [(relay.host, relay.port), ("0.0.0.0", 53), ("0.0.0.1", 53), ("10.0.0.1", 53), ("100.64.0.1", 53), ("169.254.169.254", 80),
         ("172.16.0.1", 53), ("192.168.0.1", 53), ("192.0.2.1", 53), ("198.18.0.1", 53), ("224.0.0.1", 53),
         ("240.0.0.1", 53), ("255.255.255.255", 53), *options.refused]
for peer in peers:
    codes = client.permit(peer).code, client.bind_channel(0x4000, peer).code
    check(f"no permission and no channel to {peer[0]}:{peer[1]}", codes == (403, 403), codes)

randomness = random.Random(5769)
for _ in range(20_000):
    datagram = bytearray(challenge.data if randomness.random() < 0.5 else allocated.data)
    for _ in range(randomness.randrange(1, 6)):
        datagram[randomness.randrange(len(datagram))] = randomness.randrange(256)
    datagram = datagram[:randomness.randrange(len(datagram) + 1)]
    if datagram and datagram[0] == 0 and datagram[1] in (BINDING, ALLOCATE):
        datagram[0] = 0x80
    client.link.send(datagram)
while True:
    try:
        client.link.receive(0)
    except TimeoutError:
        break
check("20,000 malformed datagrams later it answers", client.refresh(0).code in (0, 437))
finish()
