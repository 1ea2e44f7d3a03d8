import Base
import CShims

/// Datagrams that sockets of a loop send while a batch is received, copied together so that they leave by few system calls:
/// successive ones of one size to one destination as one message (UDP_SEGMENT), different ones by one sendmmsg.
///
/// Holds those of one socket at a time; another's turn sends them. Their order, socket by socket, is that of the calls.
final class DatagramOutbox {
    /// Larger ones are not copied. None that a path takes whole is larger, nor may one of several in a message be.
    static let maxDatagramBytes = 1472
    private static let maxMessages = 32
    private static let maxMessageBytes = 65_000
    private static let byteCapacity = 128 * 1024
    /// How many datagrams the kernel takes in one message.
    private static let segmentLimit = Int(skerry_udp_segment_limit())

    /// Whether a batch is being received.
    var isCollecting = false
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCapacity, alignment: 64)
    private let messages = UnsafeMutablePointer<skerry_message>.allocate(capacity: maxMessages)
    private var segmentLimit = 0
    private var count = 0
    private var usedBytes = 0
    private var socket: UDPSocket?
    private var lastDestination = SocketAddress(.anyV4, port: 0)
    private var lastSource: IPAddress?
    /// Datagrams in the last message; no more can be added to one that has a smaller one at its end.
    private var lastSegments = 0
    private var lastSegmentBytes = 0

    /// Before the first datagram of the loop.
    func prepare() { segmentLimit = Self.segmentLimit }

    deinit {
        memory.deallocate()
        messages.deallocate()
    }

    @inline(__always)
    func add(
        _ bytes: UnsafeRawBufferPointer, to destination: SocketAddress, from source: IPAddress?, by sender: UDPSocket
    ) {
        if socket !== sender || usedBytes + bytes.count > Self.byteCapacity {
            flush()
            socket = sender
        }
        if extendsLast(bytes.count, destination, source), sender.mergesDatagrams {
            _ = copy(bytes)
            messages[count - 1].count += UInt32(bytes.count)
            messages[count - 1].segment = UInt16(lastSegmentBytes)
            lastSegments = bytes.count < lastSegmentBytes ? .max : lastSegments + 1
            return
        }
        if count == Self.maxMessages {
            flush()
            socket = sender
        }
        messages[count] = skerry_message(copy(bytes), to: destination, from: source)
        count += 1
        lastDestination = destination
        lastSource = source
        lastSegments = 1
        lastSegmentBytes = bytes.count
    }

    /// Whether a datagram can go into the message before it: to the same place, of the same size, or the last and smaller.
    @inline(__always)
    private func extendsLast(_ byteCount: Int, _ destination: SocketAddress, _ source: IPAddress?) -> Bool {
        count > 0 && lastSegments < segmentLimit && byteCount <= lastSegmentBytes && byteCount > 0
            && Int(messages[count - 1].count) + byteCount <= Self.maxMessageBytes && destination == lastDestination
            && source == lastSource
    }

    @inline(__always)
    private func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let place = UnsafeMutableRawBufferPointer(rebasing: memory[usedBytes..<usedBytes + bytes.count])
        place.copyMemory(from: bytes)
        usedBytes += bytes.count
        return UnsafeRawBufferPointer(place)
    }

    /// Hands to the kernel what there is.
    @inline(__always)
    func flush() {
        if count > 0 { send() }
    }

    private func send() {
        let sender = socket
        let number = count
        socket = nil
        count = 0
        usedBytes = 0
        sender?.transmit(UnsafePointer(messages), number)
    }
}

extension EventLoop {
    /// Has the datagrams that are sent during the body leave together, as those do that are sent while a batch is received.
    public func gatherDatagrams<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) {
        let outbox = datagramOutbox
        guard !outbox.isCollecting else { return try body() }
        outbox.isCollecting = true
        defer {
            outbox.isCollecting = false
            outbox.flush()
        }
        try body()
    }
}

extension skerry_message {
    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, to destination: SocketAddress, from source: IPAddress?) {
        self.init(
            bytes: bytes.baseAddress, to_high: destination.ip.high, to_low: destination.ip.low,
            local_high: source?.high ?? 0, local_low: source?.low ?? 0, count: UInt32(bytes.count), segment: 0,
            to_port: destination.port, is_v6: destination.ip.family == .v6 ? 1 : 0, has_local: source == nil ? 0 : 1)
    }
}
