#pragma once
#include <stdint.h>

/// A TURN relay's packets without anything of TURN but ChannelData: one socket for clients, one for each allocation, epoll,
/// recvfrom and sendto; no limits, no permissions, no times. What is left is what the kernel costs. Returns when it fails.
///
/// - Parameter listener: the socket for clients, bound.
void skerry_minimal_relay(int listener);

/// Asks it for an allocation whose channels 0x4000 and 0x4001 are bound to two peers of 127.0.0.1.
///
/// - Parameter client: connected to it.
/// - Returns: the port of the relayed transport address, or 0 when no answer came within a second.
uint16_t skerry_minimal_relay_join(int client, const uint16_t peer_ports[2]);
