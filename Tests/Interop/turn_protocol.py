#!/usr/bin/env python3
"""What no client made by others asks of a relay, by a client of this folder's own: reserved ports, two families, mobility from
transport to transport and from loop to loop, both password algorithms, errors of the network.

usage: turn_protocol.py [--dev var/dev.json] [--edge N] [--only NAME]…
       turn_protocol.py --coturn [--only NAME]…      what coturn's own server has of it

Exits non-zero if anything is not right.
"""
import os
import struct
import threading
import time

import lib_relay
from lib_checks import check, finish
from lib_turn import (
    ALLOCATE, BINDING, DATA_METHOD, IPV4, IPV6, REFRESH, A, attribute, family, lifetime, peer_socket, transport)

KINDS = ["udp", "tcp", "tls", "dtls"]


def echoes(client, peer, data=b"to and fro"):
    """Whether a message goes to the peer and back by indications."""
    client.send_data(peer.getsockname(), data)
    heard, relayed = peer.recvfrom(70000)
    peer.sendto(heard[::-1], relayed)
    return client.relayed() == (peer.getsockname()[:2], data[::-1])


def basics(relay):
    """Every transport, over IPv4 and IPv6: what is told, and that all answers are signed."""
    for kind in KINDS:
        for host in (relay.host, relay.host6):
            where = f"{kind} from {host}"
            with relay.client(kind, host=host, fingerprint=True) as client, peer_socket() as peer:
                own = client.link.socket.getsockname()[:2]
                binding = client.ask_once(BINDING)
                check(f"{where}: Binding tells the address", binding.address(A.XOR_MAPPED_ADDRESS) == own, binding)
                check(f"{where}: with a fingerprint", binding.has_good_fingerprint(), binding)
                allocated = client.allocate()
                told = allocated.address(A.XOR_MAPPED_ADDRESS), allocated.get(A.LIFETIME)
                check(f"{where}: an allocation", allocated.code == 0 and told == (own, struct.pack(">I", 600)), allocated)
                again = client.exchange(client.last)
                check(f"{where}: its retransmission has the same answer",
                      again.address(A.XOR_RELAYED_ADDRESS) == allocated.address(A.XOR_RELAYED_ADDRESS), again)
                answers = [allocated, client.permit(peer.getsockname()), client.bind_channel(0x4000, peer.getsockname()), client.refresh(700)]
                check(f"{where}: every answer is signed", all(one.code == 0 and one.has_good_integrity(client.key) for one in answers), answers)
                for size in (0, 1, 2, 3, 4, 1200, 8000):
                    client.send_channel(0x4000, bytes(size))
                    heard, relayed = peer.recvfrom(70000)
                    peer.sendto(heard, relayed)
                    if heard != bytes(size) or client.relayed() != (0x4000, heard):
                        check(f"{where}: {size} bytes through a channel", False)
                check(f"{where}: deleted", client.refresh(0).code == 0 and client.refresh(600).code == 437)


def several(relay):
    """Several messages in one segment, and one message in several."""
    with relay.client("tcp") as client, peer_socket() as peer:
        client.allocate()
        client.bind_channel(0x4000, peer.getsockname())
        messages = b"".join(struct.pack(">HH", 0x4000, 5) + b"%05d" % number + b"\0\0\0" for number in range(100))
        client.link.send(messages)
        check("tcp: a hundred messages in one segment", [peer.recv(100) for _ in range(100)] == [b"%05d" % number for number in range(100)])
        for byte in messages[:24]:
            client.link.send(bytes([byte]))
        check("tcp: messages byte by byte", [peer.recv(100) for _ in range(2)] == [b"00000", b"00001"])


def reservations(relay):
    with relay.client() as client, relay.client() as second, relay.client() as third, relay.client() as fourth:
        first = client.allocate(attribute(A.EVEN_PORT, b"\x80"))
        token, port = first.get(A.RESERVATION_TOKEN), first.address(A.XOR_RELAYED_ADDRESS)[1]
        check("EVEN-PORT: an even port, and a token of eight bytes", port % 2 == 0 and token is not None and len(token) == 8, first)
        taken = second.allocate(attribute(A.RESERVATION_TOKEN, token))
        check("RESERVATION-TOKEN: the next port", taken.code == 0 and taken.address(A.XOR_RELAYED_ADDRESS)[1] == port + 1, taken)
        with peer_socket() as peer:
            second.permit(peer.getsockname())
            check("which relays", echoes(second, peer))
        check("a token serves once", third.allocate(attribute(A.RESERVATION_TOKEN, token)).code == 508)
        check("no token with EVEN-PORT", fourth.allocate(attribute(A.RESERVATION_TOKEN, os.urandom(8)), attribute(A.EVEN_PORT, b"\0")).code == 400)
        check("a made-up token", fourth.allocate(attribute(A.RESERVATION_TOKEN, os.urandom(8))).code == 508)


def two_families(relay):
    additional = family(IPV6, A.ADDITIONAL_ADDRESS_FAMILY)
    with relay.client() as client, peer_socket("127.0.0.1") as four, peer_socket("::1") as six:
        allocated = client.allocate(additional)
        addresses = allocated.addresses(A.XOR_RELAYED_ADDRESS)
        check("two relayed addresses", [":" in host for host, _ in addresses] == [False, True], allocated)
        check("permissions for both families", client.permit(four.getsockname(), six.getsockname()).code == 0)
        check("the one family relays", echoes(client, four))
        check("the other family relays", echoes(client, six))
        gone = client.refresh(0, family(IPV6))
        check("one family is deleted", gone.code == 0, gone)
        check("the other goes on", echoes(client, four))
        check("the deleted one is none of the allocation's", client.permit(six.getsockname()).code == 443)
        check("nor may it be refreshed", client.refresh(600, family(IPV6)).code == 443)
    with relay.client() as client:
        check("not with REQUESTED-ADDRESS-FAMILY", client.allocate(additional, family(IPV6)).code == 400)
        check("nor IPv4 as the additional one", client.allocate(family(IPV4, A.ADDITIONAL_ADDRESS_FAMILY)).code == 400)
        check("IPv6 alone", ":" in client.allocate(family(IPV6)).address(A.XOR_RELAYED_ADDRESS)[0])
        with peer_socket() as four:
            check("a peer of the other family is 443", client.permit(four.getsockname()).code == 443)
    with relay.client() as client:
        check("no such family is 440", client.allocate(family(9)).code == 440)


def mobility(relay):
    """From transport to transport, and from source port to source port: with several loops some of them change the loop."""
    ticket_wanted = attribute(A.MOBILITY_TICKET)
    # A user name has its expiry in it, and a ticket is good for one name.
    login = relay.login()
    with peer_socket() as peer:
        old = relay.client(login=login)
        allocated = old.allocate(ticket_wanted)
        ticket, relayed = allocated.get(A.MOBILITY_TICKET), allocated.address(A.XOR_RELAYED_ADDRESS)
        check("mobility: a ticket of at least 128 bits", ticket is not None and len(ticket) >= 16, allocated)
        old.permit(peer.getsockname())
        old.bind_channel(0x4000, peer.getsockname())
        for step, kind in enumerate(["udp", "udp", "udp", "udp", "tcp", "tls", "dtls", "udp"]):
            name = f"mobility: move {step + 1}, to {kind}"
            new = relay.client(kind, login=login)
            moved = new.refresh(600, attribute(A.MOBILITY_TICKET, ticket))
            check(f"{name}: answered with a ticket", moved.code == 0 and moved.get(A.MOBILITY_TICKET) is not None, moved)
            again = new.exchange(new.last)
            check(f"{name}: a retransmission, too", again.code == 0 and again.get(A.MOBILITY_TICKET) is not None, again)
            ticket = again.get(A.MOBILITY_TICKET)
            new.send_channel(0x4000, b"from the new path %d" % step)
            heard, source = peer.recvfrom(100)
            check(f"{name}: the peer hears it from where it was", (heard, source) == (b"from the new path %d" % step, relayed), (heard, source))
            peer.sendto(b"answer", source)
            check(f"{name}: and is heard there", new.relayed() == (0x4000, b"answer"))
            old.link.close()
            old = new
        with relay.client(name="mallory") as thief:
            stolen = thief.refresh(600, attribute(A.MOBILITY_TICKET, ticket))
            check("mobility: another's ticket is refused", stolen.code in (400, 441), stolen)
        with relay.client(login=login) as forger:
            forged = forger.refresh(600, attribute(A.MOBILITY_TICKET, os.urandom(len(ticket))))
            check("mobility: a made-up ticket is refused", forged.code == 400, forged)
        check("mobility: the allocation is still its owner's", old.refresh(0).code == 0)
        old.link.close()


def the_old_path(relay):
    """Both paths serve until the new one is used."""
    login = relay.login()
    with relay.client(login=login) as old, relay.client(login=login) as new, peer_socket() as peer:
        ticket = old.allocate(attribute(A.MOBILITY_TICKET)).get(A.MOBILITY_TICKET)
        old.permit(peer.getsockname())
        new.refresh(600, attribute(A.MOBILITY_TICKET, ticket))
        old.send_data(peer.getsockname(), b"late")
        check("mobility: what comes late on the old path is relayed", peer.recvfrom(100)[0] == b"late")
        check("mobility: the new path is used", echoes(new, peer))
        old.send_data(peer.getsockname(), b"too late")
        check("mobility: from then on the old one is none", old.refresh(600).code == 437)


def moving_under_traffic(relay):
    """A peer that sends all the while, and a client that moves again and again: not a datagram is lost or comes twice."""
    moves, sent, login = 30, 0, relay.login()
    with peer_socket() as peer:
        path = relay.client(login=login)
        allocated = path.allocate(attribute(A.MOBILITY_TICKET))
        ticket, relayed = allocated.get(A.MOBILITY_TICKET), allocated.address(A.XOR_RELAYED_ADDRESS)
        path.bind_channel(0x4000, peer.getsockname())
        heard = []
        stop = threading.Event()

        def send():
            nonlocal sent
            while not stop.is_set():
                peer.sendto(b"%08d" % sent, relayed)
                sent += 1
                time.sleep(0.0005)

        sending = threading.Thread(target=send)
        sending.start()
        for move in range(moves):
            new = relay.client(("udp", "udp", "tcp", "tls", "dtls")[move % 5], login=login)
            moved = new.refresh(600, attribute(A.MOBILITY_TICKET, ticket))
            if moved.code:
                check(f"mobility: move {move + 1} under traffic", False, moved)
                break
            ticket = moved.get(A.MOBILITY_TICKET)
            new.send_channel(0x4000, b"here")
            heard += received(new, until=20)
            heard += received(path)
            path.link.close()
            path = new
        stop.set()
        sending.join()
        heard += received(path)
        path.refresh(0)
        path.link.close()
        numbers = [int(data) for data in heard]
        lost, twice = sent - len(set(numbers)), len(numbers) - len(set(numbers))
        check(f"mobility: {moves} moves under traffic lose nothing", (lost, twice) == (0, 0), f"of {sent} {lost} lost, {twice} twice")


def received(client, until=None):
    """What is relayed to it: so many messages, or as long as more come, within a bound."""
    found = []
    while len(found) < (until or 10_000):
        try:
            found.append(client.relayed(0.05 if until is None else 5)[1])
        except TimeoutError:
            break
    return found


def algorithms(relay):
    with relay.client() as client:
        challenge = client.ask_once(ALLOCATE, transport())
        nonce, listed = challenge.get(A.NONCE), challenge.get(A.PASSWORD_ALGORITHMS)
        check("the challenge has the nonce cookie", nonce.startswith(b"obMatJos2"), nonce)
        check("and lists SHA-256 and MD5", listed == bytes.fromhex("0002000000010000"), listed)
        check("in at most 128 bytes", len(challenge.data) <= 128, len(challenge.data))
    for algorithm, integrity in [(2, A.MESSAGE_INTEGRITY_SHA256), (2, A.MESSAGE_INTEGRITY), (1, A.MESSAGE_INTEGRITY_SHA256), (1, A.MESSAGE_INTEGRITY)]:
        name = f"{'SHA-256' if algorithm == 2 else 'MD5'} with {integrity.name}"
        with relay.client(algorithm=algorithm, integrity=integrity) as client, peer_socket() as peer:
            allocated = client.allocate()
            answered = [kind for kind, _, _ in allocated.attributes if kind in (A.MESSAGE_INTEGRITY, A.MESSAGE_INTEGRITY_SHA256)]
            check(f"{name}: an allocation", allocated.code == 0, allocated)
            check(f"{name}: signed as it was asked", answered == [integrity] and allocated.has_good_integrity(client.key), allocated)
            check(f"{name}: a permission", client.permit(peer.getsockname()).code == 0 and echoes(client, peer))
    with relay.client(algorithm=2, integrity=A.MESSAGE_INTEGRITY_SHA256) as client:
        client.take_challenge(client.ask_once(ALLOCATE, transport()))
        client.algorithms = bytes.fromhex("00010000")
        client.algorithm = 1
        bidden_down = client.ask_once(ALLOCATE, transport())
        check("a list that was cut is bidding down", bidden_down.code == 400, bidden_down)
    with relay.client(algorithm=2) as client:
        client.take_challenge(client.ask_once(ALLOCATE, transport()))
        client.nonce = client.nonce[:9] + b"AAAA" + client.nonce[13:]
        check("a cookie without its bits is stale or refused", client.ask_once(ALLOCATE, transport()).code in (400, 401, 438))


def network_errors(relay):
    with relay.client() as client:
        client.allocate()
        with peer_socket() as closed:
            nobody = closed.getsockname()
        client.permit(nobody)
        client.send_data(nobody, b"is anybody there?")
        told = client.indication(DATA_METHOD)
        code = told.get(A.ICMP)
        check("ICMP: port unreachable is told", code is not None and struct.unpack(">HH", code[:4])[1] == 3 << 9 | 3, told)
        check("of that peer", told.address(A.XOR_PEER_ADDRESS) == nobody and told.get(A.DATA) is None, told)
        with peer_socket() as peer:
            client.permit(peer.getsockname())
            check("and others are heard after it", echoes(client, peer))


def fragments(relay):
    with relay.client() as client, peer_socket() as peer:
        allocated = client.allocate(attribute(A.DONT_FRAGMENT))
        check("DONT-FRAGMENT: an allocation", allocated.code == 0, allocated)
        client.permit(peer.getsockname())
        client.send_data(peer.getsockname(), b"whole", attribute(A.DONT_FRAGMENT))
        check("DONT-FRAGMENT: sent", peer.recv(100) == b"whole")


def refusals(relay):
    with relay.client() as client:
        refused = client.allocate(attribute(0x7ABC), attribute(0x7ABD))
        listed = set(struct.unpack(">HH", (refused.get(A.UNKNOWN_ATTRIBUTES) or bytes(4))[:4]))
        check("420 lists what is not understood", refused.code == 420 and listed == {0x7ABC, 0x7ABD}, refused)
        signed = bytearray(client.message(ALLOCATE, transport()))
        tail = attribute(A.REQUESTED_TRANSPORT, b"\x01\0\0\0")
        struct.pack_into(">H", signed, 2, len(signed) - 20 + len(tail))
        check("what stands behind the integrity is ignored", client.exchange(bytes(signed) + tail).code == 0)
        with relay.client(name="bob") as other:
            other.take_challenge(other.ask_once(REFRESH))
            client.user, client.credential = other.user, other.credential
        check("another user is 441", client.ask(REFRESH, lifetime(600)).code == 441)
    with relay.client() as client:
        codes = client.refresh(600).code, client.permit(("198.41.0.4", 53)).code, client.bind_channel(0x4000, ("198.41.0.4", 53)).code
        check("no allocation is 437", codes == (437, 437, 437), codes)


PARTS = {
    "basics": basics, "several": several, "reservations": reservations, "families": two_families, "mobility": mobility,
    "old-path": the_old_path, "moving": moving_under_traffic, "algorithms": algorithms, "icmp": network_errors, "fragments": fragments,
    "refusals": refusals,
}


def main():
    parser = lib_relay.arguments(__doc__)
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args()
    with lib_relay.relay(options, lib_relay.both_families) as relay:
        for name in options.only or PARTS:
            try:
                PARTS[name](relay)
            except Exception as error:  # one part that does not end well leaves the others to be judged
                check(f"{name}: ends", False, repr(error))
    finish()


main()
