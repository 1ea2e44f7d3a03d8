import Synchronization

/// Sets of ports that all event loops see: one bit a port.
///
/// Unchecked: the words are atomic, and the pointer never changes.
final class PortSets: @unchecked Sendable {
    private static let wordsPerSet = 1024
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let count: Int

    init(count: Int) {
        self.count = count
        words = .allocate(capacity: count * Self.wordsPerSet)
        for index in 0..<count * Self.wordsPerSet { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: count * Self.wordsPerSet)
        words.deallocate()
    }

    /// One of the sets, for whoever keeps the owner.
    @inline(__always)
    subscript(index: Int) -> PortSet {
        precondition((0..<count).contains(index))
        return PortSet(words: words + index * Self.wordsPerSet)
    }
}

/// A set of ports. Asked for every packet: it retains nothing, and is good as long as its `PortSets` lives.
///
/// Unchecked: as `PortSets`.
struct PortSet: @unchecked Sendable, BitwiseCopyable {
    fileprivate let words: UnsafeMutablePointer<Atomic<UInt64>>

    func insert(_ port: UInt16) {
        words[Int(port >> 6)].bitwiseOr(1 << UInt64(port & 63), ordering: .relaxed)
    }

    func remove(_ port: UInt16) {
        words[Int(port >> 6)].bitwiseAnd(~(1 << UInt64(port & 63)), ordering: .relaxed)
    }

    @inline(__always)
    func contains(_ port: UInt16) -> Bool {
        words[Int(port >> 6)].load(ordering: .relaxed) & 1 << UInt64(port & 63) != 0
    }
}
