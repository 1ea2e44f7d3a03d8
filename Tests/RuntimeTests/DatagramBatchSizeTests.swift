import Testing

@testable import Runtime

@Suite struct DatagramBatchSizeTests {
    /// Messages wait, and the socket is told of them in this turn of the loop; what it asks for, call by call.
    private func limits(_ size: inout DatagramBatchSize, waiting: Int, iteration: UInt64) -> [Int] {
        var limits: [Int] = []
        var waiting = waiting
        size.begin(iteration: iteration)
        for _ in 0..<4 where waiting > 0 {
            limits.append(size.limit)
            let count = min(waiting, size.limit)
            waiting -= count
            size.received(count)
            if count == 1 || count == DatagramArena.capacity { break }
        }
        return limits
    }

    @Test func `single messages are asked for one by one`() {
        var size = DatagramBatchSize()
        #expect(limits(&size, waiting: 1, iteration: 1) == [32])
        for iteration in stride(from: 10, to: 100, by: 2) as StrideTo<UInt64> {
            #expect(limits(&size, waiting: 1, iteration: iteration) == [1])
        }
    }

    @Test func `a burst is found in the next turn, and those after it at once`() {
        var size = DatagramBatchSize()
        _ = limits(&size, waiting: 1, iteration: 1)
        // Nothing found in the call for 32: twice the patience.
        #expect(limits(&size, waiting: 32, iteration: 10) == [1])
        #expect(limits(&size, waiting: 31, iteration: 11) == [1])
        #expect(limits(&size, waiting: 30, iteration: 12) == [4, 16, 32])
        #expect(limits(&size, waiting: 20, iteration: 20) == [10, 32])
        #expect(limits(&size, waiting: 40, iteration: 30) == [10, 32])
        #expect(limits(&size, waiting: 1, iteration: 40) == [30])
        // The patience begins anew.
        #expect(limits(&size, waiting: 6, iteration: 50) == [1])
        #expect(limits(&size, waiting: 5, iteration: 51) == [1])
        #expect(limits(&size, waiting: 4, iteration: 52) == [4])
    }

    @Test func `one message in every turn is asked for alone nearly always`() {
        var size = DatagramBatchSize()
        let calls = (1...1_000 as ClosedRange<UInt64>).map { limits(&size, waiting: 1, iteration: $0) }
        #expect(calls.filter { $0 != [1] }.count < 25)
    }
}
