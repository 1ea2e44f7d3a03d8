import Base
import STUN
import Testing

@Suite struct STUNMessageTests {
    static let transactionID = TransactionID(high: 0x0102_0304, low: 0x0506_0708_090A_0B0C)

    static func message(
        _ type: STUNMessageType = STUNMessageType(.allocate, .request), integrity: (STUNIntegrity, LongTermKey)? = nil,
        fingerprint: Bool = false,
        _ body: (inout STUNWriter) -> Void
    ) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(into: buffer, type: type, transactionID: transactionID)
            body(&writer)
            return writer.finish(integrity: integrity, fingerprint: fingerprint)
        }
        return Array(buffer[..<count])
    }

    @Test(arguments: [STUNMethod.binding, .allocate, .refresh, .send, .data, .createPermission, .channelBind])
    func typesSurvive(method: STUNMethod) throws {
        for messageClass in [STUNClass.request, .indication, .success, .error] {
            let type = STUNMessageType(method, messageClass)
            let bytes = Self.message(type) { _ in }
            expectEqual(try STUNMessage(bytes.span.bytes).type, type)
        }
    }

    @Test func valuesSurvive() throws {
        let addresses = ["192.0.2.7:443", "[2001:db8::9]:65535", "0.0.0.0:0"].compactMap { SocketAddress($0) }
        let bytes = Self.message {
            $0.append(.lifetime, number: 600)
            $0.append(.requestedTransport, leadingByte: 17)
            $0.append(channelNumber: 0x4FFF)
            $0.append(error: .allocationQuotaReached)
            $0.append(.data, bytes: [1, 2, 3, 4, 5])
            for address in addresses { $0.append(.xorPeerAddress, xorAddress: address) }
        }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.number(.lifetime), 600)
        expectEqual(message.leadingByte(.requestedTransport), 17)
        expectEqual(message.channelNumber, 0x4FFF)
        expectEqual(message.errorCode, .allocationQuotaReached)
        expectEqual(message.value(.data), [1, 2, 3, 4, 5])
        expectEqual(message.xorAddress(.xorPeerAddress), addresses[0])
        var read: [SocketAddress] = []
        var current = message.attribute()
        while let attribute = current {
            if attribute.type == .xorPeerAddress, let address = message.xorAddress(attribute) { read.append(address) }
            current = message.attribute(after: attribute)
        }
        #expect(read == addresses)
        expectEqual(message.isUnderstood, true)
    }

    @Test func attributesAfterIntegrityAreIgnored() throws {
        let key = LongTermKey(bytes: "key".utf8)!
        var bytes = Self.message(integrity: (.sha1, key)) { $0.append(.lifetime, number: 600) }
        bytes += [0x00, 0x12, 0x00, 0x08, 0, 1, 0, 0, 0, 0, 0, 0]
        bytes += [0x7F, 0xFF, 0x00, 0x00]
        bytes[3] = UInt8(bytes.count - 20)
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.hasValidIntegrity(key), true)
        expectEqual(message.xorAddress(.xorPeerAddress), nil)
        expectEqual(message.isUnderstood, true)
        expectEqual(message.number(.lifetime), 600)
    }

    @Test func unknownAttributesAreListed() throws {
        let types = [0x7F00, 0x0003, 0x7F00, 0x8FFF].map { STUNAttributeType(rawValue: $0) }
        let bytes = Self.message { for type in types { $0.append(type, number: 0) } }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.isUnderstood, false)
        expectEqual(message.unknownAttributes(limit: 8), [types[0], types[1]])
        expectEqual(message.unknownAttributes(limit: 1), [types[0]])
    }

    @Test(
        arguments: [
            ([], .truncated),
            (Array(repeating: 0, count: 19), .truncated),
            ([0x40, 0x01, 0, 0, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 12), .notSTUN),
            ([0x00, 0x01, 0, 0, 0x21, 0x12, 0xA4, 0x43] + Array(repeating: 0, count: 12), .notSTUN),
            ([0x00, 0x01, 0, 2, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 14), .badLength),
            ([0x00, 0x01, 0, 0, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 13), .badLength),
            ([0x00, 0x01, 0, 4, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 12), .truncated),
            ([0x00, 0x01, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 40), .truncated),
            (
                [0x00, 0x01, 0, 4, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 12) + [0, 6, 0, 1],
                .attributeOverrun
            ),
            (
                [0x00, 0x01, 0, 4, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 12) + [0, 6, 255, 255],
                .attributeOverrun
            ),
            (
                [0x00, 0x01, 0, 4, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 12) + [0, 8, 0, 0],
                .badIntegrityAttribute
            ),
            (
                [0x00, 0x01, 0, 4, 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 0, count: 12) + [0x80, 0x28, 0, 0],
                .badIntegrityAttribute
            ),
        ] as [([UInt8], STUNError)])
    func malformed(bytes: [UInt8], error: STUNError) {
        #expect(throws: error) { _ = try STUNMessage(bytes.span.bytes).transactionID }
    }

    /// Every prefix and every single-byte change of a whole request, and random bytes behind a valid header: whatever
    /// is accepted can be read in every way.
    @Test func survivesHostileBytes() {
        var generator = Seeded(state: 0x5EED)
        let whole = Self.message(integrity: (.sha1, LongTermKey(bytes: [1])!)) {
            $0.append(.username, text: "1:default:alice")
            $0.append(.xorPeerAddress, xorAddress: SocketAddress(.loopbackV6, port: 9))
            $0.append(.data, bytes: [9, 9, 9])
            $0.append(error: .forbidden)
        }
        for count in 0..<whole.count { read(Array(whole[..<count])) }
        for index in whole.indices {
            for _ in 0..<8 {
                var changed = whole
                changed[index] = UInt8.random(in: .min ... .max, using: &generator)
                read(changed)
            }
        }
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...16, using: &generator) * 4).map { _ in
                UInt8.random(in: 0...40, using: &generator)
            }
            read([0, 3, 0, UInt8(bytes.count), 0x21, 0x12, 0xA4, 0x42] + Array(repeating: 7, count: 12) + bytes)
        }
    }

    private func read(_ bytes: [UInt8]) {
        _ = ChannelData.read(bytes.span.bytes)
        guard let message = try? STUNMessage(bytes.span.bytes) else { return }
        _ = message.unknownAttributes(limit: 4)
        _ = message.isUnderstood
        _ = message.hasValidIntegrity(LongTermKey(bytes: [1])!)
        _ = (message.errorCode, message.channelNumber, message.text(.username))
        var current = message.attribute()
        while let attribute = current {
            _ = message.xorAddress(attribute)
            _ = message.value(attribute.type)
            _ = message.number(attribute.type)
            current = message.attribute(after: attribute)
        }
    }
}

struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}
