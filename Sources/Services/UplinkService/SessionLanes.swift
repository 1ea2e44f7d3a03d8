import Runtime
import Wire

/// Runs the work of a link: what belongs to one session one after the other, the rest concurrently; never more than a bound at a
/// time, above which the link is not read.
///
/// `@unchecked Sendable`: used on the link's loop alone.
final class SessionLanes: @unchecked Sendable {
    typealias Work = @Sendable () async -> Void

    private let loop: EventLoop
    private let maxInFlight: Int
    private var inFlight = 0
    private var reader: UnsafeContinuation<Void, Never>?
    /// What waits behind the work that runs, by session. A session without work has no lane.
    private var waiting: [UInt64: [Work]] = [:]

    init(loop: EventLoop, maxInFlight: Int) {
        self.loop = loop
        self.maxInFlight = maxInFlight
    }

    /// Waits until there is room for more work. One task at a time may wait.
    func waitForRoom() async {
        loop.preconditionOnLoop()
        while inFlight >= maxInFlight {
            await withUnsafeContinuation { reader = $0 }
        }
    }

    /// Starts work that waits for nothing.
    func run(_ work: @escaping Work) {
        begin()
        loop.spawn {
            await work()
            self.end()
        }
    }

    /// Starts work after what came before it of the same session.
    func run(session: UInt64, _ work: @escaping Work) {
        begin()
        if waiting[session] != nil {
            waiting[session]?.append(work)
            return
        }
        waiting[session] = []
        loop.spawn {
            await work()
            self.end()
            while let next = self.next(session) {
                await next()
                self.end()
            }
        }
    }

    private func next(_ session: UInt64) -> Work? {
        guard let lane = waiting[session], !lane.isEmpty else {
            waiting[session] = nil
            return nil
        }
        return waiting[session]?.removeFirst()
    }

    private func begin() {
        loop.preconditionOnLoop()
        inFlight += 1
    }

    private func end() {
        loop.preconditionOnLoop()
        inFlight -= 1
        let woken = reader
        reader = nil
        woken?.resume()
    }
}
