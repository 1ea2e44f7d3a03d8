/// An entity tag and the conditions on it (RFC 9110 sections 8.8.3 and 13).
package struct EntityTag: Equatable, Sendable {
    package var isWeak: Bool
    /// Without the quotes.
    package var opaque: String

    package init(_ opaque: String, isWeak: Bool = false) {
        self.opaque = opaque
        self.isWeak = isWeak
    }

    package var text: String { (isWeak ? "W/\"" : "\"") + opaque + "\"" }

    package func matchesStrongly(_ other: EntityTag) -> Bool { !isWeak && !other.isWeak && opaque == other.opaque }
    package func matchesWeakly(_ other: EntityTag) -> Bool { opaque == other.opaque }

    /// What a list of tags says: `*`, or tags. Nil if it is malformed.
    package enum List: Equatable, Sendable {
        case any
        case tags([EntityTag])

        package init?(_ field: String) {
            let bytes = Array(field.utf8)
            var index = 0
            func skip(_ also: UInt8?) {
                while index < bytes.count, bytes[index] == 32 || bytes[index] == 9 || bytes[index] == also {
                    index += 1
                }
            }
            skip(nil)
            if index < bytes.count, bytes[index] == UInt8(ascii: "*") {
                index += 1
                skip(nil)
                guard index == bytes.count else { return nil }
                self = .any
                return
            }
            var tags: [EntityTag] = []
            while true {
                skip(UInt8(ascii: ","))
                if index == bytes.count { break }
                var isWeak = false
                if bytes[index] == UInt8(ascii: "W"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "/") {
                    isWeak = true
                    index += 2
                }
                guard index < bytes.count, bytes[index] == 0x22 else { return nil }
                let start = index + 1
                index = start
                while index < bytes.count, bytes[index] != 0x22 {
                    guard bytes[index] > 0x20, bytes[index] != 0x7F else { return nil }
                    index += 1
                }
                guard index < bytes.count else { return nil }
                tags.append(EntityTag(String(decoding: bytes[start..<index], as: UTF8.self), isWeak: isWeak))
                index += 1
                skip(nil)
                guard index == bytes.count || bytes[index] == UInt8(ascii: ",") else { return nil }
            }
            guard !tags.isEmpty else { return nil }
            self = .tags(tags)
        }
    }
}
