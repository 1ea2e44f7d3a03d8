import Base
import Crypto
import STUN
import Testing

/// The sample message of RFC 8489 appendix B.1, with erratum 6268: its length, PASSWORD-ALGORITHM and the code.
@Suite struct RFC8489Tests {
    static let request =
        Hex.decode(
            """
            000100902112a44278ad3433c6ad72c029da412e\
            001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704\
            001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341000000\
            0014000b6578616d706c652e6f726700\
            001d000400020000\
            001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65
            """) ?? []
    static let key = LongTermKey(
        username: "マトリックス", realm: "example.org", password: "TheMatrIX", algorithm: .sha256)

    @Test func requestWithUserhashAndSHA256() throws {
        let message = try STUNMessage(Self.request.span.bytes)
        expectEqual(message.integrity, .sha256)
        expectEqual(message.hasValidIntegrity(Self.key), true)
        expectEqual(
            message.hasValidIntegrity(LongTermKey(username: "マトリックス", realm: "example.org", password: "TheMatrIX")),
            false)
        expectEqual(message.isUnderstood, true)
        expectEqual(message.text(.realm), "example.org")
        expectEqual(message.text(.nonce), "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
    }

    @Test func writesTheRequest() throws {
        let read = try STUNMessage(Self.request.span.bytes)
        var buffer = [UInt8](repeating: 0xFF, count: 200)
        let transactionID = read.transactionID
        let userhash = read.value(.userhash) ?? []
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(
                into: buffer, type: STUNMessageType(.binding, .request), transactionID: transactionID)
            writer.append(.userhash, bytes: userhash)
            writer.append(.nonce, text: "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
            writer.append(.realm, text: "example.org")
            writer.append(.passwordAlgorithm, number: 0x0002_0000)
            return writer.finish(integrity: (.sha256, Self.key))
        }
        #expect(Array(buffer[..<count]) == Self.request)
    }

    /// The code covers every byte in front of it.
    @Test func integrityCoversEveryByte() throws {
        for index in Self.request.indices where index < 128 && ![2, 3].contains(index) {
            var changed = Self.request
            changed[index] ^= 0x01
            // Some changes break the structure.
            guard let message = try? STUNMessage(changed.span.bytes) else { continue }
            expectEqual(message.hasValidIntegrity(Self.key), false)
        }
    }

    /// A code of 16 to 28 bytes is well-formed, and never enough here (section 14.6).
    @Test(arguments: [12, 14, 16, 20, 28, 36])
    func truncatedIntegrity(count: Int) throws {
        var bytes = Array(Self.request[..<128])
        bytes += [0, 0x1C, 0, UInt8(count)] + Self.request[132...].prefix(count)
        bytes += Array(repeating: 0, count: ((count + 3) & ~3) - min(count, 32))
        bytes[3] = UInt8(bytes.count - 20)
        if (16...32).contains(count), count % 4 == 0 {
            let message = try STUNMessage(bytes.span.bytes)
            expectEqual(message.integrity, .sha256)
            expectEqual(message.hasValidIntegrity(Self.key), false)
        } else {
            #expect(throws: STUNError.badIntegrityAttribute) { _ = try STUNMessage(bytes.span.bytes).transactionID }
        }
    }

    /// MESSAGE-INTEGRITY in front of MESSAGE-INTEGRITY-SHA256: the stronger is checked, and what stands between is ignored
    /// (section 14.5); the other way round, MESSAGE-INTEGRITY is ignored (section 14.6).
    @Test func bothCodes() throws {
        func message(
            _ first: STUNIntegrity, _ second: STUNIntegrity, _ key: LongTermKey, _ other: LongTermKey
        ) -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: 200)
            let type = STUNMessageType(.allocate, .request)
            let id = TransactionID(high: 1, low: 2)
            let inner = buffer.withUnsafeMutableBytes { buffer in
                var writer = STUNWriter(into: buffer, type: type, transactionID: id)
                writer.append(.lifetime, number: 600)
                return writer.finish(integrity: (first, key))
            }
            let written = Array(buffer[..<inner])
            let count = buffer.withUnsafeMutableBytes { buffer in
                var writer = STUNWriter(into: buffer, type: type, transactionID: id)
                writer.append(.lifetime, number: 600)
                writer.append(
                    first == .sha1 ? .messageIntegrity : .messageIntegritySHA256, bytes: written[32...])
                writer.append(.channelNumber, number: 7)
                return writer.finish(integrity: (second, other), fingerprint: true)
            }
            return Array(buffer[..<count])
        }
        let other = LongTermKey(username: "a", realm: "b", password: "c")
        let rising = message(.sha1, .sha256, other, Self.key)
        let read = try STUNMessage(rising.span.bytes)
        expectEqual(read.integrity, .sha256)
        expectEqual(read.hasValidIntegrity(Self.key), true)
        expectEqual(read.hasValidIntegrity(other), false)
        expectEqual(read.attribute(.channelNumber), nil)
        expectEqual(read.hasFingerprint, true)

        let falling = message(.sha256, .sha1, Self.key, other)
        let reread = try STUNMessage(falling.span.bytes)
        expectEqual(reread.integrity, .sha256)
        expectEqual(reread.hasValidIntegrity(Self.key), true)
        expectEqual(reread.attribute(.channelNumber), nil)
    }

    @Test(arguments: [[], Array(repeating: 1, count: 33)] as [[UInt8]])
    func keysThatDoNotFit(bytes: [UInt8]) {
        #expect(LongTermKey(bytes: bytes) == nil)
    }

    @Test func keysAreTheirBytes() {
        for count in 1...32 {
            let bytes = (0..<count).map { UInt8($0 * 7) }
            #expect(LongTermKey(bytes: bytes)?.bytes == bytes)
        }
        #expect(LongTermKey(bytes: [1]) != LongTermKey(bytes: [1, 0]))
    }
}
