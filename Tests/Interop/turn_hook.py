#!/usr/bin/env python3
"""Users whom the operator's server knows: what it is asked, and what its answers do; and credentials that are taken back.

usage: turn_hook.py [--dev var/dev.json] [--edge N]

Begins the edge again with settings of its own. Exits non-zero if anything is not right.
"""
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import subprocess
import threading
import time

import lib_relay
from lib_checks import check, finish

HOOK_SECRET = "between the relay and its operator"


class Backend(http.server.ThreadingHTTPServer):
    """The operator's server: knows one user, notes who asks, and can be told to fail."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.asked, self.wrong, self.failure = [], [], None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            backend = self.server
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fields = dict(part.split("=", 1) for part in self.headers["Skerry-Signature"].split(","))
            code = hmac.new(HOOK_SECRET.encode(), fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
            if code != fields["v1"] or abs(int(fields["t"]) - time.time()) > 60:
                backend.wrong.append(self.headers["Skerry-Signature"])
            question = json.loads(body)
            backend.asked.append((self.path, question["username"], question["realm"]))
            if backend.failure:
                self.send_response(backend.failure)
                if backend.failure == 307:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            known = question["username"] == "dora@example.net"
            answer = json.dumps({"tenant": "acme", "user": "dora", "password": "pass of dora", "ttl_s": 600}).encode() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)


def settings(folder, backend):
    def write(name, text):
        path = folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    users = write("relay.users", "carl:a long pass phrase\n")
    hook = write("hook.secret", HOOK_SECRET + "\n")
    return {
        "users_file": f'"{users}"',
        "authorization_hook": f'\n    url: http://127.0.0.1:{backend.server_address[1]}/authorize\n    secret_file: "{hook}"\n'
                              "    allowed_networks: [127.0.0.0/8]\n    timeout_ms: 1000",
    }


def allocated(client):
    """The error code of an Allocate, 0 for success; what was made is deleted."""
    code = client.allocate().code
    if code == 0:
        client.refresh(0)
    client.link.close()
    return code


def check_hook(edge, backend):
    dora = ("dora@example.net", "pass of dora")
    check("a user whom the operator's server knows", allocated(edge.client(login=dora)) == 0)
    check("over TCP too, where nothing is sent again", allocated(edge.client("tcp", login=dora)) == 0)
    for _ in range(8):
        allocated(edge.client(login=dora))
    asked = [one for one in backend.asked if one == ("/authorize", "dora@example.net", "skerry")]
    # Each event loop asks for itself.
    check("it is asked once for many", 1 <= len(asked) <= (os.cpu_count() or 1), backend.asked)
    check("every question is signed, with the time", not backend.wrong, backend.wrong)
    check("a wrong password is refused", allocated(edge.client(login=("dora@example.net", "pass of nora"))) == 401)
    check("who is unknown there is unknown", allocated(edge.client(login=("fritz", "x"))) == 401)
    backend.asked.clear()
    for failure in (500, 307, 401):
        backend.failure = failure
        check(f"a server that answers {failure} is no answer", allocated(edge.client(login=(f"user{failure}", "x"))) == 500)
    check("redirections are not followed", all(path == "/authorize" for path, *_ in backend.asked), backend.asked)
    check("users of the file need nobody", allocated(edge.client(login=("carl", "a long pass phrase"))) == 0)
    backend.failure = None


def check_revocation(edge, operator):
    def kick(*words):
        result = subprocess.run(
            [lib_relay.BUILD / "edgectl", "relay", "kick", *words, "--json", "--socket", operator], capture_output=True, text=True,
            timeout=30)
        return json.loads(result.stdout) if result.returncode == 0 else result.stderr

    login, other = edge.login("gerd"), edge.login("hugo")
    client, kept = edge.client(login=login), edge.client(login=other)
    check("two users have allocations", client.allocate().code == 0 and kept.allocate().code == 0)
    check("one is revoked", kick("--user", "gerd", "--revoke") == {"ended": 1})
    check("the allocation is gone", client.refresh(600).code in (401, 437))
    check("the credentials do not count any more", allocated(edge.client(login=login)) == 401)
    check("the other's go on", kept.refresh(600).code == 0)
    check("those made later count", allocated(edge.client(login=edge.login("gerd", lifetime=3660))) == 0)


def main():
    options = lib_relay.arguments(__doc__).parse_args()
    folder = pathlib.Path(options.dev).resolve().parent / "hook"
    folder.mkdir(exist_ok=True)
    backend = Backend()
    with lib_relay.Edge(options.dev, options.edge, settings(folder, backend)) as edge:
        check_hook(edge, backend)
        check_revocation(edge, edge.edge["socket"])
    finish()


main()
