#!/usr/bin/env python3
"""aioice: its TURN client by itself, and two ICE agents that reach each other through the relay alone.

usage: turn_aioice.py [--dev var/dev.json] [--edge N]
       turn_aioice.py --coturn      against coturn's own server

Needs the Python package aioice. Exits non-zero if anything is not right.
"""
import asyncio
import ssl

import lib_relay
from lib_checks import check, finish

from aioice import Connection, TransportPolicy
from aioice.turn import create_turn_endpoint

TIMEOUT_S = 20
KINDS = ["udp", "tcp", "tls"]


class Receiver(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))


def way(relay, kind):
    """The server's address, the TLS context, and the transport as aioice calls it."""
    if kind == "tls":
        return (relay.host, relay.tls_port), ssl.create_default_context(cafile=relay.ca), "tcp"
    return (relay.host, relay.port), None, kind


def endpoint(relay, kind):
    user, credential = relay.login("aioice")
    server, context, transport = way(relay, kind)
    return create_turn_endpoint(Receiver, server, user, credential, ssl=context, transport=transport)


async def to_a_peer_and_back(relay, kind):
    """Whether 50 messages of all sizes come back from a peer."""
    loop = asyncio.get_running_loop()
    outside, peer = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    transport, client = await endpoint(relay, kind)
    try:
        relayed = transport.get_extra_info("sockname")
        for number in range(50):
            data = bytes([number]) * (1 + number * 24)
            transport.sendto(data, outside.get_extra_info("sockname"))
            arrived, source = await peer.received.get()
            outside.sendto(arrived[::-1], source)
            back, _ = await client.received.get()
            if source != relayed or back != data:
                return False
        return True
    finally:
        transport.close()
        outside.close()


async def two_agents(relay, kind):
    """Whether each hears the other, both by relayed candidates alone."""
    user, credential = relay.login("aioice")
    server, context, transport = way(relay, kind)
    agents = [Connection(
        ice_controlling=controlling, turn_server=server, turn_username=user, turn_password=credential,
        turn_ssl=context, turn_transport=transport, use_ipv6=False,
        transport_policy=TransportPolicy.RELAY) for controlling in (True, False)]
    one, other = agents
    try:
        await asyncio.gather(*(agent.gather_candidates() for agent in agents))
        for here, there in ((one, other), (other, one)):
            there.remote_username, there.remote_password = here.local_username, here.local_password
            for candidate in here.local_candidates:
                await there.add_remote_candidate(candidate)
            await there.add_remote_candidate(None)
        await asyncio.gather(*(agent.connect() for agent in agents))
        await one.send(b"from the one")
        await other.send(b"from the other")
        heard = await other.recv(), await one.recv()
        kinds = {candidate.type for agent in agents for candidate in agent.local_candidates}
        return heard == (b"from the one", b"from the other") and kinds == {"relay"}
    finally:
        await asyncio.gather(*(agent.close() for agent in agents))


async def attempt(name, work):
    try:
        check(name, await asyncio.wait_for(work, TIMEOUT_S))
    except Exception as error:  # whatever the library throws is a failure of this check, not of the others
        check(name, False, repr(error))


async def run(relay):
    for kind in KINDS:
        await attempt(f"{kind}: to a peer and back", to_a_peer_and_back(relay, kind))
        await attempt(f"{kind}: two agents", two_agents(relay, kind))


def main():
    with lib_relay.relay(lib_relay.arguments(__doc__).parse_args()) as relay:
        asyncio.run(run(relay))
    finish()


main()
