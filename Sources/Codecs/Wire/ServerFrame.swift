public import Base

/// What a client receives over `/connect`. Docs/protocol/connection.md describes every field.
public enum ServerFrame: Equatable, Sendable {
    case welcome(Welcome)
    case accepted(Accepted)
    case deliver(Deliver)
    /// The inbox is empty.
    case drained
    case gap(Gap)
    case statusNew(StatusItem)
    case statusGone(StatusGone)
    case statusItems(StatusItems)
    case call(CallNotice)
    case error(Failure)

    public struct Welcome: Equatable, Sendable {
        /// `user/device` of the token.
        public var device: PeerAddress
        public var resumeToken: String
        /// Whether the resume point of the hello was taken.
        public var resumed: Bool
        /// How many deliveries may be unacknowledged.
        public var credit: UInt32
        public var serverTime: WallTime

        public init(device: PeerAddress, resumeToken: String, resumed: Bool, credit: UInt32, serverTime: WallTime) {
            self.device = device
            self.resumeToken = resumeToken
            self.resumed = resumed
            self.credit = credit
            self.serverTime = serverTime
        }
    }

    public struct Accepted: Equatable, Sendable {
        public var id: UUID
        public var time: WallTime?
        public var expiresAt: WallTime?

        public init(id: UUID, time: WallTime? = nil, expiresAt: WallTime? = nil) {
            self.id = id
            self.time = time
            self.expiresAt = expiresAt
        }
    }

    public struct Deliver: Equatable, Sendable {
        /// The place in the device's inbox, from 1; 0 for an ephemeral message, which is never stored and not acknowledged.
        public var sequence: UInt64
        /// The sender's id of the message.
        public var id: UUID
        public var from: PeerAddress
        public var to: PeerAddress
        public var messageClass: MessageClass
        public var time: WallTime
        public var payload: [UInt8]

        public init(
            sequence: UInt64, id: UUID, from: PeerAddress, to: PeerAddress, messageClass: MessageClass, time: WallTime,
            payload: [UInt8]
        ) {
            self.sequence = sequence
            self.id = id
            self.from = from
            self.to = to
            self.messageClass = messageClass
            self.time = time
            self.payload = payload
        }
    }

    /// Sequence numbers, both inclusive, that will never be delivered.
    public struct Gap: Equatable, Sendable {
        public var from: UInt64
        public var to: UInt64
        public var reason: GapReason

        public init(from: UInt64, to: UInt64, reason: GapReason) {
            self.from = from
            self.to = to
            self.reason = reason
        }
    }

    public enum GapReason: String, Equatable, Sendable, CaseIterable {
        case expired, overflowed
    }

    public struct StatusItem: Equatable, Sendable {
        public var status: UUID
        /// The owner.
        public var user: String
        public var media: MediaID?
        public var payload: [UInt8]?
        public var time: WallTime
        public var expiresAt: WallTime

        public init(
            status: UUID, user: String, media: MediaID? = nil, payload: [UInt8]? = nil, time: WallTime,
            expiresAt: WallTime
        ) {
            self.status = status
            self.user = user
            self.media = media
            self.payload = payload
            self.time = time
            self.expiresAt = expiresAt
        }
    }

    public struct StatusGone: Equatable, Sendable {
        public var status: UUID
        /// The owner.
        public var user: String

        public init(status: UUID, user: String) {
            self.status = status
            self.user = user
        }
    }

    public struct StatusItems: Equatable, Sendable {
        /// The id of the request.
        public var id: UUID
        public var items: [StatusItem]

        public init(id: UUID, items: [StatusItem]) {
            self.id = id
            self.items = items
        }
    }

    public struct CallNotice: Equatable, Sendable {
        public var call: UUID
        public var event: CallEvent
        public var from: PeerAddress
        public var data: [UInt8]
        public var reason: String?

        public init(call: UUID, event: CallEvent, from: PeerAddress, data: [UInt8] = [], reason: String? = nil) {
            self.call = call
            self.event = event
            self.from = from
            self.data = data
            self.reason = reason
        }
    }

    /// A frame that was refused; the connection stays.
    public struct Failure: Equatable, Sendable {
        /// The id of the frame, if it had one.
        public var reference: UUID?
        public var code: FrameErrorCode
        /// For developers: what was wrong, what is allowed.
        public var message: String
        public var retryAfterMilliseconds: UInt32?

        public init(
            reference: UUID?, code: FrameErrorCode, message: String, retryAfterMilliseconds: UInt32? = nil
        ) {
            self.reference = reference
            self.code = code
            self.message = message
            self.retryAfterMilliseconds = retryAfterMilliseconds
        }
    }
}

/// The codes of `error` frames. A client treats one that it does not know like `internal`.
public struct FrameErrorCode: RawRepresentable, Hashable, Sendable {
    public var rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    /// A field is missing, malformed or out of bounds.
    public static let invalid = Self(rawValue: "invalid")
    /// The token's scopes or a block do not allow it.
    public static let forbidden = Self(rawValue: "forbidden")
    public static let notFound = Self(rawValue: "not_found")
    /// The id was used before for something else.
    public static let conflict = Self(rawValue: "conflict")
    public static let tooLarge = Self(rawValue: "too_large")
    /// A quota or a full inbox; `retry_after_ms` says when to try again.
    public static let exhausted = Self(rawValue: "exhausted")
    /// The central cannot be reached; `retry_after_ms` says when to try again.
    public static let unavailable = Self(rawValue: "unavailable")
    public static let `internal` = Self(rawValue: "internal")
}
