/// How many messages a socket asks for at a time. A call for a single one is the cheapest, if there is one; so more are asked for
/// only where more have been found, or may be waiting: where the socket is ready again in the very next turn of its loop.
struct DatagramBatchSize {
    private var lastTurn: UInt64 = 0
    private var currentLimit = UInt8(DatagramArena.capacity)
    /// Turns of the loop in which the socket was ready, one after the other, each for a single message.
    private var readyTurns: UInt8 = 0
    /// As many of them make it ask for more. Doubled when there was only one even so: on a busy loop, a turn takes long enough for the
    /// next to come.
    private var patience: UInt8 = 1

    var limit: Int { Int(currentLimit) }

    @inline(__always)
    mutating func begin(iteration: UInt64) {
        if currentLimit == 1 {
            readyTurns = iteration == lastTurn &+ 1 ? readyTurns &+ 1 : 0
            if readyTurns >= patience {
                readyTurns = 0
                currentLimit = 4
            }
        }
        lastTurn = iteration
    }

    @inline(__always)
    mutating func received(_ count: Int) {
        if count > 1 {
            patience = 1
            currentLimit = UInt8(count == limit ? min(DatagramArena.capacity, limit * 4) : count)
        } else if limit > 1 {
            patience = min(64, patience &* 2)
            currentLimit = 1
        }
    }
}
