#!/usr/bin/env python3
"""A call with sound and picture between two pages of a real browser that may use nothing but the relay: over UDP, TCP and TLS.

usage: turn_calls.py [--dev var/dev.json] [--edge N] [--firefox]
       turn_calls.py --coturn      against coturn's own server

Needs Chromium with its driver, certutil (libnss3-tools), by which it comes to trust the relay's authority, and the Python
package selenium. With --firefox also firefox-esr and the Python package marionette_driver, which Scripts/deps leaves out: they
are large. Exits non-zero if anything is not right.
"""
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading

from selenium import webdriver

import lib_relay
from lib_checks import check, finish

KINDS = ["udp", "tcp", "tls"]
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",  # this host may have no other interface
]

PAGE = b"""<!doctype html><title>a page</title><video id="remote" autoplay playsinline muted></video><script>
let peer, channel, heard;
function begin(config) {
  peer = new RTCPeerConnection(config);
  heard = new Promise(resolve => peer.ondatachannel = event => {
    channel = event.channel;
    channel.onmessage = message => resolve(message.data);
  });
  peer.ontrack = event => document.getElementById("remote").srcObject = event.streams[0];
}
async function addMedia() {
  const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 320, height: 240}});
  for (const track of stream.getTracks()) peer.addTrack(track, stream);
}
// The description once all candidates stand in it.
async function described(description) {
  await peer.setLocalDescription(description);
  if (peer.iceGatheringState !== "complete")
    await new Promise(resolve => peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve());
  return {type: peer.localDescription.type, sdp: peer.localDescription.sdp};
}
async function offer(config) {
  begin(config);
  await addMedia();
  const own = peer.createDataChannel("words");
  heard = new Promise(resolve => own.onmessage = message => resolve(message.data));
  own.onopen = () => own.send("from the one");
  return described(await peer.createOffer());
}
async function answer(config, offer) {
  begin(config);
  await peer.setRemoteDescription(offer);
  await addMedia();
  return described(await peer.createAnswer());
}
function accept(answer) {
  return peer.setRemoteDescription(answer);
}
async function report(frames) {
  const words = await heard;
  if (channel) channel.send("from the other");
  for (;;) {
    const stats = [...(await peer.getStats()).values()];
    const inbound = kind => stats.find(one => one.type === "inbound-rtp" && one.kind === kind) || {};
    const video = inbound("video"), audio = inbound("audio");
    if (video.framesDecoded >= frames && audio.packetsReceived > 0) {
      const pair = stats.find(one => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
      const local = stats.find(one => one.id === pair.localCandidateId);
      return {words, kind: local.candidateType, by: local.relayProtocol};
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class Chromium:
    """One browser with two windows; `pages` are its two ends of a call."""

    def __init__(self, home, url):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in FLAGS:
            options.add_argument(flag)
        service = webdriver.ChromeService("/usr/bin/chromedriver", env=dict(os.environ, HOME=str(home)))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(30)
        self.driver.switch_to.new_window("window")
        self.pages = [ChromiumPage(self.driver, window, url) for window in self.driver.window_handles]

    def close(self):
        self.driver.quit()


class ChromiumPage:
    def __init__(self, driver, window, url):
        self.driver, self.window, self.url = driver, window, url

    def load(self):
        self.driver.switch_to.window(self.window)
        self.driver.get(self.url)

    def run(self, expression, *arguments):
        """The value of an asynchronous expression."""
        self.driver.switch_to.window(self.window)
        return value_of(self.driver.execute_async_script(ASYNCHRONOUS % expression, *arguments))


class Firefox:
    """Firefox by its own remote protocol (geckodriver is in no Debian package); one page."""

    PREFERENCES = {
        "media.navigator.streams.fake": True, "media.navigator.permission.disabled": True, "media.peerconnection.ice.loopback": True,
        "media.peerconnection.ice.obfuscate_host_addresses": False, "media.autoplay.default": 0, "media.gmp-manager.updateEnabled": False,
        "app.update.enabled": False, "datareporting.policy.dataSubmissionEnabled": False, "browser.shell.checkDefaultBrowser": False,
        "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False}

    def __init__(self, authority, url):
        from marionette_driver.marionette import Marionette
        self.folder = tempfile.TemporaryDirectory(prefix="skerry-firefox-", ignore_cleanup_errors=True)
        profile, port = pathlib.Path(self.folder.name), lib_relay.free_port()
        trust(profile, authority)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in
                 (self.PREFERENCES | {"marionette.port": port}).items()]
        (profile / "user.js").write_text("\n".join(lines))
        self.process = subprocess.Popen(
            ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=str(profile), MOZ_HEADLESS="1"))
        self.marionette, self.url = Marionette(host="127.0.0.1", port=port), url
        self.marionette.start_session(timeout=60)
        self.marionette.timeout.script = 30

    def load(self):
        self.marionette.navigate(self.url)

    def run(self, expression, *arguments):
        return value_of(self.marionette.execute_async_script(
            ASYNCHRONOUS % expression, script_args=list(arguments), new_sandbox=False, sandbox=None))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


ASYNCHRONOUS = """
const a = [...arguments], done = a.pop();
(async () => (%s))().then(value => done({value}), error => done({error: String(error)}));
"""


def value_of(result):
    if "error" in result:
        raise RuntimeError(result["error"])
    return result["value"]


def call(caller, called, config):
    """What both pages report of a call."""
    for page in (caller, called):
        page.load()
    offer = caller.run("offer(a[0])", config)
    answer = called.run("answer(a[0], a[1])", config, offer)
    caller.run("accept(a[0])", answer)
    # The called one reports first: its words are what the caller waits for.
    return [page.run("report(15)") for page in (called, caller)][::-1]


def trust(store, authority):
    """Makes a certificate store in which the authority is trusted."""
    for options in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "relay", "-i", str(authority)]):
        subprocess.run(["certutil", options[0], "-d", f"sql:{store}", *options[1:]], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def trusting_home(authority):
    """A home for Chromium, with such a store."""
    with tempfile.TemporaryDirectory(prefix="skerry-chromium-", ignore_cleanup_errors=True) as folder:
        store = pathlib.Path(folder) / ".pki" / "nssdb"
        store.mkdir(parents=True)
        trust(store, authority)
        yield folder


def judge(name, caller, called, relay, kind, firefox=False):
    user, credential = relay.login("browser")
    # Firefox verifies names alone, no addresses.
    url = relay.url(kind).replace(relay.host, "localhost") if firefox and kind == "tls" else relay.url(kind)
    config = {"iceServers": [{"urls": url, "username": user, "credential": credential}], "iceTransportPolicy": "relay"}
    expected = [{"words": words, "kind": "relay", "by": kind} for words in ("from the other", "from the one")]
    try:
        reports = call(caller, called, config)
        check(f"{name}, {kind}: sound, picture and words both ways", reports == expected, reports)
    except Exception as error:  # a page that waits in vain is a failure of this check, not of the others
        check(f"{name}, {kind}: sound, picture and words both ways", False, str(error)[:500])


def main():
    parser = lib_relay.arguments(__doc__)
    parser.add_argument("--firefox", action="store_true", help="between Chromium and Firefox, too")
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(lib_relay.relay(options))
        chromium = stack.enter_context(contextlib.closing(Chromium(stack.enter_context(trusting_home(relay.ca)), url)))
        one, other = chromium.pages
        for kind in KINDS:
            judge("Chromium", one, other, relay, kind)
        if options.firefox:
            firefox = stack.enter_context(contextlib.closing(Firefox(relay.ca, url)))
            for kind in KINDS:
                judge("Firefox to Chromium", firefox, one, relay, kind, firefox=True)
                judge("Chromium to Firefox", one, firefox, relay, kind, firefox=True)
    finish()


main()
