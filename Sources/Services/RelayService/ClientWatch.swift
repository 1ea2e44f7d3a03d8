import Base
import RelayEngine
import Runtime

/// Ends a client's connection when its handshake takes too long, when it does not authenticate, or when it has had no allocation for as
/// long, whatever it says meanwhile.
///
/// Used on the loop alone.
final class ClientWatch {
    private let relayLoop: RelayLoop
    private(set) var tuple: FiveTuple
    private let patience: Duration
    /// Breaks the watch's hold on the connection: called once at most.
    private var close: (() -> Void)?
    private var isHandshaking: Bool
    private var isKnown = false
    /// When it was last seen with an allocation.
    private var lastInUse: MonotonicInstant
    private var timer: TimerID?

    /// - Parameter handshakePatience: nil for a connection that begins without a handshake.
    init(
        _ tuple: FiveTuple, on relayLoop: RelayLoop, handshakePatience: Duration?, patience: Duration,
        close: @escaping () -> Void
    ) {
        self.tuple = tuple
        self.relayLoop = relayLoop
        self.patience = patience
        self.close = close
        isHandshaking = handshakePatience != nil
        lastInUse = relayLoop.loop.now
        arm(after: handshakePatience ?? patience)
    }

    /// - Parameter tuple: with the realm that the client has come to by the name that it asked for.
    func handshakeIsComplete(_ tuple: FiveTuple) {
        self.tuple = tuple
        isHandshaking = false
        arm(after: patience)
    }

    /// The client has said something, which the engine has seen by now.
    ///
    /// - Returns: whether it has authenticated by that, for the first time.
    func heard() -> Bool {
        guard !isKnown, relayLoop.isInUse(tuple) else { return false }
        isKnown = true
        lastInUse = relayLoop.loop.now
        return true
    }

    func cancel() {
        if let timer { relayLoop.loop.cancel(timer) }
        timer = nil
        close = nil
    }

    private func arm(after duration: Duration) {
        if let timer { relayLoop.loop.cancel(timer) }
        timer = relayLoop.loop.schedule(after: duration) { [weak self] in self?.look() }
    }

    private func look() {
        timer = nil
        if !isHandshaking, relayLoop.isInUse(tuple) {
            lastInUse = relayLoop.loop.now
            return arm(after: patience)
        }
        let left = lastInUse + patience - relayLoop.loop.now
        if isKnown, left > .zero { return arm(after: left) }
        let close = close
        self.close = nil
        close?()
    }
}
