package import Base
import Crypto

/// One of 4,096 slots onto which accounts, groups and media hash. A slot is the unit that moves between centrals: all
/// that a decision reads and writes lies in one slot, and effects on another go through the outbox.
package struct Slot: Hashable, Sendable, BitwiseCopyable {
    package static let count = 4096

    /// 0 to 4,095.
    package let number: UInt16

    private init(tenant: Tenant, id: some Sequence<UInt8>) {
        var input = Array(tenant.rawValue.utf8)
        input.append(0)
        input.append(contentsOf: id)
        let hash = Digest.sha256(input)
        number = UInt16(hash[0]) << 4 | UInt16(hash[1]) >> 4
    }

    package init(_ user: UserAddress) { self.init(tenant: user.tenant, id: user.user.utf8) }
    package init(tenant: Tenant, group: UUID) { self.init(tenant: tenant, id: group.bytes) }
    package init(tenant: Tenant, media: MediaID) { self.init(tenant: tenant, id: media.bytes) }
}
