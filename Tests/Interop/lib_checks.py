"""What the scripts beside this one share: checks that are counted, and ICE servers."""
import json
import sys
import urllib.request

passed = failed = 0


def check(name, condition, detail=""):
    """Prints and counts one check; the detail only when it does not hold."""
    global passed, failed
    if condition:
        passed += 1
        print("ok    ", name, flush=True)
    else:
        failed += 1
        print("FAILED", name, detail, flush=True)


def finish():
    """Ends the script with the line that the runner reads."""
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def ice_servers(dev, edge):
    """The answer of /calls/ice-servers to alice."""
    request = urllib.request.Request(
        edge["http"] + "/calls/ice-servers", headers={"Authorization": "Bearer " + dev["tokens"]["alice"]})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
