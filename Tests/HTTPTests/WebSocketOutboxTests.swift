import Testing
import WebSocketCodec

@testable import HTTP

@Suite struct WebSocketOutboxTests {
    private func add(_ count: Int, to outbox: inout WebSocketOutbox) -> WebSocketOutbox.Admission {
        [UInt8](repeating: 7, count: count).withUnsafeBytes { outbox.add(.binary, $0, mask: nil) }
    }

    private func close(_ outbox: inout WebSocketOutbox, dropping: Bool) -> WebSocketOutbox.Admission {
        WebSocketFrame.closePayload(code: 1000, reason: "").withUnsafeBytes {
            outbox.close($0, mask: nil, dropping: dropping)
        }
    }

    @Test func framesOfOneTurnLeaveTogether() {
        var outbox = WebSocketOutbox(maxBytes: 65_536)
        #expect(add(1, to: &outbox) == .queued(needsSender: true))
        #expect(add(2, to: &outbox) == .queued(needsSender: false))
        #expect(outbox.nextBatch() == [0x82, 1, 7, 0x82, 2, 7, 7])
        // While those are being sent.
        #expect(!outbox.isEmpty)
        #expect(add(1, to: &outbox) == .queued(needsSender: false))
        #expect(outbox.nextBatch() == [0x82, 1, 7])
        #expect(outbox.nextBatch().isEmpty && outbox.isEmpty)
        #expect(add(1, to: &outbox) == .queued(needsSender: true))
    }

    @Test func tinyFramesAreBoundedByTheMemoryThatTheyTake() {
        var outbox = WebSocketOutbox(maxBytes: 65_536)
        var count = 0
        while add(0, to: &outbox) != .full { count += 1 }
        #expect((30_000...32_768).contains(count))
        #expect(close(&outbox, dropping: false) == .queued(needsSender: false))
        #expect(add(0, to: &outbox) == .closed && close(&outbox, dropping: true) == .closed)
        var bytes: [UInt8] = []
        while case let batch = outbox.nextBatch(), !batch.isEmpty { bytes += batch }
        #expect(bytes.count == count * 2 + 4)
        #expect(bytes.suffix(4) == [0x88, 2, 0x03, 0xE8])
    }

    @Test func largeFramesAreBoundedByTheirBytes() {
        var outbox = WebSocketOutbox(maxBytes: 100_000)
        // One that is larger than the bound goes when nothing else waits.
        #expect(add(200_000, to: &outbox) == .queued(needsSender: true))
        #expect(add(0, to: &outbox) == .full)
        #expect(outbox.nextBatch().count == 200_010)
        #expect(add(0, to: &outbox) == .full)
        #expect(outbox.nextBatch().isEmpty)
        #expect(add(60_000, to: &outbox) == .queued(needsSender: true))
        #expect(add(30_000, to: &outbox) == .queued(needsSender: false))
        #expect(add(10_000, to: &outbox) == .full)
        #expect(outbox.nextBatch().count == 60_004)
        #expect(add(10_000, to: &outbox) == .full)
        #expect(outbox.nextBatch().count == 30_004)
        #expect(add(60_000, to: &outbox) == .queued(needsSender: false))
    }

    @Test func whatAPeerDoesNotReadIsForgottenAtTheEnd() {
        var outbox = WebSocketOutbox(maxBytes: 100_000)
        _ = add(100, to: &outbox)
        _ = outbox.nextBatch()
        for _ in 0..<9 { _ = add(10_000, to: &outbox) }
        #expect(close(&outbox, dropping: true) == .queued(needsSender: false))
        #expect(outbox.nextBatch().count == 4)
        outbox.abandon()
        #expect(outbox.isEmpty && outbox.nextBatch().isEmpty)
    }
}
