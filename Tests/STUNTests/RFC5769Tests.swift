import Base
import STUN
import Testing

@Suite struct RFC5769Tests {
    @Test func request() throws {
        let bytes = RFC5769.request
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.type, STUNMessageType(.binding, .request))
        expectEqual(message.transactionID, TransactionID(high: 0xb7e7_a701, low: 0xbc34_d686_fa87_dfae))
        expectEqual(message.text(.software), "STUN test client")
        expectEqual(message.text(.username), "evtj:h6vY")
        expectEqual(message.number(STUNAttributeType(rawValue: 0x0024)), 0x6e00_01ff)
        expectEqual(message.hasFingerprint, true)
        expectEqual(message.hasValidIntegrity(RFC5769.password), true)
        expectEqual(message.hasValidIntegrity(LongTermKey(bytes: "another".utf8)!), false)
        expectEqual(message.unknownAttributes(limit: 8), [STUNAttributeType(rawValue: 0x0024)])
    }

    @Test func responseToIPv4() throws {
        let bytes = RFC5769.responseV4
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.type, STUNMessageType(.binding, .success))
        expectEqual(message.xorAddress(.xorMappedAddress), SocketAddress("192.0.2.1:32853"))
        expectEqual(message.text(.software), "test vector")
        expectEqual(message.hasFingerprint, true)
        expectEqual(message.hasValidIntegrity(RFC5769.password), true)
    }

    @Test func responseToIPv6() throws {
        let bytes = RFC5769.responseV6
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(
            message.xorAddress(.xorMappedAddress), SocketAddress("[2001:db8:1234:5678:11:2233:4455:6677]:32853"))
        expectEqual(message.hasFingerprint, true)
        expectEqual(message.hasValidIntegrity(RFC5769.password), true)
    }

    @Test func requestWithLongTermCredentials() throws {
        let bytes = RFC5769.longTermRequest
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.text(.username), "マトリックス")
        expectEqual(message.text(.realm), "example.org")
        expectEqual(message.text(.nonce), "f//499k954d6OL34oL9FSTvy64sA")
        expectEqual(message.hasFingerprint, false)
        let key = LongTermKey(username: "マトリックス", realm: "example.org", password: "TheMatrIX")
        expectEqual(message.hasValidIntegrity(key), true)
    }

    @Test(arguments: [RFC5769.request, RFC5769.responseV4, RFC5769.responseV6])
    func fingerprintCoversEveryByte(vector: [UInt8]) throws {
        for index in 0..<vector.count - 8 {
            var changed = vector
            changed[index] ^= 0x01
            #expect(throws: STUNError.self) { _ = try STUNMessage(changed.span.bytes).transactionID }
        }
    }

    /// What we write equals the vectors, save for the padding, which may be any bytes.
    @Test func writesTheLongTermRequest() throws {
        var buffer = [UInt8](repeating: 0xFF, count: 200)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(
                into: buffer, type: STUNMessageType(.binding, .request),
                transactionID: TransactionID(high: 0x78ad_3433, low: 0xc6ad_72c0_29da_412e))
            writer.append(.username, text: "マトリックス")
            writer.append(.nonce, text: "f//499k954d6OL34oL9FSTvy64sA")
            writer.append(.realm, text: "example.org")
            return writer.finish(
                integrity: (
                    .sha1, LongTermKey(username: "マトリックス", realm: "example.org", password: "TheMatrIX")
                ))
        }
        #expect(Array(buffer[..<count]) == RFC5769.longTermRequest)
    }
}
