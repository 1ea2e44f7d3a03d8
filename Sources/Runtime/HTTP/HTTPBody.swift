import Base
package import HTTPCodec

/// The body of a message that comes in, read piece by piece: what is not read stays with the kernel or with the peer, and so
/// slows the sender down.
///
/// One task reads at a time, on the connection's loop. There are two kinds, `HTTP1Body` and `HTTP2Body`.
///
/// `@unchecked Sendable`: all state is used on the connection's loop, which the stream's own entries check.
package class HTTPBody: @unchecked Sendable {
    /// The number of bytes that the head declared; nil when it is not known beforehand.
    package let length: Int?

    /// A longer body is refused, with 413 when it is a request's. Routes that take more raise it before they read.
    package final var maxBytes: Int

    /// The fields behind the body; there when it has ended.
    package final internal(set) var trailers = HTTPFields()

    final let side: EdgeError.Side
    private final var readBytes = 0
    private final var isTooLong = false

    init(length: Int?, side: EdgeError.Side, maxBytes: Int = .max) {
        self.length = length
        self.side = side
        self.maxBytes = maxBytes
    }

    /// Whether the body was cut short, or is no valid one.
    var isBroken: Bool { false }

    /// Whether reading the body has failed: nothing behind it can be read.
    final var hasFailed: Bool { isTooLong || isBroken }

    /// Whether all of the body has been read.
    package var hasEnded: Bool { ofEachKind() }

    /// Declared bytes that are not read yet; nil when their number is not known.
    var remaining: Int? { ofEachKind() }

    /// The next bytes; nil at the end.
    ///
    /// What had arrived when a connection broke is still returned; the read after that throws.
    ///
    /// - Parameters:
    ///   - minimum: waits for so many, unless the body ends before.
    ///   - maximum: returns no more of a body with a declared length; one without may exceed it by what is buffered.
    /// - Throws: `EdgeError` `.closed` when the body was cut short, `.timeout` when it came too slowly; `HTTPParsingError`
    ///   for broken chunks; `.tooLarge` beyond `maxBytes`.
    package final func read(atLeast minimum: Int = 1, upTo maximum: Int = 262_144) async throws -> [UInt8]? {
        precondition(minimum >= 1 && minimum <= maximum)
        if let length, length > maxBytes {
            isTooLong = true
            throw tooLarge(maxBytes)
        }
        let bytes = try await next(minimum, maximum)
        readBytes += bytes?.count ?? 0
        if readBytes > maxBytes {
            isTooLong = true
            throw tooLarge(maxBytes)
        }
        return bytes
    }

    /// What `read` returns. Not called from a closure: Swift 6.3 forgets the task's executor when a closure does nothing but
    /// call an asynchronous method that is overridden.
    func next(_ minimum: Int, _ maximum: Int) async throws -> [UInt8]? { ofEachKind() }

    /// All of the body.
    ///
    /// - Throws: as `read`, and `EdgeError` `.tooLarge` when there is more than the limit.
    package final func collect(upTo limit: Int) async throws -> [UInt8] {
        maxBytes = max(maxBytes, limit)
        let tooLarge = tooLarge(limit)
        if let remaining, remaining > limit { throw tooLarge }
        var bytes: [UInt8] = []
        while let piece = try await read() {
            guard bytes.count + piece.count <= limit else { throw tooLarge }
            if bytes.isEmpty { bytes = piece } else { bytes += piece }
        }
        return bytes
    }

    final func tooLarge(_ limit: Int) -> EdgeError {
        EdgeError(.tooLarge, "The body may have at most \(limit) bytes.", side: side)
    }

    /// Reads the rest and drops it, so that the next message can follow.
    ///
    /// - Returns: whether the end was reached within the bound.
    final func drain(upTo bound: Int) async -> Bool {
        if let remaining, remaining > bound { return false }
        var dropped = 0
        do {
            while dropped <= bound {
                guard let piece = try await read() else { return true }
                dropped += piece.count
            }
        } catch {}
        return false
    }

    private func ofEachKind() -> Never { preconditionFailure("each kind of body has its own") }
}
