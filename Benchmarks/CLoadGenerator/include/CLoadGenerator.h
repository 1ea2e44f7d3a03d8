#pragma once
#include "connections.h"
#include "minimal_relay.h"
#include "relay_load.h"
#include "turn_clients.h"
#include "udp_peer.h"

/// The index-th processor that this process may use, or -1.
int skerry_processor(int index);
/// Moves the calling thread, and those that it starts, to one processor. Returns 0, or errno.
int skerry_pin(int processor);
