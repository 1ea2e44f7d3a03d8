import WebSocketCodec

/// The frames that wait to be sent on one WebSocket, bounded in bytes: one behind the other, as they go out. A struct without
/// I/O: its owner locks it, and acts upon what it returns. It takes no memory when nothing waits.
struct WebSocketOutbox {
    enum Admission: Equatable {
        /// Queued; whoever gets `true` sees to it that it is sent.
        case queued(needsSender: Bool)
        case full
        case closed
    }

    /// Frames go to the kernel together up to this.
    private static let batchBytes = 64 * 1024

    private let maxBytes: Int
    /// Batches that are full, the oldest first.
    private var fullBatches: [[UInt8]] = []
    /// Where frames are added.
    private var batch: [UInt8] = []
    private var queuedBytes = 0
    /// Of the batch that is being sent.
    private var inFlightBytes = 0
    /// Somebody sends, or is about to.
    private var hasSender = false
    /// A close frame is the last one.
    private(set) var isClosed = false

    init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    var isEmpty: Bool { queuedBytes == 0 && inFlightBytes == 0 }

    /// Queues a frame. One that is larger than the bound is taken when nothing else waits.
    mutating func add(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, mask: UInt32?) -> Admission {
        if isClosed { return .closed }
        let needed = queuedBytes + inFlightBytes + payload.count + WebSocketFrame.maxHeaderBytes
        guard isEmpty || needed <= maxBytes else { return .full }
        return push(opcode, payload, mask)
    }

    /// Queues the close frame, whatever waits before it.
    ///
    /// - Parameter dropping: forget the frames that wait: the peer does not read them.
    mutating func close(_ payload: UnsafeRawBufferPointer, mask: UInt32?, dropping: Bool) -> Admission {
        if isClosed { return .closed }
        isClosed = true
        if dropping { forget() }
        return push(.close, payload, mask)
    }

    private mutating func push(
        _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, _ mask: UInt32?
    ) -> Admission {
        if !batch.isEmpty, batch.count + payload.count + WebSocketFrame.maxHeaderBytes > Self.batchBytes {
            fullBatches.append(batch)
            batch = []
        }
        let before = batch.count
        WebSocketFrame.append(opcode, payload: payload, mask: mask, to: &batch)
        queuedBytes += batch.count - before
        let needsSender = !hasSender
        hasSender = true
        return .queued(needsSender: needsSender)
    }

    /// The next frames to hand to the kernel in one call, the ones before being sent; empty when there are none, and sending
    /// ends.
    mutating func nextBatch() -> [UInt8] {
        let next: [UInt8]
        if fullBatches.isEmpty {
            next = batch
            batch = []
        } else {
            next = fullBatches.removeFirst()
        }
        inFlightBytes = next.count
        queuedBytes -= next.count
        hasSender = !next.isEmpty
        return next
    }

    /// Nothing more can be sent.
    mutating func abandon() {
        isClosed = true
        hasSender = false
        inFlightBytes = 0
        forget()
    }

    private mutating func forget() {
        fullBatches = []
        batch = []
        queuedBytes = 0
    }
}
