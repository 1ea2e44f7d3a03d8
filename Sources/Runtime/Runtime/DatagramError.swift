public import Base
import CShims

/// What the network has said about a datagram that a socket sent.
public struct DatagramError: Equatable, Sendable {
    /// An ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
    public struct ICMP: Equatable, Sendable {
        public let type: UInt8
        public let code: UInt8

        /// What a router says of a datagram to there that it would have to fragment, and may not.
        static func tooBig(_ destination: SocketAddress) -> ICMP {
            destination.ip.family == .v4 ? ICMP(type: 3, code: 4) : ICMP(type: 2, code: 0)
        }
    }

    /// Where the datagram was sent to.
    public let destination: SocketAddress
    /// What the network sent; or what a router would have sent that has this host's interface, where that takes no datagram so
    /// large that may not be fragmented. Nil where this host had something else to say.
    public let icmp: ICMP?
    /// The errno that the system makes of it.
    public let code: Int32
    /// The path MTU in bytes, where the datagram was larger.
    public let mtu: UInt32?
}

extension DatagramError {
    /// Nil when the report has no destination that we understand.
    init?(_ report: skerry_udp_error_report) {
        guard let destination = SocketAddress(report.destination) else { return nil }
        self.destination = destination
        icmp =
            switch Int32(report.origin) {
            case SKERRY_ORIGIN_ICMP, SKERRY_ORIGIN_ICMP6: ICMP(type: report.icmp_type, code: report.icmp_code)
            default: nil
            }
        code = report.code
        mtu = report.mtu == 0 ? nil : report.mtu
    }
}
