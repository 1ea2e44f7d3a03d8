public import Base

/// How the bytes of a media object are kept.
public enum MediaMode: String, Equatable, Sendable, CaseIterable {
    /// Encrypted at rest by the edge, which may derive from them.
    case managed
    /// Encrypted by the client; stored and served as they came.
    case sealed
}

/// How long a reference to a media object holds it.
public enum MediaRetention: Equatable, Sendable {
    case seconds(Int64)
    case pinned
}

/// A finished upload or derivative enters the directory.
public struct MediaRegister: Equatable, Sendable {
    /// The uploader's; nil for a derivative, which a node registers itself for a media that it registered or holds.
    public var token: String?
    /// The token must have been good then: an upload may outlive it.
    public var uploadCreatedAt: WallTime
    public var media: MediaID
    /// Empty for the original, else like `thumbnail/320.webp`.
    public var variant: String
    /// The storage object on the edge's disk.
    public var object: UUID
    public var sizeBytes: Int64
    public var storedBytes: Int64
    public var mode: MediaMode
    public var retention: MediaRetention
    /// 32 bytes: root of the hash tree over the stored chunks.
    public var manifestRoot: [UInt8]
    public var contentType: String
    public var filename: String?
    /// 32 bytes; nil for sealed media.
    public var objectKey: [UInt8]?

    public init(
        token: String?, uploadCreatedAt: WallTime, media: MediaID, variant: String = "", object: UUID,
        sizeBytes: Int64, storedBytes: Int64, mode: MediaMode, retention: MediaRetention, manifestRoot: [UInt8],
        contentType: String, filename: String? = nil, objectKey: [UInt8]? = nil
    ) {
        self.token = token
        self.uploadCreatedAt = uploadCreatedAt
        self.media = media
        self.variant = variant
        self.object = object
        self.sizeBytes = sizeBytes
        self.storedBytes = storedBytes
        self.mode = mode
        self.retention = retention
        self.manifestRoot = manifestRoot
        self.contentType = contentType
        self.filename = filename
        self.objectKey = objectKey
    }
}

public struct MediaRegistered: Equatable, Sendable {
    /// The storage object that stands for the media: another than the registered one if the content was there already.
    public var object: UUID
    /// nil when pinned.
    public var expiresAt: WallTime?

    public init(object: UUID, expiresAt: WallTime?) {
        self.object = object
        self.expiresAt = expiresAt
    }
}

/// By what right a client asks for media.
public enum MediaAuthorization: Equatable, Sendable {
    case token(String)
    case signedPath(SignedMediaPath)
}

/// The parts of `/s/<kid>.<exp>.<sig>/media/<id>`; the central knows the key.
public struct SignedMediaPath: Equatable, Sendable {
    public var keyID: String
    /// Unix seconds.
    public var expiresAtSeconds: Int64
    /// 32 bytes, HMAC-SHA-256.
    public var signature: [UInt8]
    public var method: String
    /// `/media/<id>`.
    public var pathPrefix: String

    public init(keyID: String, expiresAtSeconds: Int64, signature: [UInt8], method: String, pathPrefix: String) {
        self.keyID = keyID
        self.expiresAtSeconds = expiresAtSeconds
        self.signature = signature
        self.method = method
        self.pathPrefix = pathPrefix
    }
}

/// Absent and not allowed are the same `notFound`.
public struct MediaLookup: Equatable, Sendable {
    public var authorization: MediaAuthorization
    public var media: MediaID
    public var variant: String
    /// How long the central may wait for a variant that is not there yet.
    public var waitMilliseconds: UInt32

    public init(authorization: MediaAuthorization, media: MediaID, variant: String = "", waitMilliseconds: UInt32 = 0) {
        self.authorization = authorization
        self.media = media
        self.variant = variant
        self.waitMilliseconds = waitMilliseconds
    }
}

public struct MediaFound: Equatable, Sendable {
    public var object: UUID
    public var sizeBytes: Int64
    public var storedBytes: Int64
    public var mode: MediaMode
    public var contentType: String
    public var filename: String?
    /// 32 bytes.
    public var manifestRoot: [UInt8]
    /// 32 bytes; nil for sealed media.
    public var objectKey: [UInt8]?
    /// nil when pinned.
    public var expiresAt: WallTime?
    /// How long this answer may be used: at most 60,000, never past an expiry.
    public var leaseMilliseconds: UInt32
    /// The client and what lies between must not keep it (statuses).
    public var noStore: Bool
    /// Edges that have the object on disk.
    public var holders: [EdgeDescription]
    /// What has been derived from the media.
    public var derivatives: [MediaDerivative]

    public init(
        object: UUID, sizeBytes: Int64, storedBytes: Int64, mode: MediaMode, contentType: String,
        filename: String? = nil, manifestRoot: [UInt8], objectKey: [UInt8]? = nil, expiresAt: WallTime?,
        leaseMilliseconds: UInt32, noStore: Bool, holders: [EdgeDescription], derivatives: [MediaDerivative] = []
    ) {
        self.object = object
        self.sizeBytes = sizeBytes
        self.storedBytes = storedBytes
        self.mode = mode
        self.contentType = contentType
        self.filename = filename
        self.manifestRoot = manifestRoot
        self.objectKey = objectKey
        self.expiresAt = expiresAt
        self.leaseMilliseconds = leaseMilliseconds
        self.noStore = noStore
        self.holders = holders
        self.derivatives = derivatives
    }
}

public struct MediaDerivative: Equatable, Sendable {
    public var variant: String
    public var sizeBytes: Int64
    public var contentType: String

    public init(variant: String, sizeBytes: Int64, contentType: String) {
        self.variant = variant
        self.sizeBytes = sizeBytes
        self.contentType = contentType
    }
}

/// Gives users of the same tenant a reference to a media that the token's user has one to.
public struct MediaGrant: Equatable, Sendable {
    public var token: String
    public var media: MediaID
    public var users: [String]
    public var expiresInSeconds: Int64?

    public init(token: String, media: MediaID, users: [String], expiresInSeconds: Int64? = nil) {
        self.token = token
        self.media = media
        self.users = users
        self.expiresInSeconds = expiresInSeconds
    }
}

/// Drops the reference of the token's user.
public struct MediaRelease: Equatable, Sendable {
    public var token: String
    public var media: MediaID

    public init(token: String, media: MediaID) {
        self.token = token
        self.media = media
    }
}
