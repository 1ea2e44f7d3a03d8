/// What one end of a call saw.
package struct CallReport: Equatable, Sendable {
    /// Our relayed transport address, and the peer's.
    package var relayedAddress: String
    package var peerAddress: String
    package var packetsSent: Int
    package var bytesSent: Int
    /// Packets that the peer says it sent; where it did not say, going by the sequence numbers.
    package var packetsExpected: Int
    package var packetsReceived: Int
    package var bytesReceived: Int
    package var packetsLost: Int
    package var duplicates: Int
    package var outOfOrder: Int
    /// Of our packets, those that the peer's last report misses.
    package var packetsLostByPeer: Int
    /// Interarrival jitter at the end (RFC 3550 section 6.4.1).
    package var jitter: Duration
    /// Round trips through both relays, from RTCP reports (RFC 3550 section 6.4.1: LSR and DLSR), in rising order.
    package var roundTrips: [Duration]

    package var lossPercent: Double {
        packetsExpected == 0 ? 0 : 100 * Double(packetsLost) / Double(packetsExpected)
    }

    /// The round trip that the given share of the samples stays within; nil where no report came.
    ///
    /// - Parameter share: above 0, at most 1; 0.5 is the median.
    package func roundTrip(within share: Double) -> Duration? {
        guard !roundTrips.isEmpty else { return nil }
        let index = Int((share * Double(roundTrips.count)).rounded(.up)) - 1
        return roundTrips[max(0, min(roundTrips.count - 1, index))]
    }
}
