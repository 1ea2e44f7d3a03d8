public import Base

/// What an edge asks the central over the uplink; each is answered once with an `UplinkResponse`.
/// Docs/protocol/uplink.md describes every field.
public enum UplinkRequest: Equatable, Sendable {
    case hello(UplinkHello)
    case sessionOpen(SessionOpen)
    case mediaRegister(MediaRegister)
    case mediaLookup(MediaLookup)
    case mediaGrant(MediaGrant)
    case mediaRelease(MediaRelease)
    case ping(sentNanoseconds: UInt64)
}

/// The answer to an `UplinkRequest`.
public enum UplinkResponse: Equatable, Sendable {
    case helloAck(UplinkHelloAck)
    case sessionOpened(SessionOpened)
    case mediaRegistered(MediaRegistered)
    case mediaFound(MediaFound)
    /// To `mediaGrant` and `mediaRelease`.
    case ok
    case pong(serverTime: WallTime)
    case failed(UplinkFailure)
}

/// A request that was refused.
public struct UplinkFailure: Equatable, Sendable {
    public var kind: EdgeError.Kind
    /// What was wrong, what is allowed. Never a secret.
    public var message: String
    public var retryAfterMilliseconds: UInt32?

    public init(_ kind: EdgeError.Kind, _ message: String, retryAfterMilliseconds: UInt32? = nil) {
        self.kind = kind
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
    }
}

/// The first request on a link.
public struct UplinkHello: Equatable, Sendable {
    /// Protocol versions that the edge speaks.
    public var versions: [UInt32]
    public var features: [String]
    /// Must be the name and the region of the edge's certificate.
    public var node: String
    public var region: String
    /// `host:port` where other edges fetch from this one.
    public var siblingAddress: String
    public var turnURLs: [String]
    /// Version of the software, for operators.
    public var build: String

    public init(
        versions: [UInt32], features: [String] = [], node: String, region: String, siblingAddress: String,
        turnURLs: [String] = [], build: String
    ) {
        self.versions = versions
        self.features = features
        self.node = node
        self.region = region
        self.siblingAddress = siblingAddress
        self.turnURLs = turnURLs
        self.build = build
    }
}

public struct UplinkHelloAck: Equatable, Sendable {
    /// The highest version that both speak.
    public var version: UInt32
    public var cluster: String
    public var serverTime: WallTime
    /// Every edge that is connected.
    public var edges: [EdgeDescription]

    public init(version: UInt32, cluster: String, serverTime: WallTime, edges: [EdgeDescription]) {
        self.version = version
        self.cluster = cluster
        self.serverTime = serverTime
        self.edges = edges
    }
}

public struct EdgeDescription: Hashable, Sendable {
    public var name: String
    public var region: String
    /// `host:port` where other edges fetch from it.
    public var siblingAddress: String

    public init(name: String, region: String, siblingAddress: String) {
        self.name = name
        self.region = region
        self.siblingAddress = siblingAddress
    }
}

/// A client connected; the central verifies its token itself.
public struct SessionOpen: Equatable, Sendable {
    /// Chosen by the edge, unique on the link.
    public var session: UInt64
    public var token: String
    public var resume: ResumePoint?
    public var client: String?

    public init(session: UInt64, token: String, resume: ResumePoint? = nil, client: String? = nil) {
        self.session = session
        self.token = token
        self.resume = resume
        self.client = client
    }
}

public struct SessionOpened: Equatable, Sendable {
    public var device: DeviceAddress
    public var resumeToken: String
    public var resumed: Bool
    public var credit: UInt32
    public var serverTime: WallTime
    public var tokenExpiresAt: WallTime

    public init(
        device: DeviceAddress, resumeToken: String, resumed: Bool, credit: UInt32, serverTime: WallTime,
        tokenExpiresAt: WallTime
    ) {
        self.device = device
        self.resumeToken = resumeToken
        self.resumed = resumed
        self.credit = credit
        self.serverTime = serverTime
        self.tokenExpiresAt = tokenExpiresAt
    }
}
