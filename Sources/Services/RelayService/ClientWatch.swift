import Base
import RelayEngine
import Runtime

/// Ends a client's connection when its handshake takes too long, when it does not authenticate, or when it has had no allocation for as
/// long and says nothing.
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
    private var lastMessage: MonotonicInstant
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
        lastMessage = relayLoop.loop.now
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
        lastMessage = relayLoop.loop.now
        guard !isKnown, relayLoop.isInUse(tuple) else { return false }
        isKnown = true
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
        if !isHandshaking, relayLoop.isInUse(tuple) { return arm(after: patience) }
        let left = lastMessage + patience - relayLoop.loop.now
        if isKnown, left > .zero { return arm(after: left) }
        let close = close
        self.close = nil
        close?()
    }
}
