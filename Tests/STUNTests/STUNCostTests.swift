import Base
import CAllocationCounter
import STUN
import Testing

/// Counted, not timed: what a server does with each request, or each packet, allocates nothing.
@Suite struct STUNCostTests {
    private static let key = LongTermKey(username: "a", realm: "b", password: "c", algorithm: .sha256)

    /// Heap allocations of this thread while the body runs a hundred times, after one time that may make tables.
    private func allocations(_ body: () -> Void) -> UInt64 {
        body()
        let before = skerry_allocations_on_this_thread()
        for _ in 0..<100 { body() }
        return skerry_allocations_on_this_thread() - before
    }

    private func written(_ buffer: UnsafeMutableRawBufferPointer, _ integrity: STUNIntegrity) -> Int {
        var writer = STUNWriter(
            into: buffer, type: STUNMessageType(.allocate, .success), transactionID: TransactionID(high: 1, low: 2))
        writer.append(.xorRelayedAddress, xorAddress: SocketAddress(.loopbackV6, port: 9))
        writer.append(.alternateServer, address: SocketAddress(.loopbackV4, port: 9))
        writer.append(.lifetime, number: 600)
        writer.append(addressError: .insufficientCapacity, family: .v6)
        return writer.finish(integrity: (integrity, Self.key), fingerprint: true)
    }

    @Test(arguments: [STUNIntegrity.sha1, .sha256])
    func writing(integrity: STUNIntegrity) {
        withUnsafeTemporaryAllocation(byteCount: 512, alignment: 8) { buffer in
            #expect(allocations { _ = written(buffer, integrity) } == 0)
        }
    }

    @Test(arguments: [STUNIntegrity.sha1, .sha256])
    func reading(integrity: STUNIntegrity) {
        withUnsafeTemporaryAllocation(byteCount: 512, alignment: 8) { buffer in
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<written(buffer, integrity)])
            var authentic = 0
            let counted = allocations {
                guard let message = try? STUNMessage(bytes.bytes), message.isUnderstood,
                    message.hasValidIntegrity(Self.key), message.xorAddress(.xorRelayedAddress) != nil,
                    message.address(.alternateServer) != nil, message.number(.lifetime) == 600
                else { return }
                authentic += 1
            }
            #expect(authentic == 101)
            #expect(counted == 0)
        }
    }

    @Test func framing() throws {
        let framer = STUNStreamFramer(maxMessageByteCount: 1500)
        let bytes: [UInt8] = [0x40, 0, 0, 5] + Array(repeating: 0, count: 8)
        #expect(allocations { _ = try? framer.next(bytes.span.bytes) } == 0)
    }

    /// Eight bytes at a time make the checksum that one bit at a time does.
    @Test func fingerprintsOfEveryLength() throws {
        for count in 0..<40 {
            let bytes = STUNMessageTests.message(fingerprint: true) {
                $0.append(.software, bytes: (0..<count).map { UInt8($0 * 37 & 0xFF) })
            }
            let body = bytes.dropLast(8)
            let expected = body.reduce(UInt32.max) { value, byte in
                (0..<8).reduce(value ^ UInt32(byte)) { value, _ in
                    value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320
                }
            }
            let message = try STUNMessage(bytes.span.bytes)
            expectEqual(message.hasFingerprint, true)
            let given = bytes.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            #expect(given == ~expected ^ 0x5354_554E)
        }
    }
}
