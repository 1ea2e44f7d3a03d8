#pragma once
#include <stdint.h>

/// A socket on a free port of 127.0.0.1, or -1.
int skerry_udp_bind(int buffer_bytes);
uint16_t skerry_udp_port(int socket);
/// From now on datagrams go to this port of 127.0.0.1, and come only from it. Returns 0, or errno.
int skerry_udp_connect(int socket, uint16_t port);

/// Sends every datagram back to where it came from: recvfrom, sendto. Returns when the socket fails.
void skerry_udp_echo(int socket);
/// Sends what arrives at one socket from the other, to whoever was heard there last: epoll, then recvfrom and sendto until
/// nothing is left. Returns when a socket fails.
void skerry_udp_relay(int first, int second);
