#!/usr/bin/env python3
"""coturn's client in all its modes, all at once: every transport, channels and indications, IPv6, pairs of ports, RFC 6062,
mobility, two families, OAuth, and requests that are meant to be refused. Nothing may be lost.

usage: turn_uclient.py [--dev var/dev.json] [--edge N] [--mode NAME]…
       turn_uclient.py --coturn [--mode NAME]…      against coturn's own server
       turn_uclient.py --server HOST:PORT --user USERNAME --credential CREDENTIAL [--mode NAME]…

Needs turnutils_uclient and turnutils_peer (coturn) on this host. Clients of coturn before 4.16 choose channel numbers of
RFC 5766: the relay needs allow_rfc5766_channel_numbers. Exits non-zero if anything is not right.
"""
import concurrent.futures
import contextlib
import re
import socket
import subprocess
import time

import lib_relay
from lib_checks import check, finish

CLIENTS, MESSAGES, BYTES = 4, 40, 172
TIMEOUT_S = 40
# Of a client that destroys its own requests and then waits for their answers for ever.
BROKEN_S = 4

# What each has as options; those of TLS and DTLS go to the port for them. Between two clients (-y) unless a peer is named.
MODES = {
    "udp channels": "-y -c",
    "udp indications": "-y -c -s",
    "udp pairs of ports": "-y",
    "udp pairs of ports, indications": "-y -s",
    "udp padded channels": "-y -c -D",
    "udp extra requests": "-y -c -G",
    "udp IPv4 asked for": "-y -c -X",
    "udp peer": "-c PEER",
    "udp peer, indications, DONT-FRAGMENT": "-c -s -g PEER",
    "tcp channels": "-t -y -c",
    "tcp indications": "-t -y -c -s",
    "tcp pairs of ports": "-t -y",
    "tcp peer": "-t -c PEER",
    "tls channels": "-S -t -y -c",
    "tls peer": "-S -t -c PEER",
    "dtls channels": "-S -y -c",
    "dtls indications": "-S -y -c -s",
    "dtls peer": "-S -c PEER",
    "IPv6 relay": "-x -y -c",
    "IPv6 relay, over tcp": "-x -t -y -c",
    "IPv6 clients": "-x -y -c IPV6",
    "IPv6 clients, over dtls": "-S -x -y -c IPV6",
    "two families": "-Z -y",
    "two families, the sixth used": "-Z -x -y",
    "RFC 6062": "-T",
    "RFC 6062 over tls": "-S -T",
    "RFC 6062, the peer connects": "-P",
    "mobility udp": "-M -y -c",
    "mobility tcp": "-M -t -y -c",
    "mobility tls": "-M -S -t -c PEER",
    "mobility dtls": "-M -S -c PEER",
    "OAuth udp": "-J -y -c",
    "OAuth tcp": "-J -t -y -c -s",
    "negative": "-N -y -c",
    "negative, RFC 6062": "-N -T",
    "broken requests udp": "-R -y -c",
    "broken requests tcp": "-R -t -y -c",
    "broken requests tls": "-R -S -t -y -c",
    "broken requests dtls": "-R -S -y -c",
    "gone without a word": "-B -y -c",
    "gone at once": "-O -y -c",
}
# With these it is the relay that is judged, not what becomes of the client.
UNJUDGED = ("broken requests", "gone ", "negative, RFC 6062")
# A peer that connects to the relayed address itself counts nothing of what it receives.
HALF = ("the peer connects",)
# With these it frees a connection twice, for one allocation in four: one good try of so many is enough.
DOUBLE_FREES = ("mobility tls", "mobility dtls")
TRIES = 10


def settings(edge):
    return lib_relay.both_families(edge) | lib_relay.access_tokens(edge)


def run(name, relay, peer_port):
    """Whether the client is content, and what it said."""
    if name not in DOUBLE_FREES:
        return attempt(name, relay, peer_port, CLIENTS)
    with concurrent.futures.ThreadPoolExecutor(TRIES) as pool:
        tries = list(pool.map(lambda _: attempt(name, relay, peer_port, 1), range(TRIES)))
    return any(good for good, _ in tries), tries[0][1]


def attempt(name, relay, peer_port, clients):
    options = MODES[name].split()
    host = relay.host
    if "IPV6" in options:
        host = relay.host6
    port = relay.tls_port if "-S" in options else relay.port
    options = [one for one in options if one not in ("IPV6", "PEER")]
    if "PEER" in MODES[name]:
        options += ["-e", relay.host, "-r", str(peer_port)]
    user, credential = relay.login(re.sub(r"\W+", "-", name))
    # The client takes one record of TLS for one message: with pauses it is one.
    messages, pause = (MESSAGES // 2, 20) if "tls" in name else (MESSAGES, 10)
    command = ["turnutils_uclient", *options, "-m", str(clients), "-n", str(messages), "-l", str(BYTES), "-z", str(pause),
               "-u", user, "-w", credential, "-p", str(port), host]
    unjudged = name.startswith(UNJUDGED)
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=BROKEN_S if unjudged else TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        return unjudged, f"{' '.join(command)}: not done in time\n{(error.stdout or b'').decode(errors='replace')[-2000:]}"
    counts = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", done.stdout)
    sent = clients * messages
    received = sent // 2 if any(one in name for one in HALF) else sent
    good = unjudged or done.returncode == 0 and bool(counts) and counts[-1] == (str(sent), str(received))
    return good, f"{' '.join(command)}: status {done.returncode}, wanted {sent} and {received}\n{done.stdout[-3000:]}"


@contextlib.contextmanager
def peer():
    """A peer of coturn's own that sends everything back, at a port and the next."""
    port = lib_relay.free_port()
    process = subprocess.Popen(["turnutils_peer", "-L", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for one in (port, port + 1):
            wait_for_echo(one)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_for_echo(port):
    deadline = time.monotonic() + 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                probe.sendto(b"ready?", ("127.0.0.1", port))
                if probe.recv(100):
                    return
    raise SystemExit(f"turnutils_peer does not answer on port {port}")


def main():
    parser = lib_relay.arguments(__doc__)
    parser.add_argument("--mode", action="append", choices=MODES, metavar="NAME")
    options = parser.parse_args()
    modes = options.mode or list(MODES)
    with lib_relay.relay(options, settings) as relay, peer() as port:
        with concurrent.futures.ThreadPoolExecutor(len(modes)) as pool:
            # One after another they would take minutes, nearly all of it pauses of the client's.
            results = pool.map(lambda name: run(name, relay, port), modes)
            for name, (good, detail) in zip(modes, results):
                check(name, good, detail)
        check("the relay goes on", relay.answers())
    finish()


main()
