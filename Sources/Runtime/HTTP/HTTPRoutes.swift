import Base
import HTTPCodec

/// The values of a pattern's placeholders, percent-decoded.
package struct HTTPParameters: Sendable {
    fileprivate var values: [(name: String, value: String)] = []

    /// The value of a placeholder of the route's pattern (precondition).
    package subscript(name: String) -> String {
        guard let value = values.first(where: { $0.name == name })?.value else {
            preconditionFailure("the route's pattern has no :\(name)")
        }
        return value
    }
}

/// Which handler answers which request, by method and path.
///
/// A pattern is a path whose segments are literal, or `:name` for any one segment, or, at the end, `*name` for all that is
/// left. Among the patterns that fit, the one with a literal segment where another has a placeholder goes first. HEAD falls
/// to GET; an unknown path is answered with 404, an unknown method with 405 and `Allow`.
package struct HTTPRoutes: Sendable {
    package typealias Handler = @Sendable (HTTPExchange, HTTPParameters) async throws -> Void

    private enum Segment: Equatable, Sendable {
        case literal([UInt8])
        case one(name: String)
        case rest(name: String)

        /// Lower goes first.
        var rank: Int {
            switch self {
            case .literal: 0
            case .one: 1
            case .rest: 2
            }
        }
    }

    /// No tuple: a closure in one is wrapped again whenever it is stored and taken out.
    private struct MethodHandler: Sendable {
        var method: String
        var handler: Handler
    }

    private struct Route: Sendable {
        var pattern: String
        var segments: [Segment]
        var hasParameters: Bool
        var handlers: [MethodHandler]
    }

    enum Match {
        case found(Handler, HTTPParameters, pattern: String)
        case methodNotAllowed(allowed: [String])
        case notFound
    }

    /// In the order in which they are tried.
    private var routes: [Route] = []

    package init() {}

    /// Registers a handler. A pattern and method may be registered once (precondition).
    package mutating func on(_ method: String, _ pattern: String, _ handler: @escaping Handler) {
        let segments = Self.segments(of: pattern)
        if let index = routes.firstIndex(where: { $0.segments == segments }) {
            precondition(!routes[index].handlers.contains { $0.method == method }, "\(method) \(pattern) stands twice")
            routes[index].handlers.append(MethodHandler(method: method, handler: handler))
        } else {
            let ranks = segments.map(\.rank)
            let place = routes.firstIndex { ranks.lexicographicallyPrecedes($0.segments.map(\.rank)) } ?? routes.count
            let route = Route(
                pattern: pattern, segments: segments, hasParameters: ranks.contains { $0 > 0 },
                handlers: [MethodHandler(method: method, handler: handler)])
            routes.insert(route, at: place)
        }
    }

    /// Takes over all routes of another table.
    package mutating func merge(_ other: HTTPRoutes) {
        for route in other.routes {
            for entry in route.handlers { on(entry.method, route.pattern, entry.handler) }
        }
    }

    private static func segments(of pattern: String) -> [Segment] {
        precondition(pattern.hasPrefix("/"), "a pattern begins with /")
        let parts = pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if parts == [""] { return [] }
        return parts.enumerated().map { index, part in
            if part.hasPrefix(":") { return .one(name: String(part.dropFirst())) }
            guard part.hasPrefix("*") else { return .literal(Array(part.utf8)) }
            precondition(index == parts.count - 1, "*\(part) ends a pattern")
            return .rest(name: String(part.dropFirst()))
        }
    }

    func match(_ request: HTTPRequest) -> Match {
        request.withPathBytes { path in
            guard path.first == UInt8(ascii: "/") else { return .notFound }
            var allowed: [String] = []
            for route in routes where Self.fits(path, route.segments) {
                var parameters = HTTPParameters()
                guard !route.hasParameters || Self.take(&parameters, from: path, route.segments) else { continue }
                let handler =
                    route.handlers.first { $0.method == request.method }
                    ?? (request.method == "HEAD" ? route.handlers.first { $0.method == "GET" } : nil)
                if let handler { return .found(handler.handler, parameters, pattern: route.pattern) }
                for entry in route.handlers where !allowed.contains(entry.method) {
                    allowed.append(entry.method)
                    if entry.method == "GET", !allowed.contains("HEAD") { allowed.append("HEAD") }
                }
            }
            return allowed.isEmpty ? .notFound : .methodNotAllowed(allowed: allowed)
        }
    }

    /// Whether the path has as many segments as the pattern, and its literal ones.
    private static func fits(_ path: UnsafeBufferPointer<UInt8>, _ segments: [Segment]) -> Bool {
        var parts = PathSegments(path)
        for segment in segments {
            guard let part = parts.next() else { return false }
            switch segment {
            case .literal(let text):
                guard part.count == text.count, part.elementsEqual(text) else { return false }
            case .one: if part.isEmpty { return false }
            case .rest: return true
            }
        }
        return parts.next() == nil
    }

    /// Decodes the placeholders' values out of a path that fits.
    ///
    /// - Returns: whether all of them are values that may be met.
    private static func take(
        _ parameters: inout HTTPParameters, from path: UnsafeBufferPointer<UInt8>, _ segments: [Segment]
    ) -> Bool {
        var parts = PathSegments(path)
        for segment in segments {
            guard let part = parts.next() else { return false }
            switch segment {
            case .literal: continue
            case .one(let name):
                guard let value = decode(part) else { return false }
                parameters.values.append((name, value))
            case .rest(let name):
                guard var value = decode(part) else { return false }
                while let part = parts.next() {
                    guard let next = decode(part) else { return false }
                    value += "/" + next
                }
                parameters.values.append((name, value))
            }
        }
        return true
    }

    /// A segment that decodes to a slash, a NUL or a dot segment names nothing here: nobody shall meet it as a path.
    private static func decode(_ part: Slice<UnsafeBufferPointer<UInt8>>) -> String? {
        let text = String(decoding: part, as: UTF8.self)
        guard let value = part.contains(UInt8(ascii: "%")) ? PercentEncoding.decode(text) : text,
            !value.utf8.contains(UInt8(ascii: "/")), !value.utf8.contains(0), value != ".", value != ".."
        else { return nil }
        return value
    }
}

/// What stands between the slashes of a path that begins with one; nothing in the path `/`.
private struct PathSegments {
    private let path: UnsafeBufferPointer<UInt8>
    private var position: Int

    init(_ path: UnsafeBufferPointer<UInt8>) {
        self.path = path
        position = path.count == 1 ? 2 : 1
    }

    mutating func next() -> Slice<UnsafeBufferPointer<UInt8>>? {
        guard position <= path.count else { return nil }
        let end = path[position...].firstIndex(of: UInt8(ascii: "/")) ?? path.count
        defer { position = end + 1 }
        return path[position..<end]
    }
}
