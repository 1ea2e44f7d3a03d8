public import Base
import CShims

/// What the network has said about a datagram that a socket sent.
public struct DatagramError: Equatable, Sendable {
    /// An ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
    public struct ICMP: Equatable, Sendable {
        public let type: UInt8
        public let code: UInt8
    }

    /// Where the datagram was sent to.
    public let destination: SocketAddress
    /// What the network sent; nil where this host itself had something to say: `EMSGSIZE`, and the interface's `mtu`, of a datagram
    /// that may not be fragmented.
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
