import BenchmarkSupport
import Glibc

/// What allocations cost a server that has none yet.
struct AllocationCosts {
    static let few = 1000
    static let many = 10_000

    /// Processor time of the server for an Allocate without credentials and its 401, in microseconds.
    let challengeMicroseconds: Double
    /// For a whole allocation: that, and the Allocate with credentials.
    let allocationMicroseconds: Double
    /// With 64 on their way at a time.
    let allocationsPerSecond: Double
    /// The server's own memory without an allocation.
    let idleBytes: Int
    /// What each of the allocations adds to that.
    let bytesOfFew: Double
    let bytesOfMany: Double
    /// The same with two channels each.
    let bytesWithChannels: Double
    /// In all.
    let processorNs: UInt64

    /// - Parameter server: just started, with nothing else to do.
    init(of server: RunningContender) throws {
        // What the first of its kind brings into memory is no allocation's. Its port must not be another's.
        let first = try TURNClients(1, of: server)
        defer { withExtendedLifetime(first) {} }
        try first.allocate(1)
        let clients = try TURNClients(Self.many, of: server)
        idleBytes = try server.process.anonymousBytes()

        var start = try server.process.processorNanoseconds()
        try clients.challenge()
        let challenges = try server.process.processorNanoseconds() - start
        challengeMicroseconds = Double(challenges) / 1000 / Double(Self.many)

        start = try server.process.processorNanoseconds()
        try clients.allocate(Self.few)
        let few = try server.process.anonymousBytes()
        bytesOfFew = Double(few - idleBytes) / Double(Self.few)
        let clock = ContinuousClock.now
        try clients.allocate(Self.many)
        let seconds = (ContinuousClock.now - clock) / .seconds(1)
        allocationsPerSecond = Double(Self.many - Self.few) / seconds
        let allocations = try server.process.processorNanoseconds() - start
        allocationMicroseconds = Double(allocations) / 1000 / Double(Self.many)
        bytesOfMany = Double(try server.process.anonymousBytes() - idleBytes) / Double(Self.many)

        start = try server.process.processorNanoseconds()
        let ports = [UInt16](repeating: 9, count: Self.many)
        try clients.bind(0x4000, to: ports)
        try clients.bind(0x4001, to: ports.map { $0 + 1 })
        bytesWithChannels = Double(try server.process.anonymousBytes() - idleBytes) / Double(Self.many)
        processorNs = challenges + allocations + (try server.process.processorNanoseconds() - start)
    }
}
