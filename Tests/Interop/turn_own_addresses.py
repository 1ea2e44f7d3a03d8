#!/usr/bin/env python3
"""An address that the host gets while the relay runs is no peer any more, nor is one of its own listeners there; in a network namespace
of the script's own.

usage: turn_own_addresses.py

Needs root or user namespaces, and ip (iproute2). Exits non-zero if anything is not right.
"""
import argparse
import time

import lib_namespace
import lib_relay
from lib_checks import check, finish

PORT = 3478
NEW, NEW6 = ("9.9.9.9", 53), ("2620:fe::fe", 53)
# The relay looks every ten seconds.
WAIT_S = 30


def codes_until(wanted, ask):
    deadline = time.monotonic() + WAIT_S
    while (codes := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return codes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", help="not looked at: the start is made in the namespace")
    lib_namespace.enter()
    parser.parse_args()
    lib_namespace.World()
    with lib_namespace.development_start() as dev:
        addresses = f'[{lib_namespace.HERE}, "{lib_namespace.HERE6}"]'
        relay = lib_relay.Edge(dev, 0, {"listen_addresses": f'["{lib_namespace.HERE}:{PORT}"]', "relay_addresses": addresses})
        relay.host, relay.port = lib_namespace.HERE, PORT
        with relay.client(name="ann") as v4, relay.client(name="bob") as v6:
            v4.allocate()
            v6.allocate(b"\0\x17\0\4\2\0\0\0")  # REQUESTED-ADDRESS-FAMILY: IPv6

            def ask():
                return v4.permit(NEW).code, v6.permit(NEW6).code

            check("peers of the Internet", ask() == (0, 0), ask())
            for address, prefix in ((NEW, 32), (NEW6, 128)):
                lib_namespace.run("ip", "address", "add", f"{address[0]}/{prefix}", "dev", "here")
            codes = codes_until((403, 403), ask)
            check("are none once this host has their addresses", codes == (403, 403), codes)
            for address, prefix in ((NEW, 32), (NEW6, 128)):
                lib_namespace.run("ip", "address", "delete", f"{address[0]}/{prefix}", "dev", "here")
            codes = codes_until((0, 0), ask)
            check("and peers again when it has not", codes == (0, 0), codes)
        relay.stop()
    finish()


main()
