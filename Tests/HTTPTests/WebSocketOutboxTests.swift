import Testing

@testable import HTTP

@Suite struct WebSocketOutboxTests {
    @Test func tinyFramesAreBoundedByTheMemoryThatTheyTake() {
        var outbox = WebSocketOutbox(maxBytes: 65_536)
        var count = 0
        while outbox.add([0x8A, 0]) != .full { count += 1 }
        #expect((1000...1100).contains(count))
        #expect(outbox.close(with: [0x88, 0], dropping: false) == .queued(startsWriter: false))
        var bytes = 0
        while case let batch = outbox.nextBatch(), !batch.isEmpty { bytes += batch.count }
        #expect(bytes == (count + 1) * 2)
    }

    @Test func largeFramesAreBoundedByTheirBytes() {
        var outbox = WebSocketOutbox(maxBytes: 65_536)
        // One that is larger than the bound goes when nothing else waits.
        #expect(outbox.add([UInt8](repeating: 0, count: 100_000)) == .queued(startsWriter: true))
        #expect(outbox.add([0]) == .full)
        #expect(outbox.nextBatch().count == 100_000)
        #expect(outbox.nextBatch().isEmpty)
        #expect(outbox.add([UInt8](repeating: 0, count: 65_536)) == .queued(startsWriter: true))
        #expect(outbox.add([0]) == .full)
    }
}
