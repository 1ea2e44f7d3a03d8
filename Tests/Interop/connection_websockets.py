#!/usr/bin/env python3
"""Python's websockets library speaks Docs/protocol/connection.md with a running development start.

    connection_websockets.py [--dev var/dev.json]

Messages (also to a device that is away, and over two edges), resumption, replacement, refused handshakes, statuses with their
expiry, call frames, a central that is killed and an edge that is drained. With at least two edges. The binaries to start
again lie in $SKERRY_BUILD (.build/release). Prints what it checked; the last line is "N passed, N failed".
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import websockets
from websockets.asyncio.client import connect

from lib_checks import check, finish

TIMEOUT_S = 10
BUILD = pathlib.Path(os.environ.get("SKERRY_BUILD") or pathlib.Path(__file__).resolve().parents[2] / ".build" / "release")


class Device:
    """One WebSocket of a device; frames that nobody has asked for yet are kept."""

    def __init__(self, socket):
        self.socket = socket
        self.kept = []
        self.welcome = None
        self.sequence = 0

    @staticmethod
    async def open(edge, token, resume=None, ticket=None, hello=True):
        url = edge["http"].replace("http", "ws", 1) + "/connect" + (f"?ticket={ticket}" if ticket else "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        socket = await connect(
            url, subprotocols=["skerry.v1.json"], additional_headers=headers, open_timeout=TIMEOUT_S, max_size=8 << 20)
        device = Device(socket)
        if hello:
            await device.say("hello", client="interop/1", **({"resume": resume} if resume else {}))
            device.welcome = await device.expect("welcome")
        return device

    async def say(self, type, **fields):
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def next(self):
        frame = json.loads(await asyncio.wait_for(self.socket.recv(), TIMEOUT_S))
        if frame["type"] == "deliver" and int(frame["seq"]) > 0:
            self.sequence = max(self.sequence, int(frame["seq"]))
        return frame

    async def expect(self, type, matches=lambda frame: True, within=TIMEOUT_S):
        """The first frame of a type, of those kept and those to come."""
        for index, frame in enumerate(self.kept):
            if frame["type"] == type and matches(frame):
                return self.kept.pop(index)
        async with asyncio.timeout(within):
            while True:
                frame = await self.next()
                if frame["type"] == type and matches(frame):
                    return frame
                self.kept.append(frame)

    async def send(self, to, payload, class_="message", id=None, **fields):
        id = id or str(uuid.uuid4())
        await self.say("send", id=id, to=to, **{"class": class_}, payload=encode(payload), **fields)
        return id

    async def quiet(self, type, seconds):
        """Whether no frame of a type comes for a while."""
        with contextlib.suppress(TimeoutError):
            await self.expect(type, within=seconds)
            return False
        return True

    @property
    def resume(self):
        return {"token": self.welcome["resume_token"], "seq": str(self.sequence)}

    async def ack(self):
        await self.say("ack", seq=self.sequence)

    async def close(self):
        await self.socket.close()

    async def close_code(self):
        async with asyncio.timeout(TIMEOUT_S):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code


def encode(payload):
    return base64.b64encode(payload if isinstance(payload, bytes) else payload.encode()).decode()


def decode(frame):
    return base64.b64decode(frame["payload"]).decode()


def http(edge, method, path, token=None):
    request = urllib.request.Request(edge["http"] + path, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read() or b"{}")


async def handshakes(dev):
    edge, token = dev["edges"][0], dev["tokens"]["alice"]
    for name, bad in [("without a token", None), ("with a bad token", token[:-6] + "AAAAAA")]:
        try:
            await Device.open(edge, bad, hello=False)
            check(f"a handshake {name} is refused", False)
        except websockets.InvalidStatus as refusal:
            body = json.loads(refusal.response.body)
            check(f"a handshake {name} is refused with 401", refusal.response.status_code == 401, body)
            check("… as problem details", body.get("status") == 401 and "detail" in body, body)
    status, _, answer = http(edge, "POST", "/connect/tickets", token)
    check("a ticket is issued", status == 200 and answer.get("expires_in_s") == 30, answer)
    device = await Device.open(edge, None, ticket=answer["ticket"])
    check("a ticket opens a connection", device.welcome["device"] == "alice/phone", device.welcome)
    await device.close()
    try:
        await Device.open(edge, None, ticket=answer["ticket"])
        check("a ticket opens one connection only", False)
    except websockets.InvalidStatus as refusal:
        check("a ticket opens one connection only", refusal.response.status_code == 401)
    device = await Device.open(edge, token, hello=False)
    await device.say("ack", seq=1)
    check("another frame before hello closes with 4400", await device.close_code() == 4400)
    device = await Device.open(edge, token)
    await device.socket.send("not json")
    check("what is no JSON closes with 4400", await device.close_code() == 4400)
    device = await Device.open(edge, token)
    await device.say("nonsense", id=str(uuid.uuid4()))
    error = await device.expect("error")
    check("an unknown type is answered with the allowed ones", "status.post" in error["message"], error)
    await device.close()
    status, _, answer = http(edge, "GET", "/calls/ice-servers", token)
    servers = answer.get("iceServers", [{}])[0]
    check(
        "the relay's credentials are handed out",
        status == 200 and any(url.startswith("turn:") for url in servers.get("urls", []))
        and servers.get("username", "").endswith(":default:alice") and servers.get("credential"), answer)


async def messages(dev):
    """Two people at two edges."""
    alice = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    bob = await Device.open(dev["edges"][1], dev["tokens"]["bob"])
    welcome = alice.welcome
    check(
        "welcome has its fields",
        isinstance(welcome["resume_token"], str) and isinstance(welcome["resumed"], bool) and welcome["credit"] > 0
        and abs(int(welcome["server_time_ms"]) / 1000 - time.time()) < 5, welcome)
    await bob.expect("drained")

    id = await alice.send("bob", "hello bob")
    accepted = await alice.expect("accepted", lambda frame: frame["id"] == id)
    deliver = await bob.expect("deliver", lambda frame: frame["id"] == id)
    check("a message arrives at the other edge", decode(deliver) == "hello bob", deliver)
    check(
        "… with its fields",
        deliver["from"] == "alice/phone" and deliver["to"] == "bob" and deliver["class"] == "message"
        and deliver["time_ms"] == accepted["time_ms"] and isinstance(deliver["seq"], str), deliver)
    await alice.send("bob", "hello bob", id=id)
    again = await alice.expect("accepted", lambda frame: frame["id"] == id)
    check("an id that is repeated gets the same answer", again["time_ms"] == accepted["time_ms"], again)
    id = await alice.send("bob/phone", "marker")
    frames = [await bob.expect("deliver")]
    check("… and is not delivered twice", frames[0]["id"] == id, frames)

    sent = [await alice.send("bob", f"number {index}") for index in range(300)]
    received = []
    for _ in sent:
        received.append(await bob.expect("deliver"))
        if len(received) % 10 == 0:
            await bob.ack()
    check("300 messages arrive in their order", [frame["id"] for frame in received] == sent)
    sequences = [int(frame["seq"]) for frame in received]
    check("… numbered without holes", sequences == list(range(sequences[0], sequences[0] + 300)), sequences[:5])
    for id in sent:
        await alice.expect("accepted", lambda frame: frame["id"] == id)
    await bob.ack()

    await bob.send("alice", "typing", class_="ephemeral")
    ephemeral = await alice.expect("deliver", lambda frame: frame["class"] == "ephemeral")
    check("an ephemeral message arrives", decode(ephemeral) == "typing", ephemeral)
    await alice.say("send", id=str(uuid.uuid4()), to="group:" + str(uuid.uuid4()), **{"class": "message"}, payload="AA==")
    error = await alice.expect("error")
    check("what cannot be done is answered by an error", error["code"] and error["message"], error)
    await alice.say("send", id=str(uuid.uuid4()), to="bob", **{"class": "message"}, payload=encode(bytes(256 * 1024)))
    deliver = await bob.expect("deliver")
    check("a payload of 256 KiB passes", len(base64.b64decode(deliver["payload"])) == 256 * 1024)
    await bob.ack()
    await alice.close()
    await bob.close()


async def away(dev):
    """A device that is away finds its mail, at whichever edge it comes back."""
    alice = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    sent = []
    for index in range(20):
        sent.append(await alice.send("bob", f"while away {index}"))
        await alice.expect("accepted", lambda frame: frame["id"] == sent[-1])
    bob = await Device.open(dev["edges"][0], dev["tokens"]["bob"])
    received = [await bob.expect("deliver") for _ in sent]
    check("a device that was away gets its mail in order", [frame["id"] for frame in received] == sent)
    check("… then drained", (await bob.expect("drained"))["type"] == "drained")
    # Half of it acknowledged, then away again, without closing.
    await bob.say("ack", seq=received[9]["seq"])
    await asyncio.sleep(0.3)
    bob.socket.transport.abort()

    more = [await alice.send("bob", f"meanwhile {index}") for index in range(5)]
    for id in more:
        await alice.expect("accepted", lambda frame: frame["id"] == id)
    resumed = await Device.open(dev["edges"][1], dev["tokens"]["bob"], resume=bob.resume)
    check("a session is resumed at the other edge", resumed.welcome["resumed"] is True, resumed.welcome)
    received = [await resumed.expect("deliver") for _ in more]
    check("… goes on after the last that was received", [frame["id"] for frame in received] == more, received)
    await resumed.expect("drained")
    resumed.socket.transport.abort()

    fresh = await Device.open(dev["edges"][0], dev["tokens"]["bob"])
    expected = sent[10:] + more
    received = [await fresh.expect("deliver") for _ in expected]
    check(
        "a client without resume point gets all that it has not acknowledged", [frame["id"] for frame in received] == expected,
        [decode(frame) for frame in received])
    await fresh.expect("drained")
    await fresh.ack()
    await asyncio.sleep(0.3)
    await fresh.close()
    empty = await Device.open(dev["edges"][1], dev["tokens"]["bob"])
    check("what was acknowledged is gone", (await empty.next())["type"] == "drained")
    await empty.close()
    await alice.close()


async def replacement(dev):
    older = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    newer = await Device.open(dev["edges"][1], dev["tokens"]["alice"])
    check("the same device again closes the older connection with 4409", await older.close_code() == 4409)
    await newer.say("refresh", token=dev["tokens"]["alice"])
    check("a refreshed token is welcomed", (await newer.expect("welcome"))["device"] == "alice/phone")
    await newer.say("refresh", token=dev["tokens"]["bob"])
    check("another device's token is not", (await newer.expect("error"))["code"] == "forbidden")
    await newer.close()


async def statuses(dev):
    alice = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    bob = await Device.open(dev["edges"][1], dev["tokens"]["bob"])
    carol = await Device.open(dev["edges"][0], dev["tokens"]["carol"])
    brief = str(uuid.uuid4())
    await alice.say("status.post", id=brief, audience=["bob"], payload=encode("brief"), expires_in_ms=1500)
    accepted = await alice.expect("accepted", lambda frame: frame["id"] == brief)
    expires = int(accepted["expires_at_ms"])
    check("a status expires when it was asked to", expires - int(accepted["time_ms"]) == 1500, accepted)
    new = await bob.expect("status.new", lambda frame: frame["status"] == brief)
    check("its audience hears of it", new["user"] == "alice" and decode(new) == "brief", new)

    lasting = str(uuid.uuid4())
    await alice.say("status.post", id=lasting, audience=["bob"], payload=encode("lasting"))
    accepted = await alice.expect("accepted", lambda frame: frame["id"] == lasting)
    check("24 hours are the default", int(accepted["expires_at_ms"]) - int(accepted["time_ms"]) == 86_400_000, accepted)

    async def list(device):
        id = str(uuid.uuid4())
        await device.say("status.list", id=id, user="alice")
        items = (await device.expect("status.items", lambda frame: frame["id"] == id))["items"]
        return {item["status"] for item in items}

    check("its audience can list it", {brief, lasting} <= await list(bob))
    check("others cannot", not {brief, lasting} & await list(carol))
    gone = await bob.expect("status.gone", lambda frame: frame["status"] == brief)
    late = time.time() * 1000 - expires
    check("a status is gone at its millisecond", gone["user"] == "alice" and -5 <= late <= 100, f"{late:.0f} ms late")
    listed = await list(bob)
    check("… and from the list", brief not in listed and lasting in listed)
    id = str(uuid.uuid4())
    await alice.say("status.delete", id=id, status=lasting)
    await alice.expect("accepted", lambda frame: frame["id"] == id)
    await bob.expect("status.gone", lambda frame: frame["status"] == lasting)
    check("a deleted status is gone at once", lasting not in await list(bob))
    check("who was not in the audience heard nothing", not [f for f in carol.kept if f["type"].startswith("status.")])
    for device in (alice, bob, carol):
        await device.close()


async def calls(dev):
    alice = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    bob = await Device.open(dev["edges"][1], dev["tokens"]["bob"])
    call = str(uuid.uuid4())

    async def signal(caller, callee, to, event, data):
        id = str(uuid.uuid4())
        await caller.say("call", id=id, call=call, event=event, to=to, data=encode(data))
        await caller.expect("accepted", lambda frame: frame["id"] == id)
        return await callee.expect("call", lambda frame: frame["call"] == call and frame["event"] == event)

    offer = await signal(alice, bob, "bob", "offer", "v=0 offer")
    check(
        "an offer rings", offer["from"] == "alice/phone" and base64.b64decode(offer["data"]) == b"v=0 offer", offer)
    ringing = await signal(bob, alice, "alice/phone", "ringing", "")
    check("the caller hears that it rings", ringing["from"] == "bob/phone", ringing)
    answer = await signal(bob, alice, "alice/phone", "answer", "v=0 answer")
    check("the answer comes back", base64.b64decode(answer["data"]) == b"v=0 answer", answer)
    await signal(alice, bob, "bob/phone", "candidates", "candidate:1")
    await signal(bob, alice, "alice/phone", "candidates", "candidate:2")
    check("candidates pass both ways", True)
    hangup = await signal(alice, bob, "bob/phone", "hangup", "")
    check("so does the hangup", hangup["from"] == "alice/phone", hangup)
    await alice.close()
    await bob.close()


def start(program, config):
    """Starts a process of the development start again; whoever made that start ends it."""
    subprocess.Popen(
        [BUILD / program, "--config", config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True)


def is_ready(admin):
    with contextlib.suppress(OSError), urllib.request.urlopen(admin + "/readyz", timeout=2) as answer:
        return answer.status == 200
    return False


async def until(condition, within=20):
    async with asyncio.timeout(within):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


async def restarts(dev):
    """The central is killed, then an edge is drained."""
    alice = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    bob = await Device.open(dev["edges"][1], dev["tokens"]["bob"])
    await bob.expect("drained")
    before = await alice.send("bob", "before")
    await alice.expect("accepted", lambda frame: frame["id"] == before)
    await bob.expect("deliver", lambda frame: frame["id"] == before)
    os.kill(dev["central"]["pid"], signal.SIGKILL)
    await until(lambda: not is_ready(dev["edges"][0]["admin"]) and not is_ready(dev["edges"][1]["admin"]))
    sent = [await alice.send("bob", f"without central {index}") for index in range(20)]
    check("a frame is not accepted while there is no central", await alice.quiet("accepted", 1))
    try:
        await Device.open(dev["edges"][0], dev["tokens"]["carol"])
        check("nobody can connect meanwhile", False)
    except websockets.InvalidStatus as refusal:
        response = refusal.response
        check(
            "nobody can connect meanwhile: 503 with Retry-After",
            response.status_code == 503 and response.headers.get("Retry-After"))
    start("edge-central", dev["config"]["central"])
    for id in sent:
        await alice.expect("accepted", lambda frame: frame["id"] == id, within=30)
    check("the connections stay, and what was sent is accepted when the central is back", True)
    await bob.ack()
    after = await alice.send("bob", "after")
    received = []
    while not received or received[-1]["id"] != after:
        received.append(await bob.expect("deliver"))
    check(
        "… and delivered once, in its order", [frame["id"] for frame in received] == sent + [after],
        [decode(frame) for frame in received])
    await bob.ack()

    os.kill(dev["edges"][0]["pid"], signal.SIGTERM)
    code, reason = await alice.close_code(), alice.socket.close_reason
    check("an edge that ends says when to come back", code == 1012 and reason.startswith("reconnect_after_ms="), (code, reason))
    elsewhere = await Device.open(dev["edges"][1], dev["tokens"]["alice"], resume=alice.resume)
    check("… meanwhile another edge resumes the session", elsewhere.welcome["resumed"] is True, elsewhere.welcome)
    await elsewhere.close()
    await bob.close()
    await until(lambda: not os.path.exists(f"/proc/{dev['edges'][0]['pid']}") or is_zombie(dev["edges"][0]["pid"]))
    start("edge-node", dev["config"]["edges"][0])
    await until(lambda: is_ready(dev["edges"][0]["admin"]))
    back = await Device.open(dev["edges"][0], dev["tokens"]["alice"])
    check("an edge that is back takes connections", back.welcome["device"] == "alice/phone")
    await back.close()


def is_zombie(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return True


async def drain_inboxes(dev):
    """What an earlier run left behind does not count."""
    for name in ("alice", "bob", "carol"):
        device = await Device.open(dev["edges"][0], dev["tokens"][name])
        while True:
            try:
                await device.expect("drained", within=2)
                break
            except TimeoutError:
                await device.ack()
        await device.ack()
        await asyncio.sleep(0.1)
        await device.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", default="var/dev.json")
    with open(parser.parse_args().dev) as file:
        dev = json.load(file)
    if len(dev["edges"]) < 2:
        sys.exit("two edges are needed: Scripts/run --edges 2")
    await drain_inboxes(dev)
    for part in (handshakes, messages, away, replacement, statuses, calls, restarts):
        try:
            await part(dev)
        except Exception as error:  # a part that breaks off has failed; the others go on
            check(f"{part.__name__} runs to its end", False, f"{type(error).__name__}: {error}")
    finish()


asyncio.run(main())
