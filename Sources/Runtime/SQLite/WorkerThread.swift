import Glibc

/// A thread that runs one closure; `join` waits for its end.
///
/// `@unchecked Sendable`: `identifier` is written once, before the value is shared; `join` is called once, by its owner.
final class WorkerThread: @unchecked Sendable {
    private final class Body {
        let run: () -> Void

        init(run: @escaping () -> Void) { self.run = run }
    }

    private var identifier = pthread_t()

    init(run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run: run)).toOpaque()
        let code = pthread_create(
            &identifier, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, body)
        precondition(code == 0, "pthread_create: \(code)")
    }

    /// A thread that is its own owner's last user cannot wait for itself; it ends by itself.
    func join() {
        if pthread_equal(pthread_self(), identifier) != 0 {
            pthread_detach(identifier)
        } else {
            pthread_join(identifier, nil)
        }
    }
}
