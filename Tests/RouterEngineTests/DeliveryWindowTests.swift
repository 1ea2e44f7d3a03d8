import Testing
import Wire

@testable import RouterEngine

@Suite struct DeliveryWindowTests {
    private func page(_ sequences: [UInt64], last: UInt64, overflowed: UInt64 = 0, isComplete: Bool = true)
        -> DeliveryWindow.Page
    {
        DeliveryWindow.Page(
            sequences: sequences, lastSequence: last, overflowedThrough: overflowed, isComplete: isComplete)
    }

    @Test func anEmptyInboxIsDrainedAndThenLive() {
        var window = DeliveryWindow(credit: 2, acknowledged: 0, position: 0, lastSequence: 0)
        #expect(window.begin() == [.drained])
        #expect(window.committed(1) == (true, []))
        #expect(window.committed(2) == (true, []))
        #expect(window.committed(3) == (false, []), "no credit is left")
        let (through, actions) = window.acknowledge(1)
        #expect(through == 1)
        #expect(actions == [.read(.init(after: 2, limit: 1))])
        #expect(window.received(page([3], last: 3)) == [.deliver(0)], "drained is said once")
        #expect(window.acknowledge(3).through == 3)
        #expect(window.committed(4) == (true, []))
    }

    @Test func aBacklogComesInPagesWithinTheCredit() {
        var window = DeliveryWindow(credit: 2, acknowledged: 10, position: 10, lastSequence: 15)
        #expect(window.begin() == [.read(.init(after: 10, limit: 2))])
        #expect(window.committed(16) == (false, []), "a page is on its way")
        #expect(window.received(page([11, 12], last: 16, isComplete: false)) == [.deliver(0), .deliver(1)])
        #expect(window.acknowledge(12).actions == [.read(.init(after: 12, limit: 2))])
        #expect(window.received(page([13, 14], last: 16, isComplete: false)) == [.deliver(0), .deliver(1)])
        #expect(window.acknowledge(14).actions == [.read(.init(after: 14, limit: 2))])
        #expect(window.received(page([15, 16], last: 16)) == [.deliver(0), .deliver(1), .drained])
    }

    @Test func holesAreGapsWithTheirReason() {
        var window = DeliveryWindow(credit: 10, acknowledged: 0, position: 0, lastSequence: 12)
        _ = window.begin()
        #expect(
            window.received(page([6, 9], last: 12, overflowed: 3)) == [
                .gap(.init(from: 1, to: 3, reason: .overflowed)), .gap(.init(from: 4, to: 5, reason: .expired)),
                .deliver(0), .gap(.init(from: 7, to: 8, reason: .expired)), .deliver(1),
                .gap(.init(from: 10, to: 12, reason: .expired)), .drained,
            ])
        #expect(window.acknowledge(12).through == 12, "a gap can be acknowledged")
        #expect(window.committed(13) == (true, []))
    }

    @Test func aPageAheadOfItsNoticesSendsNothingTwice() {
        var window = DeliveryWindow(credit: 10, acknowledged: 0, position: 0, lastSequence: 1)
        _ = window.begin()
        #expect(window.received(page([1, 2, 3], last: 3)) == [.deliver(0), .deliver(1), .deliver(2), .drained])
        #expect(window.committed(2) == (false, []))
        #expect(window.committed(3) == (false, []))
        #expect(window.committed(4) == (true, []))
    }

    @Test func acknowledgementsBeyondWhatWasSentCountForWhatWasSent() {
        var window = DeliveryWindow(credit: 10, acknowledged: 5, position: 5, lastSequence: 5)
        _ = window.begin()
        #expect(window.acknowledge(.max).through == nil)
        _ = window.committed(6)
        #expect(window.acknowledge(.max).through == 6)
        #expect(window.acknowledge(3).through == nil)
    }

    @Test func nothingLeavesBeforeTheWelcome() {
        var window = DeliveryWindow(credit: 10, acknowledged: 0, position: 0, lastSequence: 0)
        #expect(window.committed(1) == (false, []))
        #expect(window.begin() == [.read(.init(after: 0, limit: 10))])
    }

    @Test func whatAResumePointNamesCountsAsSentButNotAgainstTheCredit() {
        var window = DeliveryWindow(credit: 2, acknowledged: 3, position: 5, lastSequence: 9)
        #expect(window.begin() == [.read(.init(after: 5, limit: 2))])
        _ = window.received(page([6, 7], last: 9, isComplete: false))
        #expect(window.acknowledge(5).through == 5)
        #expect(window.acknowledge(7).actions == [.read(.init(after: 7, limit: 2))])
    }

    @Test func aFailedReadIsTriedAgain() {
        var window = DeliveryWindow(credit: 10, acknowledged: 0, position: 0, lastSequence: 1)
        _ = window.begin()
        window.readFailed()
        #expect(window.retry() == [.read(.init(after: 0, limit: 10))])
        #expect(window.retry() == [])
        window.readFailed()
        #expect(window.committed(2) == (false, [.read(.init(after: 0, limit: 10))]))
    }
}
