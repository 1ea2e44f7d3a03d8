import STUN

/// The last deletions by Refresh with lifetime 0, so that a retransmission of one is answered like the first time.
struct DeletionMemory {
    private static let capacity = 128
    private var entries: [(tuple: FiveTuple, transactionID: TransactionID)] = []
    private var next = 0

    mutating func remember(_ tuple: FiveTuple, _ transactionID: TransactionID) {
        if entries.count < Self.capacity {
            entries.append((tuple, transactionID))
        } else {
            entries[next] = (tuple, transactionID)
            next = (next + 1) % Self.capacity
        }
    }

    func contains(_ tuple: FiveTuple, _ transactionID: TransactionID) -> Bool {
        entries.contains { $0.transactionID == transactionID && $0.tuple == tuple }
    }
}
