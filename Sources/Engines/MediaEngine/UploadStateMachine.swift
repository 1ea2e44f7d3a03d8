package import Base

/// One upload, from its creation to the directory: which request may append where, what is durable, and what the finish
/// does next. It holds no bytes; the store reports what became durable.
///
/// The surprising rule: a request never waits for another. Whoever opens the upload last holds the lease, and every
/// other request finds itself superseded at its next step, whether or not its connection is known to be dead.
package struct UploadStateMachine: Equatable, Sendable {
    package enum Phase: Equatable, Sendable {
        /// Takes bytes. Can move to: complete, ended.
        case receiving
        /// Every byte is durable, the hash not yet held against the declared one. Can move to: verified, ended.
        case complete
        /// The manifest and the outbox entry are durable; the central does not know yet. Can move to: registered, ended.
        case verified(MediaID)
        /// In the directory. Final.
        case registered(MediaID)
        case ended(End)
    }

    package enum End: Equatable, Sendable {
        case terminated
        /// 422: the bytes are not those that were declared.
        case digestMismatch(actual: MediaID)
        /// The central does not take it.
        case refused
        case expired
    }

    /// The right to append; void as soon as there is a newer one.
    package struct Lease: Equatable, Sendable {
        fileprivate let number: UInt64
    }

    package enum AppendStart: Equatable, Sendable {
        /// Go on; `limit` bytes are still wanted.
        case append(limit: Int64)
        /// Every byte is there; the append has no bytes and is answered like the last one.
        case alreadyComplete
        /// 409: the client's offset is not ours.
        case offsetMismatch(expected: Int64)
        /// 413: the request would go past the declared length.
        case tooLong(limit: Int64)
        case superseded
        case ended(End)
    }

    package enum Receive: Equatable, Sendable {
        case take(Int)
        /// Only the first bytes are wanted; the rest is the peer's error.
        case overflow(take: Int)
        case superseded
    }

    package enum FinishAction: Equatable, Sendable {
        case none
        /// Make the hash final and hold it against the declared one: `hashed`.
        case verify
        /// Write manifest and outbox entry, then `persisted`.
        case persist(MediaID)
        /// Tell the central, then `registered` or `refused`.
        case register(MediaID)
        /// Delete bytes and record.
        case delete
        /// Keep the object: it is the one in the directory.
        case keepObject
        /// The content was there already, as another object: delete ours.
        case dropObject
        /// Delete the record alone: the object lives in the directory.
        case forget
    }

    package let length: Int64
    package private(set) var phase: Phase
    /// Bytes taken; at least `durableOffset`.
    package private(set) var receivedOffset: Int64
    /// Bytes that survive a crash: the only offset that is ever told.
    package private(set) var durableOffset: Int64
    private var newestLease: UInt64 = 0

    package init(length: Int64) {
        precondition(length >= 0)
        self.length = length
        phase = .receiving
        receivedOffset = 0
        durableOffset = 0
    }

    /// As it was saved. An upload whose last byte was durable goes on with its finish: ask `resume()`.
    package init(length: Int64, durableOffset: Int64, phase: Phase) {
        precondition((0...length).contains(durableOffset))
        self.length = length
        self.phase = phase == .receiving && durableOffset == length ? .complete : phase
        receivedOffset = durableOffset
        self.durableOffset = durableOffset
    }

    package var isComplete: Bool { durableOffset == length }

    /// A request wants the upload: every older lease is void from now on.
    package mutating func open() -> Lease {
        newestLease += 1
        return Lease(number: newestLease)
    }

    package func holds(_ lease: Lease) -> Bool { lease.number == newestLease }

    /// - Parameter contentLength: of the request's body; nil if it does not say.
    package func startAppend(_ lease: Lease, at offset: Int64, contentLength: Int64?) -> AppendStart {
        if case .ended(let end) = phase { return .ended(end) }
        guard holds(lease) else { return .superseded }
        precondition(receivedOffset == durableOffset, "what an older request left must be durable first")
        guard offset == durableOffset else { return .offsetMismatch(expected: durableOffset) }
        let limit = length - durableOffset
        if let contentLength, contentLength > limit { return .tooLong(limit: limit) }
        return limit == 0 && phase != .receiving ? .alreadyComplete : .append(limit: limit)
    }

    package mutating func receive(_ lease: Lease, count: Int) -> Receive {
        guard holds(lease), phase == .receiving else { return .superseded }
        let wanted = min(Int64(count), length - receivedOffset)
        receivedOffset += wanted
        return wanted == Int64(count) ? .take(count) : .overflow(take: Int(wanted))
    }

    /// Everything up to `offset` survives a crash.
    package mutating func checkpoint(durable offset: Int64) -> FinishAction {
        precondition(offset >= durableOffset && offset <= receivedOffset)
        durableOffset = offset
        guard phase == .receiving, offset == length else { return .none }
        phase = .complete
        return .verify
    }

    package mutating func hashed(_ digest: MediaID, declared: MediaID?) -> FinishAction {
        guard phase == .complete else { return .none }
        if let declared, declared != digest {
            phase = .ended(.digestMismatch(actual: digest))
            return .delete
        }
        return .persist(digest)
    }

    package mutating func persisted(_ digest: MediaID) -> FinishAction {
        guard phase == .complete else { return .none }
        phase = .verified(digest)
        return .register(digest)
    }

    /// - Parameter isOurs: whether the directory's object is the one that this upload made.
    package mutating func registered(isOurs: Bool) -> FinishAction {
        guard case .verified(let digest) = phase else { return .none }
        phase = .registered(digest)
        return isOurs ? .keepObject : .dropObject
    }

    package mutating func refused() -> FinishAction {
        guard case .verified = phase else { return .none }
        phase = .ended(.refused)
        return .delete
    }

    /// The client's DELETE, or the time of an unfinished upload is over. Voids every lease.
    package mutating func end(_ end: End) -> FinishAction {
        newestLease += 1
        switch phase {
        case .ended: return .none
        case .registered:
            phase = .ended(end)
            return .forget
        case .receiving, .complete, .verified:
            phase = .ended(end)
            return .delete
        }
    }

    /// The next step of an upload that a crash interrupted.
    package func resume() -> FinishAction {
        switch phase {
        case .complete: .verify
        case .verified(let digest): .register(digest)
        case .receiving, .registered, .ended: .none
        }
    }
}
