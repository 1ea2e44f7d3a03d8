#!/usr/bin/env python3
"""A browser speaks to the echo server: texts and binaries of 0 bytes to 1 MiB, a subprotocol, close codes either way.

    websocket_chromium.py [--dev IGNORED]

Needs Chromium with its driver, and the Python package selenium.
"""
from selenium import webdriver

from lib_checks import check, finish
from lib_echo import echo_server

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

SCRIPT = """
const url = arguments[0], done = arguments[arguments.length - 1];
const results = [];
setTimeout(() => done([...results, ["done within 25 s", false, ""]]), 25000);
const check = (name, condition, detail = "") => results.push([name, Boolean(condition), String(detail)]);
const open = (path, protocols = []) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url + path, protocols);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => resolve(socket);
  socket.onerror = () => reject(new Error("not opened"));
});
const message = socket => new Promise(resolve => { socket.onmessage = event => resolve(event.data); });
const closed = socket => new Promise(resolve => { socket.onclose = resolve; });
(async () => {
  const socket = await open("/echo", ["one", "two"]);
  check("a subprotocol is agreed on", socket.protocol === "one", socket.protocol);
  check("no extension is agreed to, though the browser offers deflate", socket.extensions === "", socket.extensions);
  for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    const bytes = new Uint8Array(size).map((_, index) => index * 7);
    let answer = message(socket);
    socket.send(bytes);
    const data = new Uint8Array(await answer);
    check(`a binary of ${size} bytes comes back`, data.length === size && data.every((byte, index) => byte === bytes[index]));
    const text = "ä€𝄞x".repeat(Math.ceil(size / 10));
    answer = message(socket);
    socket.send(text);
    check(`a text of ${text.length} units comes back`, (await answer) === text);
  }
  const all = new Promise(resolve => {
    const got = [];
    socket.onmessage = event => { got.push(event.data); if (got.length === 1000) resolve(got); };
  });
  for (let index = 0; index < 1000; index += 1) socket.send(`message ${index}`);
  check("1000 texts come back in order", (await all).every((text, index) => text === `message ${index}`));
  let end = closed(socket);
  socket.close(3456, "Grüße");
  let event = await end;
  check("closing with a code and a reason", event.wasClean && event.code === 3456 && event.reason === "Grüße", event.code);

  const small = await open("/echo?max=1000");
  end = closed(small);
  small.send("x".repeat(1001));
  event = await end;
  check("a message above the limit: 4413", event.wasClean && event.code === 4413, event.code);
  const burst = await open("/burst?count=3&bytes=10");
  event = await closed(burst);
  check("the server closes: 1000", event.wasClean && event.code === 1000, event.code);
  check("no WebSocket where there is none", await open("/nothing").then(() => false, () => true));
  done(results);
})().catch(error => done([...results, ["ran to its end", false, String(error)]]));
"""


def main():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS:
        options.add_argument(flag)
    with echo_server() as port:
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            browser.set_script_timeout(30)
            browser.get(f"http://127.0.0.1:{port}/bytes/0")  # a page with an origin
            for name, condition, detail in browser.execute_async_script(SCRIPT, f"ws://127.0.0.1:{port}"):
                check(name, condition, detail)
        finally:
            browser.quit()
    finish()


main()
