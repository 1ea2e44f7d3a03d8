import Base
import Runtime

/// What every command works with: the loop that it runs on, and threads for files.
struct CommandContext: Sendable {
    let loop: EventLoop
    let pool: BlockingPool
}
