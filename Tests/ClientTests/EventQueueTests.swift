import Testing

@testable import Client

struct EventQueueTests {
    @Test func elementsComeInOrderAndThenTheEnd() async {
        let queue = EventQueue<Int>(capacity: 10)
        for number in 1...3 { await queue.put(number) }
        queue.end()
        #expect(await queue.next() == 1)
        #expect(await queue.next() == 2)
        #expect(await queue.next() == 3)
        #expect(await queue.next() == nil)
    }

    @Test func aFullQueueMakesTheProducerWait() async {
        let queue = EventQueue<Int>(capacity: 4)
        let producer = Task {
            for number in 0..<1000 { await queue.put(number) }
            queue.end()
        }
        var taken: [Int] = []
        while let number = await queue.next() { taken.append(number) }
        await producer.value
        #expect(taken == Array(0..<1000))
    }

    @Test func aCancelledConsumerGetsNothingAndTakesNothing() async {
        let queue = EventQueue<Int>(capacity: 4)
        let consumer = Task { await queue.next() }
        consumer.cancel()
        #expect(await consumer.value == nil)
        await queue.put(7)
        #expect(await queue.next() == 7)
    }

    @Test func theEndReleasesAProducer() async {
        let queue = EventQueue<Int>(capacity: 1)
        let producer = Task {
            await queue.put(1)
            await queue.put(2)
        }
        #expect(await queue.next() == 1)
        queue.end()
        await producer.value
    }
}
