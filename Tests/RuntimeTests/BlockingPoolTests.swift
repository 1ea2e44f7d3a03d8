import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct BlockingPoolTests {
    private final class Held: Sendable {}

    @Test func `a job that has run holds on to nothing, although others wait behind it`() throws {
        let pool = BlockingPool(threads: 1, name: "test", queueLimit: 8)
        let start = Mutex(())
        let isFreed = Mutex(false)
        // The thread waits in its first job until all are queued.
        try start.withLock { _ in
            try pool.submit { start.withLock { _ in } }
            weak let held = try {
                let held = Held()
                try pool.submit { _ = ObjectIdentifier(held) }
                return held
            }()
            try pool.submit { isFreed.withLock { $0 = held == nil } }
            try pool.submit {}
        }
        pool.shutdown()
        #expect(isFreed.withLock { $0 })
    }
}
