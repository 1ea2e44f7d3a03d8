import Base
import STUN
import Testing

@Suite struct ChannelDataTests {
    @Test func survives() {
        var bytes: [UInt8] = [0, 0, 0, 0, 1, 2, 3]
        bytes.withUnsafeMutableBytes { ChannelData.writeHeader(channel: 0x4001, payloadCount: 3, into: $0) }
        #expect(bytes == [0x40, 0x01, 0, 3, 1, 2, 3])
        #expect(ChannelData.read(bytes.span.bytes) == ChannelData.Header?.some(.init(channel: 0x4001, payload: 4..<7)))
    }

    @Test func paddingIsAllowedAndNotPayload() {
        let bytes: [UInt8] = [0x40, 0x01, 0, 1, 9, 0, 0, 0]
        #expect(ChannelData.read(bytes.span.bytes)?.payload == 4..<5)
    }

    @Test(
        arguments: [
            [], [0x40], [0x40, 0, 0], [0x40, 0, 0, 1], [0x3F, 0xFF, 0, 0], [0x80, 0, 0, 0], [0x40, 0, 0xFF, 0xFF, 1],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) {
        #expect(ChannelData.read(bytes.span.bytes) == nil)
    }

    @Test(arguments: ["192.0.2.1:5000", "[2001:db8::1]:5000"], 0...5)
    func dataIndicationIsWrittenAroundThePayload(peer: String, count: Int) throws {
        let peer = try #require(SocketAddress(peer))
        let header = DataIndication.headerByteCount(peer: peer.ip.family)
        let payload = (0..<count).map { UInt8($0 + 1) }
        var bytes = Array(repeating: UInt8(0xAA), count: header) + payload
        bytes += Array(repeating: 0xBB, count: DataIndication.paddingByteCount(payloadCount: count))
        bytes.withUnsafeMutableBytes {
            DataIndication.write(
                into: $0, payloadCount: count, peer: peer, transactionID: TransactionID(high: 1, low: 2))
        }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.type, STUNMessageType(.data, .indication))
        expectEqual(message.xorAddress(.xorPeerAddress), peer)
        expectEqual(message.value(.data), payload)
    }
}
