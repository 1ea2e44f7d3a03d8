import Runtime

extension EventLoop {
    /// Runs the body on this loop, wherever the caller runs, and returns to the caller's place.
    func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        if isCurrent { return try await body() }
        return try await withTaskExecutorPreference(self) { try await Self.concurrently(body) }
    }

    @concurrent
    private static func concurrently<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        try await body()
    }
}
