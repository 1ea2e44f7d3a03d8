public import Base

/// What a client sends over `/connect`. Docs/protocol/connection.md describes every field.
public enum ClientFrame: Equatable, Sendable {
    case hello(Hello)
    case send(Send)
    /// Every delivery up to and including this sequence number is in the client's hands.
    case ack(sequence: UInt64)
    case statusPost(StatusPost)
    case statusList(StatusList)
    case statusDelete(StatusDelete)
    case call(CallSignal)
    /// A new token for the connection that is open.
    case refresh(token: String)

    /// The id that the answer (`accepted`, `status.items`, `error`) will name, for frames that have one.
    public var id: UUID? {
        switch self {
        case .hello, .ack, .refresh: nil
        case .send(let send): send.id
        case .statusPost(let post): post.id
        case .statusList(let list): list.id
        case .statusDelete(let deletion): deletion.id
        case .call(let signal): signal.id
        }
    }

    /// The first frame of every connection.
    public struct Hello: Equatable, Sendable {
        public var resume: ResumePoint?
        /// Name and version of the client's software, for statistics.
        public var client: String?

        public init(resume: ResumePoint? = nil, client: String? = nil) {
            self.resume = resume
            self.client = client
        }
    }

    public struct Send: Equatable, Sendable {
        public var id: UUID
        public var to: PeerAddress
        public var messageClass: MessageClass
        /// Opaque: end-to-end encrypted by the client.
        public var payload: [UInt8]
        public var expiresInSeconds: Int64?

        public init(
            id: UUID, to: PeerAddress, messageClass: MessageClass, payload: [UInt8], expiresInSeconds: Int64? = nil
        ) {
            self.id = id
            self.to = to
            self.messageClass = messageClass
            self.payload = payload
            self.expiresInSeconds = expiresInSeconds
        }
    }

    /// The id names the status from then on.
    public struct StatusPost: Equatable, Sendable {
        public var id: UUID
        /// Users of the same tenant.
        public var audience: [String]
        public var media: MediaID?
        public var payload: [UInt8]?
        /// 24 hours if absent.
        public var expiresInMilliseconds: Int64?

        public init(
            id: UUID, audience: [String], media: MediaID? = nil, payload: [UInt8]? = nil,
            expiresInMilliseconds: Int64? = nil
        ) {
            self.id = id
            self.audience = audience
            self.media = media
            self.payload = payload
            self.expiresInMilliseconds = expiresInMilliseconds
        }
    }

    public struct StatusList: Equatable, Sendable {
        public var id: UUID
        /// Whose statuses; everybody's that the sender may see if absent.
        public var user: String?

        public init(id: UUID, user: String? = nil) {
            self.id = id
            self.user = user
        }
    }

    public struct StatusDelete: Equatable, Sendable {
        public var id: UUID
        public var status: UUID

        public init(id: UUID, status: UUID) {
            self.id = id
            self.status = status
        }
    }

    public struct CallSignal: Equatable, Sendable {
        public var id: UUID
        public var call: UUID
        public var event: CallEvent
        public var to: PeerAddress
        /// Opaque: a session description, candidates; end-to-end encrypted if the clients like.
        public var data: [UInt8]

        public init(id: UUID, call: UUID, event: CallEvent, to: PeerAddress, data: [UInt8] = []) {
            self.id = id
            self.call = call
            self.event = event
            self.to = to
            self.data = data
        }
    }
}

/// Where a device's deliveries go on after a lost connection.
public struct ResumePoint: Equatable, Sendable {
    /// The `resume_token` of the last welcome.
    public var token: String
    /// The highest sequence number that the client holds.
    public var sequence: UInt64

    public init(token: String, sequence: UInt64) {
        self.token = token
        self.sequence = sequence
    }
}

/// Priority and life of a message.
public enum MessageClass: String, Equatable, Sendable, CaseIterable {
    case call, message, receipt, ephemeral
}

public enum CallEvent: String, Equatable, Sendable, CaseIterable {
    case offer, answer, candidates, ringing, accept, reject, busy, cancel, hangup, renegotiate, restart
}
