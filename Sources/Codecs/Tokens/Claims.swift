package import Base
import JSONCodec

/// What a valid token says.
package struct Claims: Equatable, Sendable {
    /// From `ten`, `sub` and `dev`.
    package let address: DeviceAddress
    /// The words of `scope`.
    package let scopes: Set<String>
    package let issuer: String?
    package let issuedAt: WallTime
    /// When it stops being valid. The leeway is for judging it, never for living longer on it.
    package let expires: WallTime
    /// `jti`, by which the one token can be revoked.
    package let id: String?

    package var tenant: Tenant { address.tenant }
    package var owner: UserAddress { address.owner }

    package init(
        address: DeviceAddress, scopes: Set<String>, issuer: String?, issuedAt: WallTime, expires: WallTime, id: String?
    ) {
        self.address = address
        self.scopes = scopes
        self.issuer = issuer
        self.issuedAt = issuedAt
        self.expires = expires
        self.id = id
    }

    package func allows(_ scope: String) -> Bool { scopes.contains(scope) }
}

extension Claims {
    static let audience = "skerry"
    static let leeway = Duration.seconds(60)
    static let maxLife = Duration.seconds(30 * 86_400)
    private static let maxScopes = 64
    private static let maxTextBytes = 256

    /// Reads and judges the payload of a token whose signature is right.
    init(_ payload: JSONValue, issuer expected: String?, now: WallTime) throws(TokenError) {
        issuer = try Self.text(.issuer, of: payload)
        guard expected == nil || issuer == expected else { throw .wrongIssuer }
        try Self.checkAudience(payload)
        guard let issuedAt = try Self.time(.issuedAt, of: payload) else { throw .missingClaim(.issuedAt) }
        guard let expires = try Self.time(.expires, of: payload) else { throw .missingClaim(.expires) }
        let notBefore = try Self.time(.notBefore, of: payload) ?? issuedAt
        guard now < expires + Self.leeway else { throw .expired }
        guard max(issuedAt, notBefore) <= now + Self.leeway else { throw .notYetValid }
        guard expires - issuedAt <= Self.maxLife else { throw .lifeTooLong }
        self.issuedAt = issuedAt
        self.expires = expires
        address = try Self.address(of: payload)
        scopes = try Self.scopes(of: payload)
        id = try Self.text(.id, of: payload)
    }

    private static func text(_ name: ClaimName, of payload: JSONValue) throws(TokenError) -> String? {
        guard let value = payload[name.rawValue] else { return nil }
        guard let text = value.string, (1...maxTextBytes).contains(text.utf8.count) else { throw .invalidClaim(name) }
        return text
    }

    /// A NumericDate: seconds since 1970, with or without a fraction.
    private static func time(_ name: ClaimName, of payload: JSONValue) throws(TokenError) -> WallTime? {
        guard let value = payload[name.rawValue] else { return nil }
        // Four digits of the year, so that no sum below can leave its range.
        guard let seconds = value.double, (0...253_402_300_799).contains(seconds) else { throw .invalidClaim(name) }
        return WallTime(milliseconds: Int64(seconds * 1000))
    }

    private static func checkAudience(_ payload: JSONValue) throws(TokenError) {
        switch payload[ClaimName.audience.rawValue] {
        case nil: throw .missingClaim(.audience)
        case .string(let one): guard one == audience else { throw .wrongAudience }
        case .array(let many):
            guard many.allSatisfy({ $0.string != nil }) else { throw .invalidClaim(.audience) }
            guard many.contains(.string(audience)) else { throw .wrongAudience }
        default: throw .invalidClaim(.audience)
        }
    }

    private static func address(of payload: JSONValue) throws(TokenError) -> DeviceAddress {
        guard let user = try text(.user, of: payload) else { throw .missingClaim(.user) }
        guard let device = try text(.device, of: payload) else { throw .missingClaim(.device) }
        var tenant = Tenant.default
        if let name = try text(.tenant, of: payload) {
            guard let named = Tenant(name) else { throw .invalidClaim(.tenant) }
            tenant = named
        }
        guard let owner = UserAddress(tenant: tenant, user: user) else { throw .invalidClaim(.user) }
        guard let address = DeviceAddress(owner: owner, device: device) else { throw .invalidClaim(.device) }
        return address
    }

    private static func scopes(of payload: JSONValue) throws(TokenError) -> Set<String> {
        guard let value = payload[ClaimName.scope.rawValue] else { return [] }
        guard let text = value.string else { throw .invalidClaim(.scope) }
        let words = text.split(separator: " ")
        guard words.count <= maxScopes else { throw .invalidClaim(.scope) }
        return Set(words.map(String.init))
    }
}
