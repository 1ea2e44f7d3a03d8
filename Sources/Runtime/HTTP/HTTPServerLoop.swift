import Base
import HTTPCodec
import Runtime

/// What the connections of one server on one loop share. Used on that loop alone.
///
/// `@unchecked Sendable`: made under the server's lock, used on the loop's thread.
final class HTTPServerLoop: @unchecked Sendable {
    private let loop: EventLoop
    /// Where the head of an answer is written. No connection leaves anything here over a wait.
    var head: [UInt8] = []
    let noBody = NoBody()
    private var dateText = ""
    private var dateEnds: MonotonicInstant?

    init(_ loop: EventLoop) {
        self.loop = loop
        head.reserveCapacity(1024)
    }

    /// The `Date` of an answer, written once a second.
    func date() -> String {
        if let dateEnds, loop.now < dateEnds { return dateText }
        let now = WallClock.now()
        dateText = HTTPDate.format(now)
        dateEnds = loop.now + .milliseconds(1000 - (now.milliseconds - now.seconds * 1000))
        return dateText
    }
}
