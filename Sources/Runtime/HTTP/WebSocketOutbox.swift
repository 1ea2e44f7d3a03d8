import WebSocketCodec

/// The frames that wait to be sent on one WebSocket, bounded in bytes. A struct without I/O: its owner locks it, and acts
/// upon what it returns.
struct WebSocketOutbox {
    enum Admission: Equatable {
        /// Queued; whoever gets `true` starts the writer.
        case queued(startsWriter: Bool)
        case full
        case closed
    }

    /// What a frame takes in memory beside its bytes: without counting it, many answers to empty pings would take far more
    /// than the bound.
    private static let frameCostBytes = 64

    private let maxBytes: Int
    private var frames: [[UInt8]] = []
    private var queuedBytes = 0
    private var inFlightBytes = 0
    private var hasWriter = false
    /// A close frame is the last one.
    private(set) var isClosed = false

    init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    var isEmpty: Bool { frames.isEmpty && inFlightBytes == 0 }

    /// Queues a frame. One that is larger than the bound is taken when nothing else waits.
    mutating func add(_ frame: [UInt8]) -> Admission {
        if isClosed { return .closed }
        let waiting = queuedBytes + inFlightBytes
        guard waiting == 0 || waiting + frame.count <= maxBytes && frames.count <= maxBytes / Self.frameCostBytes else {
            return .full
        }
        return push(frame)
    }

    /// Queues the close frame, whatever waits before it.
    ///
    /// - Parameter dropping: forget the frames that wait: the peer does not read them.
    mutating func close(with frame: [UInt8], dropping: Bool) -> Admission {
        if isClosed { return .closed }
        isClosed = true
        if dropping {
            frames = []
            queuedBytes = 0
        }
        return push(frame)
    }

    private mutating func push(_ frame: [UInt8]) -> Admission {
        frames.append(frame)
        queuedBytes += frame.count
        let startsWriter = !hasWriter
        hasWriter = true
        return .queued(startsWriter: startsWriter)
    }

    /// The next frames to hand to the kernel in one call, the ones before being sent; empty when there are none, and the
    /// writer ends.
    mutating func nextBatch() -> [UInt8] {
        inFlightBytes = 0
        guard let first = frames.first else {
            hasWriter = false
            return []
        }
        var batch = first
        var taken = 1
        while taken < frames.count, batch.count + frames[taken].count <= 64 * 1024 {
            batch += frames[taken]
            taken += 1
        }
        frames.removeFirst(taken)
        queuedBytes -= batch.count
        inFlightBytes = batch.count
        return batch
    }

    /// Nothing more can be sent.
    mutating func abandon() {
        isClosed = true
        hasWriter = false
        frames = []
        queuedBytes = 0
        inFlightBytes = 0
    }
}
