import Base

/// The live allocations of one event loop: a slab, found by place or by 5-tuple.
struct AllocationTable {
    private struct Slot {
        var generation: UInt32 = 0
        var allocation: Allocation?
    }

    private var slots: [Slot] = []
    private var vacant: [UInt32] = []
    private var byTuple: [FiveTuple: UInt32] = [:]

    var count: Int { byTuple.count }

    @inline(__always)
    func id(of tuple: FiveTuple) -> AllocationID? {
        guard let index = byTuple[tuple] else { return nil }
        return AllocationID(index: index, generation: slots[Int(index)].generation)
    }

    @inline(__always)
    func contains(_ id: AllocationID) -> Bool {
        Int(id.index) < slots.count && slots[Int(id.index)].generation == id.generation
            && slots[Int(id.index)].allocation != nil
    }

    /// - Important: the id must be that of a live allocation (precondition).
    subscript(id: AllocationID) -> Allocation {
        @inline(__always)
        _read {
            precondition(contains(id))
            yield slots[Int(id.index)].allocation!
        }
        @inline(__always)
        _modify {
            precondition(contains(id))
            yield &slots[Int(id.index)].allocation!
        }
    }

    mutating func insert(_ allocation: Allocation) -> AllocationID {
        let index: UInt32
        if let reused = vacant.popLast() {
            index = reused
        } else {
            index = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(index)].allocation = allocation
        precondition(byTuple.updateValue(index, forKey: allocation.tuple) == nil, "a 5-tuple has one allocation")
        return AllocationID(index: index, generation: slots[Int(index)].generation)
    }

    mutating func remove(_ id: AllocationID) -> Allocation {
        let allocation = self[id]
        byTuple[allocation.tuple] = nil
        slots[Int(id.index)].allocation = nil
        slots[Int(id.index)].generation &+= 1
        vacant.append(id.index)
        return allocation
    }

    /// Places of the allocations whose lifetime is over.
    func expired(now: MonotonicInstant) -> [AllocationID] {
        slots.indices.compactMap { index in
            guard let allocation = slots[index].allocation, allocation.expiresAt <= now else { return nil }
            return AllocationID(index: UInt32(index), generation: slots[index].generation)
        }
    }

    var all: [AllocationID] { expired(now: MonotonicInstant(nanoseconds: .max)) }
}
