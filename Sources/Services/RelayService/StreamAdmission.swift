import Base
import Synchronization

/// How many connections clients have, over all event loops of a node: in total, and before they have authenticated, from a source
/// prefix (/24, /56). Asked when a connection begins, authenticates and ends.
final class StreamAdmission: Sendable {
    private struct Counts {
        var total = 0
        /// Of those that have not authenticated. A prefix stands here only while it has one.
        var strangers: [IPAddress: Int] = [:]
    }

    private let maxConnections: Int
    private let maxStrangersPerPrefix: Int
    private let counts = Mutex(Counts())

    init(maxConnections: Int, maxStrangersPerPrefix: Int) {
        self.maxConnections = maxConnections
        self.maxStrangersPerPrefix = maxStrangersPerPrefix
    }

    /// Counts a connection that begins, unless there are too many.
    func admits(_ source: IPAddress) -> Bool {
        let prefix = source.sourcePrefix
        return counts.withLock { counts in
            let strangers = counts.strangers[prefix, default: 0]
            guard counts.total < maxConnections, strangers < maxStrangersPerPrefix else { return false }
            counts.total += 1
            counts.strangers[prefix] = strangers + 1
            return true
        }
    }

    /// The client of a connection has authenticated.
    func isKnown(_ source: IPAddress) {
        let prefix = source.sourcePrefix
        counts.withLock { Self.forgetStranger(prefix, &$0) }
    }

    /// A connection has ended.
    func release(_ source: IPAddress, wasKnown: Bool) {
        let prefix = source.sourcePrefix
        counts.withLock { counts in
            counts.total -= 1
            if !wasKnown { Self.forgetStranger(prefix, &counts) }
        }
    }

    private static func forgetStranger(_ prefix: IPAddress, _ counts: inout Counts) {
        guard let strangers = counts.strangers[prefix] else { preconditionFailure("a connection was not counted") }
        counts.strangers[prefix] = strangers > 1 ? strangers - 1 : nil
    }

    var total: Int { counts.withLock { $0.total } }
}

extension IPAddress {
    /// The /24 or /56 that an address is of, by its first address.
    var sourcePrefix: IPAddress {
        let address = unmapped
        return address.family == .v4
            ? IPAddress(v4: UInt32(truncatingIfNeeded: address.low) & 0xFFFF_FF00)
            : IPAddress(v6High: address.high & ~0xFF, low: 0)
    }
}
