import Base
import Client
import Runtime
import Wire

/// One user's device in the demo: what it has been told, and waiting for what it has not.
///
/// Used on the loop that the demo runs on.
final class DemoDevice {
    let client: MessagingClient
    private let loop: EventLoop
    private var seen: [(event: MessagingEvent, at: WallTime)] = []

    init(_ client: MessagingClient, _ loop: EventLoop) {
        self.client = client
        self.loop = loop
    }

    /// Takes events until one is of the kind; those in between are kept for later calls.
    ///
    /// - Returns: what `pick` made of it, and when it came.
    func await<Picked>(
        _ what: String, within timeout: Duration = .seconds(10), _ pick: (MessagingEvent) -> Picked?
    ) async throws -> (picked: Picked, at: WallTime) {
        let deadline = loop.now + timeout
        var index = 0
        while true {
            while index < seen.count {
                if let picked = pick(seen[index].event) { return (picked, seen.remove(at: index).at) }
                index += 1
            }
            guard let event = await next(before: deadline) else {
                throw CommandFailure("\(what) did not come within \(formatDuration(timeout))")
            }
            if case .ended(let end) = event { throw end }
            if case .deliver(let delivery) = event { await client.acknowledge(delivery.sequence) }
            seen.append((event, WallClock.now()))
        }
    }

    private func next(before deadline: MonotonicInstant) async -> MessagingEvent? {
        let left = deadline - loop.now
        guard left > .zero else { return nil }
        let (events, loop) = (client.events, loop)
        return await withTaskGroup(of: MessagingEvent?.self) { group in
            group.addTask { await events.next() }
            group.addTask {
                try? await loop.sleep(for: left)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            // The event may have come together with the timeout.
            let second = await group.next() ?? nil
            return first ?? second
        }
    }

    func connect() async throws {
        await client.start()
        _ = try await self.await("the welcome") { event -> Bool? in
            if case .connected = event { true } else { nil }
        }
    }
}

/// Messages between two users, one of whom is away at first.
struct DemoMessaging {
    let alice: DemoDevice
    let bob: DemoDevice

    func run() async throws -> String {
        try await alice.connect()
        let texts = ["Are you there?", "I sent you a photo.", "Call me when you are back."]
        var ids: [UUID] = []
        for text in texts {
            ids.append(try await alice.client.send(Array(text.utf8), to: .user("bob")).id)
        }
        try await bob.connect()
        for (text, id) in zip(texts, ids) {
            let (delivery, _) = try await bob.await("a message that waited for bob", delivery)
            try require(
                delivery.payload == Array(text.utf8) && delivery.id == id,
                "bob got another message than expected, or in another order")
        }
        _ = try await bob.await("the end of bob's inbox") { event -> Bool? in
            if case .drained = event { true } else { nil }
        }
        let rounds = 20
        let start = MonotonicClock.now()
        for round in 1...rounds {
            _ = try await bob.client.send(Array("ping \(round)".utf8), to: .user("alice"))
            let (ping, _) = try await alice.await("bob's message", delivery)
            try require(ping.payload == Array("ping \(round)".utf8), "alice got another message than expected")
            _ = try await alice.client.send(Array("pong \(round)".utf8), to: .user("bob"))
            let (pong, _) = try await bob.await("alice's answer", delivery)
            try require(pong.payload == Array("pong \(round)".utf8), "bob got another answer than expected")
        }
        let each = (MonotonicClock.now() - start).nanoseconds / Int64(rounds)
        return
            "\(texts.count) waited for bob and came in order; \(rounds) there and back, \(formatTenths(Double(each) / 1e6)) ms each"
    }

    private func delivery(_ event: MessagingEvent) -> ServerFrame.Deliver? {
        if case .deliver(let delivery) = event { delivery } else { nil }
    }
}
