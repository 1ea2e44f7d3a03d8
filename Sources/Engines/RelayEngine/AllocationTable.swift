import Base

/// The live allocations of one event loop: a slab, found by place, by 5-tuple, or by the number in a mobility ticket.
///
/// The slab is memory of its own, so that an allocation, which every packet looks into, is read and changed where it lies.
struct AllocationTable: ~Copyable {
    private var slab: UnsafeMutablePointer<Allocation>
    private var capacity = 16
    /// Of each place of the slab that was ever used: even while an allocation is there.
    private var generations: [UInt32] = []
    private var vacant: [UInt32] = []
    /// By the path of each allocation, and by the one that its client may take next.
    private var byTuple: [FiveTuple: UInt32] = [:]
    private var byMobilityNumber: [UInt64: UInt32] = [:]
    private(set) var count = 0

    init() { slab = .allocate(capacity: capacity) }

    deinit {
        for index in generations.indices where isLive(index) { (slab + index).deinitialize(count: 1) }
        slab.deallocate()
    }

    @inline(__always)
    private func isLive(_ index: Int) -> Bool { generations[index] & 1 == 0 }

    @inline(__always)
    func id(of tuple: FiveTuple) -> AllocationID? {
        guard let index = byTuple[tuple] else { return nil }
        return AllocationID(index: index, generation: generations[Int(index)])
    }

    func id(ofMobilityNumber number: UInt64) -> AllocationID? {
        guard let index = byMobilityNumber[number] else { return nil }
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
        if allocation.mobilityNumber != 0 { byMobilityNumber[allocation.mobilityNumber] = index }
        count += 1
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
        if let next = allocation.nextTuple { byTuple[next] = nil }
        if allocation.mobilityNumber != 0 { byMobilityNumber[allocation.mobilityNumber] = nil }
        vacant.append(id.index)
        count -= 1
        return allocation
    }

    // MARK: - Two paths (RFC 8016)

    /// Has the allocation found by one more 5-tuple, in place of any that was announced before.
    mutating func announce(_ tuple: FiveTuple, for id: AllocationID) {
        if let former = self[id].nextTuple { byTuple[former] = nil }
        precondition(byTuple.updateValue(id.index, forKey: tuple) == nil, "a 5-tuple has one allocation")
        self[id].nextTuple = tuple
    }

    /// The client is at the 5-tuple that it announced; the one before is given up.
    mutating func settle(_ id: AllocationID) {
        guard let next = self[id].nextTuple else { preconditionFailure("no 5-tuple was announced") }
        byTuple[self[id].tuple] = nil
        self[id].tuple = next
        self[id].nextTuple = nil
    }

    /// One of the allocation's 5-tuples is gone. Without any it is found by its mobility number alone.
    mutating func giveUp(_ tuple: FiveTuple, of id: AllocationID) {
        byTuple[tuple] = nil
        if self[id].nextTuple == tuple {
            self[id].nextTuple = nil
        } else {
            self[id].tuple = tuple.withoutClient
        }
    }

    // MARK: - Several

    /// The allocations that something holds of.
    func ids(where holds: (borrowing Allocation) -> Bool) -> [AllocationID] {
        var ids: [AllocationID] = []
        for index in generations.indices where isLive(index) && holds(slab[index]) {
            ids.append(AllocationID(index: UInt32(index), generation: generations[index]))
        }
        return ids
    }
}
