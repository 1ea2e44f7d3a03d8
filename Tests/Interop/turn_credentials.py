#!/usr/bin/env python3
"""Who may use the relay: secrets that change, users of a file with both password algorithms and hashed names, realms of tenants
by the name that is asked for in TLS, access tokens by coturn's client, and limits of bandwidth.

usage: turn_credentials.py [--dev var/dev.json] [--edge N]

Needs turnutils_uclient (coturn) on this host. Exits non-zero if anything is not right.
"""
import base64
import re
import ssl
import subprocess
import time

import lib_relay
from lib_checks import check, finish
from lib_turn import ALLOCATE, A, Client, Stream, attribute, peer_socket, rest_credential, transport

# What coturn's client seals its tokens for, with the keys that it has by heart.
SERVER_NAME = "crinna.org"
LIMIT = 200_000


def write(edge, name, text):
    """A file that only we can read, beside the edge's configuration."""
    path = edge.config.with_name(name)
    path.write_text(text)
    path.chmod(0o600)
    return path


def settings(edge):
    keys = ""
    for name, (key, size) in lib_relay.OAUTH_KEYS.items():
        path = write(edge, f"{name}.key", base64.b64encode(base64.b64decode(key)[:size]).decode())
        keys += f"\n      - {{id: {name}, file: {path}}}"
    return {
        "further_secret_files": f"[{write(edge, 'further.secret', 'another secret of the relay')}]",
        "users_file": write(edge, "users", "bob:p\u00e4ss word\nacme/carol:secret\n"),
        "access_tokens": f"\n    server_name: {SERVER_NAME}\n    keys:{keys}",
        "realms": f"\n    - name: acme.example\n      tenant: acme\n      secret_files: [{write(edge, 'acme.secret', 'the secret of acme')}]"
                  f"\n      users_file: {write(edge, 'acme.users', 'dave:secret')}\n      server_names: [turn.acme.example]",
        "max_bytes_per_second_per_tenant": LIMIT,
    }


def secrets(edge):
    user = f"{int(time.time()) + 600}:default:alice"
    for name, secret, code in (("the", edge.secret, 0), ("a further", "another secret of the relay", 0), ("no", "a third secret of nobody", 401)):
        with Client(edge.link(), user, rest_credential(secret, user)) as client:
            check(f"{name} secret", client.allocate().code == code)


def users(edge):
    for name, password in (("bob", "p\u00e4ss word"), ("acme/carol", "secret")):
        for algorithm in (None, 1, 2):
            for integrity in (A.MESSAGE_INTEGRITY, A.MESSAGE_INTEGRITY_SHA256):
                for hashed in (False, True):
                    with Client(edge.link(), name, password, algorithm=algorithm, integrity=integrity, userhash=hashed) as client:
                        answers = [client.allocate(), client.refresh(600), client.refresh(0)]
                        check(f"{name}, algorithm {algorithm}, {integrity.name}, hashed: {hashed}",
                              all(one.code == 0 and one.has_good_integrity(client.key) and one.get(integrity) for one in answers), answers)
    with Client(edge.link(), "bob", "guess") as client:
        check("a wrong password", client.allocate().code == 401)
    with Client(edge.link(), "bob", "p\u00e4ss word") as client:
        challenge = client.ask_once(ALLOCATE, transport())
        check("a challenge of at most 128 bytes", len(challenge.data) <= 128, len(challenge.data))
        check("it says for whom tokens are", challenge.get(A.THIRD_PARTY_AUTHORIZATION) == SERVER_NAME.encode(), challenge)
        # Somebody on the way has taken the stronger algorithm.
        client.take_challenge(challenge)
        client.algorithm, client.algorithms = 1, client.algorithms[4:]
        check("another list of algorithms than was given", client.ask_once(ALLOCATE, transport()).code == 400)
        client.algorithm, client.nonce = None, client.nonce.replace(b"obMatJos2w", b"obMatJos2A")
        check("another nonce than was given", client.ask_once(ALLOCATE, transport()).code == 438)


def realms(edge):
    context = ssl.create_default_context(cafile=edge.ca)
    context.check_hostname = False
    for server_name, realm, dave, bob in (("turn.acme.example", b"acme.example", 0, 401), ("localhost", b"skerry", 401, 0)):
        for user, password, code in (("dave", "secret", dave), ("bob", "p\u00e4ss word", bob)):
            link = Stream((edge.host, edge.tls_port), context=context, server_name=server_name)
            with Client(link, user, password) as client:
                answer = client.allocate()
                check(f"{user} asks {server_name}", (answer.code, client.realm) == (code, realm), (answer, client.realm))


def tokens(edge):
    for options in ("-y -c", "-t -y -c"):
        command = ["turnutils_uclient", "-J", *options.split(), "-m", "2", "-n", "40", "-l", "172", "-z", "10", "-p", str(edge.port), edge.host]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60)
        counts = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", done.stdout)
        check(f"access tokens, {options}", done.returncode == 0 and counts and counts[-1] == ("80", "80"), done.stdout[-2000:])


def bandwidth(edge):
    with edge.client() as client, peer_socket() as peer:
        client.allocate()
        client.bind_channel(0x4000, peer.getsockname())
        peer.setsockopt(lib_relay.socket.SOL_SOCKET, lib_relay.socket.SO_RCVBUF, 4 << 20)
        begin = time.monotonic()
        while time.monotonic() < begin + 2:
            for _ in range(10):
                client.send_channel(0x4000, bytes(1000))
            time.sleep(0.005)
        took = time.monotonic() - begin
        check("requests are answered all the same", client.refresh(600).code == 0)
        peer.settimeout(0.2)
        heard = 0
        try:
            while True:
                heard += len(peer.recv(2000))
        except TimeoutError:
            pass
        # A second's bytes may stand in the bucket.
        check("what is over the bandwidth is dropped", LIMIT * took * 0.8 <= heard <= LIMIT * (took + 1.1), (heard, took))
        check("and counted", edge.metric("skerry_relay_drops_total", reason="over_bandwidth") > 0)


def main():
    options = lib_relay.arguments(__doc__).parse_args()
    with lib_relay.Edge(options.dev, options.edge, settings) as edge:
        secrets(edge)
        users(edge)
        realms(edge)
        tokens(edge)
        bandwidth(edge)
    finish()


if __name__ == "__main__":
    main()
