import Base
import Testing
import Wire

func user(_ name: String) throws -> UserAddress { try #require(UserAddress(tenant: .default, user: name)) }

func device(_ text: String) throws -> DeviceAddress {
    let parts = text.split(separator: "/")
    return try #require(DeviceAddress(owner: try user(String(parts[0])), device: parts[1]))
}

func id(_ number: UInt64) -> UUID { UUID(high: 0, low: number) }

let start = WallTime(milliseconds: 1_700_000_000_000)
