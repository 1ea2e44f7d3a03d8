import CShims
import Glibc

/// SIGHUP, by which an operator asks a process to read files again, as an event of a loop.
///
/// `@unchecked Sendable`: used on the loop alone.
package final class ReloadSignal: DescriptorHandler, @unchecked Sendable {
    private let loop: EventLoop
    private let descriptor: Int32
    private let onSignal: @Sendable () -> Void
    private var registration: Registration?

    /// Must be called before any thread is started, so that every thread inherits the blocked signal.
    package static func block() { _ = skerry_block_hangup() }

    /// - Parameter onSignal: called on the loop; signals that come at the same time are one.
    package init(loop: EventLoop, onSignal: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.onSignal = onSignal
        descriptor = skerry_hangup_signalfd()
    }

    deinit { Glibc.close(descriptor) }

    package func start() {
        loop.execute {
            self.registration = try? self.loop.register(self.descriptor, [.readable], self)
            precondition(self.registration != nil, "signals cannot be watched")
        }
    }

    /// Signals that come later wait for ever.
    package func stop() {
        loop.execute {
            if let registration = self.registration { self.loop.deregister(registration) }
            self.registration = nil
        }
    }

    package func descriptorIsReady(_ readiness: Readiness) {
        // As large as the kernel's signalfd_siginfo, of which nothing is needed but that it came.
        var information = InlineArray<128, UInt8>(repeating: 0)
        var came = false
        while read(descriptor, &information, MemoryLayout.size(ofValue: information)) > 0 { came = true }
        if came { onSignal() }
    }
}
