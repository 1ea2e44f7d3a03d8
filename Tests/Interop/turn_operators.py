#!/usr/bin/env python3
"""What an operator sees and does: sessions, kicking, draining, metrics, the log of allocations, and what clients are told.

usage: turn_operators.py [--dev var/dev.json]

Takes edgectl from the folder SKERRY_BUILD. Exits non-zero if anything is not right.
"""
import argparse
import json
import os
import pathlib
import re
import stat
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import lib_relay
from lib_checks import check, finish, ice_servers
from lib_turn import Client, Datagrams, peer_socket



RULES = pathlib.Path(__file__).resolve().parents[2] / "edge-config" / "prometheus-rules.sample.yaml"


class Operator:
    """edgectl at one edge's control socket."""

    def __init__(self, edge):
        self.edge = edge

    def run(self, *words):
        command = [str(lib_relay.BUILD / "edgectl"), *words, "--socket", self.edge["socket"]]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return result.returncode, result.stdout + result.stderr

    def json(self, *words):
        status, text = self.run(*words, "--json")
        return json.loads(text) if status == 0 else {"error": text}

    def metric(self, name, **labels):
        """A metric's value as it stands; loops carry theirs once a second."""
        with urllib.request.urlopen(self.edge["admin"] + "/metrics", timeout=5) as answer:
            text = answer.read().decode()
        total = 0
        for line in text.splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name and all(f'{key}="{value}"' in (found[2] or "") for key, value in labels.items()):
                total += float(found[3])
        return total

    def await_metric(self, name, least, **labels):
        deadline = time.monotonic() + 10
        while (value := self.metric(name, **labels)) < least and time.monotonic() < deadline:
            time.sleep(0.05)
        return value

    def readiness(self):
        try:
            with urllib.request.urlopen(self.edge["admin"] + "/readyz", timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


def client(edge, server):
    host, port = edge["turn"].rsplit(":", 1)
    return Client(Datagrams((host, int(port))), server["username"], server["credential"])


def check_sessions(operator, edge, server):
    first, second = client(edge, server), client(edge, server)
    peer = peer_socket()
    for one in (first, second):
        one.allocate()
    first.permit(peer.getsockname())
    first.bind_channel(0x4000, peer.getsockname())
    first.send_channel(0x4000, b"x" * 172)
    check("a packet is relayed", peer.recv(2000) == b"x" * 172)

    listed = operator.json("relay", "sessions")
    sessions = {session["client"]: session for session in listed.get("sessions", [])}
    mine = sessions.get("%s:%d" % first.link.socket.getsockname()[:2], {})
    check("sessions are listed", listed.get("allocations") == 2 and len(sessions) == 2, listed)
    check(
        "with who, how and how much", mine.get("user") == "alice" and mine.get("tenant") == "default"
        and mine.get("transport") == "udp" and mine.get("bytes_to_peers") == 172 and mine.get("channels") == 1, mine)
    status, text = operator.run("relay", "sessions", "--limit", "1")
    check("as a table, as many as asked for", status == 0 and "1 of 2 allocations" in text and "default:alice" in text, text)
    check("of nobody else", operator.json("relay", "sessions", "--user", "bob").get("sessions") == [])

    check("one is kicked", operator.json("relay", "kick", "--session", mine.get("session", "")) == {"ended": 1})
    check("it is gone at once", first.permit(peer.getsockname()).code == 437)
    check("the other goes on", second.permit(peer.getsockname()).code == 0)
    status, text = operator.run("relay", "kick", "--session", mine.get("session", ""))
    check("there it is no more", status == 1 and "no session" in text, text)
    check("all of a user are kicked", operator.json("relay", "kick", "--user", "alice") == {"ended": 1})
    check("none is left", operator.json("relay", "sessions").get("sessions") == [])
    status, text = operator.run("relay", "kick")
    check("whom to kick has to be said", status == 2 and "--session" in text, text)


def check_urls(path, server):
    kinds = {("turn", "udp"): "udp", ("turn", "tcp"): "tcp", ("turns", "tcp"): "tls", ("turns", "udp"): "dtls"}
    relay = lib_relay.Edge(path)
    seen = []
    for url in server["urls"]:
        scheme, place, query = re.fullmatch(r"(\w+):([^?]+)(?:\?(.*))?", url).groups()
        if scheme == "stun":
            continue
        kind = kinds[scheme, dict(urllib.parse.parse_qsl(query))["transport"]]
        relay.host, port = place.rsplit(":", 1)
        relay.port = relay.tls_port = int(port)
        with relay.client(kind, login=(server["username"], server["credential"])) as one:
            check(f"{url} relays", one.allocate().code == 0 and one.refresh(0).code == 0)
        seen.append(kind)
    check("by every transport", sorted(seen) == sorted(kinds.values()), server["urls"])


def check_metrics(operator):
    check("packets are counted by transport",
          operator.await_metric("skerry_relay_packets_total", 1, direction="to_peer", transport="udp") >= 1)
    check("bytes too", operator.metric("skerry_relay_bytes_total", direction="to_peer", transport="udp") >= 172)
    check("errors by code", operator.await_metric("skerry_relay_errors_total", 1, code="401") >= 1)
    check("ends by reason", operator.await_metric("skerry_relay_allocations_closed_total", 2, reason="revoked") == 2)
    check("no allocation is left", operator.metric("skerry_relay_allocations") == 0)
    with urllib.request.urlopen(operator.edge["admin"] + "/metrics", timeout=5) as answer:
        known = set(re.findall(r'\w+="[^"]*"|^\w+', answer.read().decode(), re.MULTILINE))
    rules = RULES.read_text()
    # Without a hook there are no metrics of it.
    named = {name for name in re.findall(r"skerry_\w+", rules) if "authorization" not in name}
    named |= set(re.findall(r'(?:code|reason)="[^"]+"', rules))
    check("the sample of Prometheus' rules names what there is", len(named) >= 6 and named <= known, named - known)


def check_audit(dev_path, edge):
    log = dev_path.parent / "logs" / f"{edge['name']}.log"
    lines = [line for line in log.read_text().splitlines() if "relay-audit" in line]
    opened = [line for line in lines if "allocation opened" in line and "user=alice" in line]
    closed = [line for line in lines if "allocation closed" in line and "user=alice" in line]
    check("allocations are logged", len(opened) >= 2 and len(closed) >= 2, lines)
    check("their end with totals and reason", any("bytes_to_peers=172" in line and "reason=revoked" in line for line in closed), closed)


def check_drain(operator, edge, server):
    early, late = client(edge, server), client(edge, server)
    early.allocate()
    check("a drain begins", operator.json("drain") == {"draining": True, "allocations": 1})
    check("the node says that it is not ready", operator.readiness() == 503)
    check("nothing new is accepted", late.allocate().code in (300, 486, 508))
    peer = peer_socket()
    check("what is there goes on", early.permit(peer.getsockname()).code == 0)
    status, text = operator.run("drain", "--wait", "300ms")
    check("waiting has an end", status == 1 and "1 allocations are left" in text, text)
    check("the last one ends", early.refresh(0).code == 0)
    check("and the drain is over", operator.json("drain", "--wait", "5s") == {"draining": True, "allocations": 0})
    check("a drain is undone", operator.json("drain", "--undo") == {"draining": False, "allocations": 0})
    check("the node is ready again", operator.readiness() == 200)
    check("and accepts", client(edge, server).allocate().code == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", default="var/dev.json")
    path = pathlib.Path(parser.parse_args().dev).resolve()
    dev = json.loads(path.read_text())
    edge = dev["edges"][0]
    operator = Operator(edge)
    server = ice_servers(dev, edge)["iceServers"][0]
    mode = os.stat(edge["socket"]).st_mode
    check("the control socket is its user's alone", stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode))
    check_sessions(operator, edge, server)
    check_metrics(operator)
    check_audit(path, edge)
    check_urls(path, server)
    check_drain(operator, edge, server)
    finish()


main()
