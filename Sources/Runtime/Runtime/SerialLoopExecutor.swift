/// A loop as the executor of actors. It is another than the task executor because a job does not say through which of the two it
/// came, and one that is run as an actor's is queued again at every hop to code that is not.
///
/// `@unchecked Sendable`: `loop`, which owns the executor, is set once, before anything else can see it.
public final class SerialLoopExecutor: SerialExecutor, @unchecked Sendable {
    unowned var loop: EventLoop?

    init() {}

    public func enqueue(_ job: consuming ExecutorJob) { loop?.enqueueSerially(job) }

    public func checkIsolated() { precondition(loop?.isCurrent == true, "not on the event loop that owns this") }
}
