import Testing

@testable import RelayEngine
@testable import RelayService

@Suite struct RelaySocketTableTests {
    private func id(_ index: UInt32) -> AllocationID { AllocationID(index: index, generation: 0) }

    @Test func `the table keeps what it holds, grows, and lets go`() {
        weak var replaced: RelaySockets?
        weak var kept: RelaySockets?
        do {
            let table = RelaySocketTable()
            #expect(table[id(1000)] == nil)
            for index in [0, 15, 16, 300] as [UInt32] {
                let sockets = RelaySockets()
                sockets.id = id(index)
                table[id(index)] = sockets
            }
            for index in [0, 15, 16, 300] as [UInt32] {
                var found: AllocationID?
                table.withSockets(of: id(index)) { found = $0.id }
                #expect(found == id(index) && table[id(index)]?.id == id(index))
            }
            table.withSockets(of: id(17)) { _ in Issue.record("nobody is there") }
            replaced = table[id(16)]
            kept = table[id(300)]
            table[id(16)] = nil
            #expect(replaced == nil && kept != nil)
        }
        #expect(kept == nil)
    }
}
