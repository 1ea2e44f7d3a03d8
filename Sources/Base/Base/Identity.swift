/// Who somebody is: the claims `ten`, `sub` and `dev` of a token, each `[A-Za-z0-9._-]{1,64}`.
///
/// Tenants never see each other, so that a user is only ever named together with its tenant.
public struct Tenant: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    public init?(_ text: some StringProtocol) {
        guard isIdentityName(text) else { return nil }
        rawValue = String(text)
    }

    private init(unchecked text: String) { rawValue = text }

    public static let `default` = Tenant(unchecked: "default")
    public var description: String { rawValue }
}

public struct UserAddress: Hashable, Sendable, CustomStringConvertible {
    public let tenant: Tenant
    public let user: String

    /// Returns nil unless the user's name is `[A-Za-z0-9._-]{1,64}`.
    public init?(tenant: Tenant, user: some StringProtocol) {
        guard isIdentityName(user) else { return nil }
        self.tenant = tenant
        self.user = String(user)
    }

    public var description: String { "\(tenant):\(user)" }
}

public struct DeviceAddress: Hashable, Sendable, CustomStringConvertible {
    public let owner: UserAddress
    public let device: String

    /// Returns nil unless the device's name is `[A-Za-z0-9._-]{1,64}`.
    public init?(owner: UserAddress, device: some StringProtocol) {
        guard isIdentityName(device) else { return nil }
        self.owner = owner
        self.device = String(device)
    }

    public var tenant: Tenant { owner.tenant }
    public var user: String { owner.user }
    public var description: String { "\(owner)/\(device)" }
}

/// Whether a text may name a tenant, a user or a device.
public func isIdentityName(_ text: some StringProtocol) -> Bool {
    let bytes = text.utf8
    guard (1...64).contains(bytes.count) else { return false }
    return bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
