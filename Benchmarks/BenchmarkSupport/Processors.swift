import CLoadGenerator

/// Which processors a comparison uses: the load has one to itself, the server that is measured another.
package struct Processors {
    package let load: Int32
    package let server: Int32

    /// The first two that this process may use. The calling thread moves to the load's.
    package init() throws {
        (load, server) = (skerry_processor(0), skerry_processor(1))
        guard server >= 0 else { throw BenchError("two processors are needed: one for the server, one for the load") }
        guard skerry_pin(load) == 0 else { throw BenchError("a processor cannot be chosen") }
    }
}
