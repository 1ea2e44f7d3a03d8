package import Wire

/// What one session has been sent of its device's inbox, and what may follow: at most `credit` deliveries that the client
/// has not acknowledged.
///
/// A delivery goes out directly when it is committed, if the session has everything before it; otherwise the window asks
/// for a page of the inbox. It never sends out of order and never twice; a hole in the numbers is a gap.
package struct DeliveryWindow: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        /// The element of the page with this index.
        case deliver(Int)
        case gap(ServerFrame.Gap)
        case drained
        /// Read the inbox and call `received`.
        case read(ReadRequest)
    }

    package struct ReadRequest: Equatable, Sendable {
        package var after: UInt64
        package var limit: Int
    }

    /// What a read found, of one snapshot of the inbox.
    package struct Page: Equatable, Sendable {
        /// Ascending numbers of what is there and has not expired, at most as many as were asked for.
        package var sequences: [UInt64]
        /// The highest number ever assigned.
        package var lastSequence: UInt64
        /// What is missing up to and including this number was dropped because the inbox was full.
        package var overflowedThrough: UInt64
        /// Whether there is nothing beyond the last of `sequences`.
        package var isComplete: Bool

        package init(sequences: [UInt64], lastSequence: UInt64, overflowedThrough: UInt64, isComplete: Bool) {
            self.sequences = sequences
            self.lastSequence = lastSequence
            self.overflowedThrough = overflowedThrough
            self.isComplete = isComplete
        }
    }

    private let credit: Int
    /// Everything up to here was delivered or reported as a gap.
    private var position: UInt64
    /// The highest number known to be assigned.
    private var lastSequence: UInt64
    private var acknowledged: UInt64
    private var unacknowledged: [UInt64] = []
    private var pendingRead: ReadRequest?
    private var hasBegun = false
    private var isDrained = false

    /// - Parameters:
    ///   - acknowledged: the client has acknowledged everything up to here.
    ///   - position: deliveries go on after this one. What lies between counts as sent, but not against the credit: a client
    ///     that named it may not acknowledge it again.
    ///   - lastSequence: the highest number assigned so far.
    package init(credit: Int, acknowledged: UInt64, position: UInt64, lastSequence: UInt64) {
        precondition(credit > 0 && position >= acknowledged)
        self.credit = credit
        self.position = position
        self.acknowledged = acknowledged
        self.lastSequence = max(position, lastSequence)
    }

    /// Deliveries that may go out before the next acknowledgement.
    private var room: Int { credit - unacknowledged.count }

    /// Called once, when the welcome is on its way.
    package mutating func begin() -> [Action] {
        hasBegun = true
        return proceed()
    }

    /// A message was committed under the next number.
    ///
    /// - Returns: whether to send it now; otherwise a page will have it, which the actions may ask for.
    package mutating func committed(_ sequence: UInt64) -> (sendsNow: Bool, actions: [Action]) {
        guard sequence > lastSequence else { return (false, []) }
        let isNext = isDrained && pendingRead == nil && sequence == position + 1 && room > 0
        lastSequence = sequence
        guard isNext else { return (false, proceed()) }
        position = sequence
        unacknowledged.append(sequence)
        return (true, [])
    }

    /// The client holds everything up to and including `sequence`.
    ///
    /// - Returns: the number that counts, nil if it says nothing new; and what to do.
    package mutating func acknowledge(_ sequence: UInt64) -> (through: UInt64?, actions: [Action]) {
        let through = min(sequence, position)
        guard through > acknowledged else { return (nil, []) }
        acknowledged = through
        unacknowledged.removeFirst(unacknowledged.firstIndex { $0 > through } ?? unacknowledged.count)
        return (through, proceed())
    }

    package mutating func received(_ page: Page) -> [Action] {
        guard pendingRead != nil else { return [] }
        pendingRead = nil
        var actions: [Action] = []
        for (index, sequence) in page.sequences.enumerated() {
            appendGap(before: sequence, page.overflowedThrough, &actions)
            actions.append(.deliver(index))
            unacknowledged.append(sequence)
            position = sequence
        }
        lastSequence = max(lastSequence, page.lastSequence)
        if page.isComplete {
            // What it lacks at its end is gone.
            appendGap(before: page.lastSequence + 1, page.overflowedThrough, &actions)
        }
        return actions + proceed()
    }

    /// The read failed; it may be tried again by `retry`.
    package mutating func readFailed() { pendingRead = nil }

    package mutating func retry() -> [Action] { proceed() }

    private mutating func proceed() -> [Action] {
        guard hasBegun, pendingRead == nil else { return [] }
        guard position < lastSequence else {
            guard !isDrained else { return [] }
            isDrained = true
            return [.drained]
        }
        guard room > 0 else { return [] }
        let request = ReadRequest(after: position, limit: room)
        pendingRead = request
        return [.read(request)]
    }

    private mutating func appendGap(before sequence: UInt64, _ overflowedThrough: UInt64, _ actions: inout [Action]) {
        guard sequence > position + 1 else { return }
        let missing = (position + 1)...(sequence - 1)
        if missing.lowerBound <= overflowedThrough {
            let end = min(overflowedThrough, missing.upperBound)
            actions.append(.gap(ServerFrame.Gap(from: missing.lowerBound, to: end, reason: .overflowed)))
        }
        if missing.upperBound > overflowedThrough {
            let start = max(overflowedThrough + 1, missing.lowerBound)
            actions.append(.gap(ServerFrame.Gap(from: start, to: missing.upperBound, reason: .expired)))
        }
        position = sequence - 1
    }
}
