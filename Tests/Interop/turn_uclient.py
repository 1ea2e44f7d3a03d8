#!/usr/bin/env python3
"""Relaying by coturn's client: by channels and by Send indications, between allocations and to a peer; nothing may be lost.

usage: turn_uclient.py [--dev var/dev.json] [--edge N] [--mode channel|send|peer]…
       turn_uclient.py --server HOST:PORT --user USERNAME --credential CREDENTIAL [--mode …]

Needs turnutils_uclient and turnutils_peer (coturn) on this host, and a relay that allows loopback peers. Clients of coturn
before 4.16 choose channel numbers of RFC 5766: the relay needs allow_rfc5766_channel_numbers for the modes channel and
peer. Exits non-zero if anything is not right.
"""
import argparse
import re
import socket
import subprocess
import time

from lib_checks import check, finish, relay_login

CLIENTS, MESSAGES, BYTES = 4, 200, 172


def uclient(options, relay):
    host, port, user, credential = relay
    command = ["turnutils_uclient", *options, "-c", "-m", str(CLIENTS), "-n", str(MESSAGES), "-l", str(BYTES), "-z", "5",
               "-u", user, "-w", credential, "-p", str(port), host]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def judge(name, result):
    status, output = result
    counts = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", output)
    total = CLIENTS * MESSAGES
    check(name + ": the client ends well", status == 0, output)
    check(name + f": {total} messages sent and received", bool(counts) and counts[-1] == (str(total), str(total)), output)
    check(name + ": nothing lost", "Total lost packets 0 (0.000000%)" in output, output)


def with_peer(relay):
    """Two peers of coturn's own, outside the relay, that send everything back."""
    ports = []
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    peers = [subprocess.Popen(["turnutils_peer", "-L", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for port in ports]
    try:
        for port in ports:
            wait_for_echo(port)
        return uclient(["-e", "127.0.0.1", "-r", str(ports[0])], relay)
    finally:
        for peer in peers:
            peer.kill()
            peer.wait()


def wait_for_echo(port):
    deadline = time.monotonic() + 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                probe.sendto(b"ready?", ("127.0.0.1", port))
                if probe.recv(100):
                    return
            except OSError:
                pass
    raise SystemExit(f"turnutils_peer does not answer on port {port}")


MODES = {
    "channel": lambda relay: uclient(["-y"], relay),
    "send": lambda relay: uclient(["-y", "-s"], relay),
    "peer": with_peer,
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--dev", default="var/dev.json")
parser.add_argument("--edge", type=int, default=0)
parser.add_argument("--server")
parser.add_argument("--user")
parser.add_argument("--credential")
parser.add_argument("--mode", action="append", choices=MODES)
arguments = parser.parse_args()
relay = relay_login(arguments)
for mode in arguments.mode or MODES:
    judge(mode, MODES[mode](relay))
finish()
