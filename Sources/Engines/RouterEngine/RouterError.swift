package import Wire

/// Why a frame is refused. Every case is the client's to understand: its message says what is allowed.
package enum RouterError: Error, Equatable {
    case groupsNotAvailable
    case unknownDevice
    case tooManyDevices(allowed: Int)
    case payloadTooLarge(allowedBytes: Int)
    case expiryOutOfRange(allowedMs: Int64)
    /// The recipient has no device yet, and what waits for the first one is full.
    case waitingFull
    case emptyAudience
    case audienceTooLarge(allowed: Int)
    case invalidUser
    case unknownStatus
    case tooManyStatuses(allowed: Int)
    case idUsedElsewhere
    case unknownMedia
    case tooManyCalls
    case notInCall
    case callAnsweredElsewhere
    case wrongPeer

    package var code: FrameErrorCode {
        switch self {
        case .groupsNotAvailable, .expiryOutOfRange, .emptyAudience, .invalidUser, .wrongPeer: .invalid
        case .unknownDevice, .unknownStatus, .unknownMedia, .notInCall: .notFound
        case .payloadTooLarge, .audienceTooLarge: .tooLarge
        case .tooManyDevices, .waitingFull, .tooManyStatuses, .tooManyCalls: .exhausted
        case .idUsedElsewhere, .callAnsweredElsewhere: .conflict
        }
    }

    package var message: String {
        switch self {
        case .groupsNotAvailable: "messages to groups are not available yet: send to users or devices"
        case .unknownDevice: "the user has no such device"
        case .tooManyDevices(let allowed): "the user has \(allowed) devices, which is all that is allowed"
        case .payloadTooLarge(let allowed): "a payload has at most \(allowed) bytes: send larger content as media"
        case .expiryOutOfRange(let allowed): "the expiry must be at least 1 and at most \(allowed) ms"
        case .waitingFull: "the recipient has never connected and no more mail waits for them"
        case .emptyAudience: "the audience must name at least one user"
        case .audienceTooLarge(let allowed): "the audience has at most \(allowed) users"
        case .invalidUser: "a user's name is 1 to 64 of A-Z a-z 0-9 . _ -"
        case .unknownStatus: "no such status"
        case .tooManyStatuses(let allowed): "a user has at most \(allowed) live statuses: delete one"
        case .idUsedElsewhere: "the id was used before for something else"
        case .unknownMedia: "no such media"
        case .tooManyCalls: "too many calls are open"
        case .notInCall: "no such call"
        case .callAnsweredElsewhere: "the call was answered on another device"
        case .wrongPeer: "`to` is not the other side of the call"
        }
    }
}
