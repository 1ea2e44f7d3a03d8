public import Base

/// Whom a frame goes to or comes from, within the sender's tenant: `bob`, `bob/phone` or `group:<id>`.
public enum PeerAddress: Hashable, Sendable, CustomStringConvertible {
    case user(String)
    case device(user: String, device: String)
    case group(UUID)

    /// Returns nil unless the text is one of the three forms, with names of `[A-Za-z0-9._-]{1,64}`.
    public init?(_ text: some StringProtocol) {
        let groupPrefix = "group:"
        if text.utf8.starts(with: groupPrefix.utf8) {
            guard let id = UUID(text.dropFirst(groupPrefix.count)) else { return nil }
            self = .group(id)
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard isIdentityName(parts[0]) else { return nil }
        if parts.count == 1 {
            self = .user(String(parts[0]))
        } else {
            guard isIdentityName(parts[1]) else { return nil }
            self = .device(user: String(parts[0]), device: String(parts[1]))
        }
    }

    public init(_ device: DeviceAddress) {
        self = .device(user: device.user, device: device.device)
    }

    public var description: String {
        switch self {
        case .user(let user): user
        case .device(let user, let device): "\(user)/\(device)"
        case .group(let id): "group:\(id)"
        }
    }
}
