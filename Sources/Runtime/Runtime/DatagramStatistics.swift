/// Why a datagram went no further.
public enum DatagramDrop: Int, CaseIterable, Sendable {
    /// Received, but larger than any datagram may be, or from no IP address.
    case malformed
    /// The kernel's queue had no room for it.
    case queueFull
    /// There is no way to its destination, or nobody there.
    case unreachable
    /// Larger than its path takes.
    case tooLarge
    /// A rule of the host forbids it.
    case forbidden
    case other

    public var label: String {
        switch self {
        case .malformed: "malformed"
        case .queueFull: "queue_full"
        case .unreachable: "unreachable"
        case .tooLarge: "too_large"
        case .forbidden: "forbidden"
        case .other: "other"
        }
    }
}

/// What sockets of one loop have done; several of them may share one. Read and written on the loop alone.
public final class DatagramStatistics {
    public internal(set) var receiveCalls: UInt64 = 0
    public internal(set) var received: UInt64 = 0
    public internal(set) var sendCalls: UInt64 = 0
    public internal(set) var sent: UInt64 = 0
    /// Messages of several datagrams (UDP_SEGMENT) that the kernel refused, and that went out one by one.
    public internal(set) var refusedMessages: UInt64 = 0
    private var drops = [UInt64](repeating: 0, count: DatagramDrop.allCases.count)

    public init() {}

    public func dropped(_ reason: DatagramDrop) -> UInt64 { drops[reason.rawValue] }
    public var dropped: UInt64 { drops.reduce(0, +) }

    // One statement each, so that no access is open while anything else is called.

    @inline(__always)
    func countReceiveCall() { receiveCalls &+= 1 }

    @inline(__always)
    func countReceived(_ datagrams: Int) { received &+= UInt64(datagrams) }

    @inline(__always)
    func countSendCall() { sendCalls &+= 1 }

    @inline(__always)
    func countSent() { sent &+= 1 }

    func drop(_ reason: DatagramDrop) { drops[reason.rawValue] += 1 }
}
