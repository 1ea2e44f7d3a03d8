import Base
import Client
import Runtime
import Wire

/// A status of alice's that lives for two seconds, watched by devices at different edges.
struct DemoStatus {
    let alice: DemoDevice
    /// Connected already, each at an edge of its own.
    let watchers: [(name: String, device: DemoDevice)]
    let loop: EventLoop

    /// How late the notice of the end may come; reads are exact.
    private static let noticeTolerance = Duration.milliseconds(250)

    func run() async throws -> String {
        let accepted = try await alice.client.postStatus(
            audience: watchers.map(\.name), payload: Array("On the ferry".utf8), expiresInMilliseconds: 2000)
        guard let expiry = accepted.expiresAt, let time = accepted.time else {
            throw CommandFailure("the answer to the post has no times")
        }
        try require(expiry - time == .milliseconds(2000), "the status lives \(expiry - time), not two seconds")
        for (name, device) in watchers {
            let (item, _) = try await device.await("the new status at \(name)") { event -> ServerFrame.StatusItem? in
                if case .statusNew(let item) = event, item.status == accepted.id { item } else { nil }
            }
            try require(item.expiresAt == expiry, "\(name) was told another expiry")
        }
        let clients = watchers.map { ($0.name, $0.device.client) }
        let reads = try await withThrowingTaskGroup(of: (before: Duration, after: Duration, count: Int).self) { group in
            for (name, client) in clients {
                group.addTask { [loop] in try await Self.readAround(expiry, of: accepted.id, name, client, loop) }
            }
            var all: [(before: Duration, after: Duration, count: Int)] = []
            for try await reading in group { all.append(reading) }
            return all
        }
        var latest = Duration.zero
        for (name, device) in watchers {
            let (_, at) = try await device.await("the end of the status at \(name)", within: .seconds(3)) {
                event -> Bool? in
                if case .statusGone(let gone) = event, gone.status == accepted.id { true } else { nil }
            }
            try require(at >= expiry, "\(name) was told of the end \(expiry - at) too early")
            try require(at - expiry <= Self.noticeTolerance, "\(name) was told of the end \(at - expiry) late")
            latest = max(latest, at - expiry)
        }
        let before = reads.map(\.before).min() ?? .zero
        let after = reads.map(\.after).min() ?? .zero
        let count = reads.reduce(0) { $0 + $1.count }
        return
            "listed \(formatDuration(before)) before its end, not \(formatDuration(after)) after it (\(count) reads at "
            + "\(watchers.count) edges); notices at most \(formatDuration(latest)) late"
    }

    /// Lists without pause around the expiry: an answer that came before it must have the status, one that was asked for
    /// after it must not.
    ///
    /// - Returns: how near to the expiry the last such answer was, on either side.
    private static func readAround(
        _ expiry: WallTime, of status: UUID, _ name: String, _ client: MessagingClient, _ loop: EventLoop
    ) async throws -> (before: Duration, after: Duration, count: Int) {
        var before: Duration?
        var count = 0
        while true {
            if expiry - WallClock.now() > .milliseconds(50) { try await loop.sleep(for: .milliseconds(20)) }
            let asked = WallClock.now()
            let isListed = try await client.listStatuses().contains { $0.status == status }
            let answered = WallClock.now()
            count += 1
            if answered < expiry {
                try require(isListed, "\(name) does not see the status \(expiry - answered) before its end")
                before = expiry - answered
            } else if asked >= expiry {
                try require(!isListed, "\(name) sees the status \(asked - expiry) after its end")
                guard let before else { throw CommandFailure("\(name) could not ask before the status ended") }
                return (before, asked - expiry, count)
            }
        }
    }
}
