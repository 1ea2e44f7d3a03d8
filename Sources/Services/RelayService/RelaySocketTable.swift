import RelayEngine

/// The relay sockets of a loop's allocations, by the index of the allocation.
///
/// What is sent to peers goes through here with every packet, and counts no references: the table keeps what it holds, and the
/// sockets keep themselves while they are used on their loop.
final class RelaySocketTable {
    private var places = UnsafeMutablePointer<Unmanaged<RelaySockets>?>.allocate(capacity: 16)
    private var capacity = 16

    init() { places.initialize(repeating: nil, count: capacity) }

    deinit {
        for index in 0..<capacity { places[index]?.release() }
        places.deallocate()
    }

    /// Nil where there is no allocation.
    subscript(_ id: AllocationID) -> RelaySockets? {
        get { Int(id.index) < capacity ? places[Int(id.index)]?.takeUnretainedValue() : nil }
        set {
            let index = Int(id.index)
            if index >= capacity { grow(beyond: index) }
            let former = places[index]
            places[index] = newValue.map { Unmanaged.passRetained($0) }
            former?.release()
        }
    }

    /// The sockets of a live allocation, for the length of the call only.
    @inline(__always)
    func withSockets(of id: AllocationID, _ body: (RelaySockets) -> Void) {
        guard Int(id.index) < capacity else { return }
        places[Int(id.index)]?._withUnsafeGuaranteedRef(body)
    }

    /// The sockets of every allocation.
    func forEach(_ body: (RelaySockets) -> Void) {
        for index in 0..<capacity { places[index].map { body($0.takeUnretainedValue()) } }
    }

    private func grow(beyond index: Int) {
        let larger = max(capacity * 2, index + 1)
        let moved = UnsafeMutablePointer<Unmanaged<RelaySockets>?>.allocate(capacity: larger)
        moved.moveInitialize(from: places, count: capacity)
        (moved + capacity).initialize(repeating: nil, count: larger - capacity)
        places.deallocate()
        places = moved
        capacity = larger
    }
}
