#!/usr/bin/env python3
"""Node's ws, as client of the echo server: texts and binaries of 0 bytes to 1 MiB, fragments, pings, close codes, refusals.

    websocket_node.py [--dev IGNORED]

Needs node and the Debian package node-ws.
"""
import os
import subprocess
import sys

from lib_echo import echo_server

PROGRAM = r"""
"use strict";
const WebSocket = require("ws");
const { randomBytes } = require("crypto");
const url = process.argv[1];
let failed = 0, passed = 0;

function check(name, condition, detail) {
  if (condition) { passed += 1; console.log("ok    ", name); } else { failed += 1; console.log("FAILED", name, detail); }
}

function open(path = "/echo", protocols = [], options = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url + path, protocols, options);
    socket.once("open", () => resolve(socket));
    socket.once("unexpected-response", (request, response) => { request.destroy(); reject(response.statusCode); });
    socket.once("error", reject);
  });
}

const once = (socket, event) => new Promise(resolve => socket.once(event, (...values) => resolve(values)));

async function closing(socket, code, reason) {
  const closed = once(socket, "close");
  socket.close(code, reason);
  const [got, text] = await closed;
  return [got, text.toString()];
}

async function main() {
  for (const perMessageDeflate of [false, true]) {
    const socket = await open("/echo", [], { perMessageDeflate });
    check(`no extension is agreed to (deflate offered: ${perMessageDeflate})`, socket.extensions === "", socket.extensions);
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
      const bytes = randomBytes(size);
      let answer = once(socket, "message");
      socket.send(bytes);
      let [data, isBinary] = await answer;
      check(`a binary of ${size} bytes comes back`, isBinary && data.equals(bytes), data.length);
      const text = "äb€𝄞".repeat(Math.ceil(size / 10)).slice(0, Math.floor(size / 2) * 2);
      answer = once(socket, "message");
      socket.send(text);
      [data, isBinary] = await answer;
      check(`a text of ${text.length} units comes back`, !isBinary && data.toString() === text, data.length);
    }
    check("closing with 1000", (await closing(socket, 1000, "done")).join() === "1000,done");
  }
  {
    const socket = await open("/echo", ["one", "two"]);
    check("a subprotocol is agreed on", socket.protocol === "one", socket.protocol);
    const answer = once(socket, "message");
    const parts = ["frag", "men", "", "ted ä".repeat(10000), "!"];
    parts.forEach((part, index) => {
      socket.send(part, { fin: index === parts.length - 1, binary: false });
      if (index === 1) socket.ping("between");
    });
    const pong = once(socket, "pong");
    check("a text in fragments comes back whole", (await answer)[0].toString() === parts.join(""));
    check("a ping among them is answered", (await pong)[0].toString() === "between");
    const many = [];
    const all = new Promise(resolve => socket.on("message", data => { many.push(data.toString()); if (many.length === 5000) resolve(); }));
    for (let index = 0; index < 5000; index += 1) socket.send(`message ${index}`);
    await all;
    check("5000 texts come back in order", many.every((text, index) => text === `message ${index}`));
    check("closing with 4321 and a reason", (await closing(socket, 4321, "Grüße")).join() === "4321,Grüße");
  }
  {
    const socket = await open();
    const closed = once(socket, "close");
    socket.close();
    check("closing without a code", (await closed)[0] === 1005);
  }
  {
    const socket = await open("/echo?max=1000");
    const closed = once(socket, "close");
    socket.send("x".repeat(1001));
    check("a message above the limit: 4413", (await closed)[0] === 4413);
  }
  {
    const socket = await open();
    const closed = once(socket, "close");
    socket.send(Buffer.from([0x61, 0xff]), { binary: false });
    check("a text that is no UTF-8: 1007", (await closed)[0] === 1007);
  }
  for (const [path, status] of [["/nothing", 404], ["/bytes/3", 200]]) {
    const got = await open(path).then(() => "open", error => error);
    check(`no WebSocket at ${path}: ${status}`, got === status, got);
  }
  const sockets = await Promise.all(Array.from({ length: 100 }, () => open()));
  const answers = sockets.map(socket => once(socket, "message"));
  sockets.forEach((socket, index) => socket.send(`${index}`));
  const texts = (await Promise.all(answers)).map(([data]) => data.toString());
  check("a hundred at once", texts.every((text, index) => text === `${index}`));
  await Promise.all(sockets.map(socket => closing(socket, 1001, "")));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

setTimeout(() => { console.log("FAILED", "ended in 60 s"); process.exit(1); }, 60000).unref();
main().catch(error => { console.log("FAILED", "ran to its end", error); process.exit(1); });
"""

with echo_server() as port:
    result = subprocess.run(
        ["node", "-e", PROGRAM, f"ws://127.0.0.1:{port}"], env=dict(os.environ, NODE_PATH="/usr/share/nodejs"), timeout=120,
        check=False)
sys.exit(result.returncode)
