#!/usr/bin/env python3
"""Connections to peers (RFC 6062) by a client of this folder's own: those that the client asks for and those that peers make, what came
before they were bound, much in both directions, and their ends.

usage: turn_connections.py [--dev var/dev.json] [--edge N]
       turn_connections.py --coturn      against coturn's own server

Exits non-zero if anything is not right.
"""
import os
import socket
import threading

import lib_relay
from lib_checks import check, finish
from lib_turn import CONNECT, CONNECTION_ATTEMPT, CONNECTION_BIND, TCP, A, Peer, attribute


def connections(relay):
    for kind in ("tcp", "tls"):
        with relay.client(kind) as client, socket.create_server(("127.0.0.1", 0)) as listening:
            peer = listening.getsockname()
            allocated = client.allocate(protocol=TCP)
            relayed = allocated.address(A.XOR_RELAYED_ADDRESS)
            check(f"{kind}: an allocation for TCP", allocated.code == 0, allocated)
            connected = client.ask(CONNECT, Peer(peer))
            check(f"{kind}: Connect", connected.code == 0 and connected.get(A.CONNECTION_ID) is not None, connected)
            accepted, source = listening.accept()
            check(f"{kind}: from the relayed address", source == relayed, source)
            accepted.sendall(b"before it was bound")
            data = bind_connection(relay, kind, client, connected, kind)
            check(f"{kind}: nothing is lost that came before", read_all(data, 19) == b"before it was bound")
            exchange_much(kind, data, accepted)
            check(f"{kind}: no second Connect", client.ask(CONNECT, Peer(peer)).code == 446)
            accepted.close()
            check(f"{kind}: its end is passed on", read_all(data, 1) == b"")
            data.close()
            came_from_outside(relay, kind, client, relayed)
            with socket.create_server(("127.0.0.1", 0)) as gone:
                nobody = gone.getsockname()
            check(f"{kind}: a peer that refuses is 447", client.ask(CONNECT, Peer(nobody)).code == 447)
            check(f"{kind}: Connect to the relay itself is 403", client.ask(CONNECT, Peer((relay.host, relay.port))).code == 403)
    with relay.client("udp") as client:
        check("udp: no allocation for TCP", client.allocate(protocol=TCP).code == 400)


def bind_connection(relay, kind, client, said, name):
    """A data connection: what ConnectionBind was answered on."""
    data = relay.client(kind)
    data.realm, data.nonce, data.user, data.credential = client.realm, client.nonce, client.user, client.credential
    bound = data.ask(CONNECTION_BIND, attribute(A.CONNECTION_ID, said.get(A.CONNECTION_ID)))
    check(f"{name}: ConnectionBind", bound.code == 0, bound)
    data.link.socket.settimeout(5)
    rest, data.buffer = data.buffer, b""
    return Data(data.link.socket, rest)


class Data:
    """A connection, and what has been read of it already."""

    def __init__(self, connection, rest):
        self.connection, self.rest = connection, rest
        self.close, self.sendall, self.getsockname = connection.close, connection.sendall, connection.getsockname

    def recv(self, count):
        if self.rest:
            data, self.rest = self.rest[:count], self.rest[count:]
            return data
        return self.connection.recv(count)


def read_all(connection, count):
    """So many bytes, or as many as come before the end."""
    data = b""
    while len(data) < count:
        piece = connection.recv(min(count - len(data), 65536))
        if not piece:
            break
        data += piece
    return data


def exchange_much(name, here, there):
    """Four MiB at once each way, more than any buffer between."""
    much = os.urandom(4 << 20)
    there.settimeout(20)
    here.connection.settimeout(20)
    for way, sender, receiver in (("to", here, there), ("from", there, here)):
        sending = threading.Thread(target=sender.sendall, args=(much,))
        sending.start()
        check(f"{name}: four MiB {way} the peer", read_all(receiver, len(much)) == much)
        sending.join()


def came_from_outside(relay, kind, client, relayed):
    outside = socket.socket()
    outside.bind(("127.0.0.1", 0))
    client.permit(outside.getsockname())
    outside.settimeout(5)
    outside.connect(relayed)
    attempt = client.indication(CONNECTION_ATTEMPT)
    check(f"{kind}: a peer that connects is told", attempt.address(A.XOR_PEER_ADDRESS) == outside.getsockname(), attempt)
    data = bind_connection(relay, kind, client, attempt, f"{kind}, from outside")
    exchange_much(f"{kind}, from outside", data, outside)
    data.close()
    check(f"{kind}, from outside: its end is passed on", read_all(outside, 1) == b"")
    outside.close()
    with socket.socket() as stranger:
        stranger.settimeout(5)
        stranger.bind(("127.0.0.2", 0))
        stranger.connect(relayed)
        try:
            check(f"{kind}: without a permission it is closed", stranger.recv(1) == b"")
        except ConnectionResetError:
            check(f"{kind}: without a permission it is closed", True)


def main():
    with lib_relay.relay(lib_relay.arguments(__doc__).parse_args()) as relay:
        connections(relay)
    finish()


main()
