import Base

/// The live allocations of one event loop: a slab, found by place or by 5-tuple.
///
/// The slab is memory of its own, so that an allocation, which every packet looks into, is read and changed where it lies.
struct AllocationTable: ~Copyable {
    private var slab: UnsafeMutablePointer<Allocation>
    private var capacity = 16
    /// Of each place of the slab that was ever used: even while an allocation is there.
    private var generations: [UInt32] = []
    private var vacant: [UInt32] = []
    private var byTuple: [FiveTuple: UInt32] = [:]

    init() { slab = .allocate(capacity: capacity) }

    deinit {
        for index in generations.indices where isLive(index) { (slab + index).deinitialize(count: 1) }
        slab.deallocate()
    }

    var count: Int { byTuple.count }

    @inline(__always)
    private func isLive(_ index: Int) -> Bool { generations[index] & 1 == 0 }

    @inline(__always)
    func id(of tuple: FiveTuple) -> AllocationID? {
        guard let index = byTuple[tuple] else { return nil }
        return AllocationID(index: index, generation: generations[Int(index)])
    }

    /// Ids are given to live allocations only: as long as the generation is the same, the allocation is there.
    @inline(__always)
    func contains(_ id: AllocationID) -> Bool {
        Int(id.index) < generations.count && generations[Int(id.index)] == id.generation
    }

    /// - Important: the id must be that of a live allocation (precondition).
    subscript(id: AllocationID) -> Allocation {
        @inline(__always)
        unsafeAddress {
            precondition(contains(id), "no live allocation")
            return UnsafePointer(slab + Int(id.index))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(contains(id), "no live allocation")
            return slab + Int(id.index)
        }
    }

    mutating func insert(_ allocation: consuming Allocation) -> AllocationID {
        let index: UInt32
        if let reused = vacant.popLast() {
            index = reused
            generations[Int(index)] &+= 1
        } else {
            index = UInt32(generations.count)
            if generations.count == capacity { grow() }
            generations.append(0)
        }
        precondition(byTuple.updateValue(index, forKey: allocation.tuple) == nil, "a 5-tuple has one allocation")
        (slab + Int(index)).initialize(to: allocation)
        return AllocationID(index: index, generation: generations[Int(index)])
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Allocation>.allocate(capacity: capacity * 2)
        for index in generations.indices where isLive(index) {
            (larger + index).moveInitialize(from: slab + index, count: 1)
        }
        slab.deallocate()
        slab = larger
        capacity *= 2
    }

    mutating func remove(_ id: AllocationID) -> Allocation {
        precondition(contains(id), "no live allocation")
        let allocation = (slab + Int(id.index)).move()
        generations[Int(id.index)] &+= 1
        byTuple[allocation.tuple] = nil
        vacant.append(id.index)
        return allocation
    }

    /// The allocations whose lifetime is over.
    func expired(now: MonotonicInstant) -> [AllocationID] {
        var ids: [AllocationID] = []
        for index in generations.indices where isLive(index) && slab[index].expiresAt <= now {
            ids.append(AllocationID(index: UInt32(index), generation: generations[index]))
        }
        return ids
    }

    var all: [AllocationID] { expired(now: MonotonicInstant(nanoseconds: .max)) }
}
