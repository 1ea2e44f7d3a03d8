#!/usr/bin/env python3
"""The README's first relayed call, pasted into a real browser: two peers of a page that reach each other through the relay alone.

usage: turn_chromium.py [--dev var/dev.json]

Needs Chromium with its driver, and the Python package selenium. Exits non-zero if anything is not right.
"""
import argparse
import http.server
import json
import pathlib
import threading

from selenium import webdriver

from lib_checks import check, finish, ice_servers

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--allow-loopback-in-peer-connection",  # this host may have no other interface
]


def snippet():
    """The code block, without its first line, which is the place for the configuration."""
    code = README.read_text().split("```js\n", 1)[1].split("```", 1)[0]
    head, body = code.split("\n", 1)
    assert head.startswith("const config ="), head
    return body


# The snippet logs what arrived; then the statistics say by which pair of candidates.
WRAPPED = """
const config = arguments[0], done = arguments[arguments.length - 1];
setTimeout(() => done({error: "nothing arrived in 20 s"}), 20000);
(async () => {
  %s
  console.log = async (...words) => {
    const pairs = [];
    for (const peer of [a, b]) {
      const stats = await peer.getStats();
      for (const s of stats.values())
        if (s.type === "candidate-pair" && s.nominated) pairs.push(stats.get(s.localCandidateId).candidateType);
    }
    done({text: words.join(" "), pairs});
  };
})().catch(error => done({error: String(error)}));
"""


class QuietHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page</title>")

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    dev = json.loads(pathlib.Path(parser.parse_args().dev).read_text())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        browser.set_script_timeout(30)
        for edge in dev["edges"]:
            browser.get(f"http://127.0.0.1:{server.server_port}/")
            result = browser.execute_async_script(WRAPPED % snippet(), ice_servers(dev, edge))
            check(f"{edge['name']}: a message through the relay", result.get("text") == "through the relay: hello", result)
            check(f"{edge['name']}: both ends are relayed", set(result.get("pairs", [])) == {"relay"}, result)
    finally:
        browser.quit()
    finish()


main()
