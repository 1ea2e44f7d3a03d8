/// What a GET or HEAD of an object is answered with, from its conditions and its Range (RFC 9110 sections 13.2 and 14.2).
///
/// Objects never change and have no date, so that If-Modified-Since and If-Unmodified-Since say nothing and an If-Range
/// with a date never matches.
package enum FetchDecision: Equatable, Sendable {
    /// 200
    case whole
    /// 206; several ranges are multipart/byteranges
    case partial([Range<Int64>])
    /// 304
    case notModified
    /// 412
    case preconditionFailed
    /// 416
    case unsatisfiable

    package struct Fields: Equatable, Sendable {
        package var ifMatch: String?
        package var ifNoneMatch: String?
        package var range: String?
        package var ifRange: String?

        package init(
            ifMatch: String? = nil, ifNoneMatch: String? = nil, range: String? = nil, ifRange: String? = nil
        ) {
            self.ifMatch = ifMatch
            self.ifNoneMatch = ifNoneMatch
            self.range = range
            self.ifRange = ifRange
        }
    }

    /// - Parameters:
    ///   - isGet: Range is defined for GET alone.
    ///   - length: the representation's length in bytes.
    package init(_ fields: Fields, isGet: Bool, tag: EntityTag, length: Int64) {
        if let field = fields.ifMatch, !Self.names(field, { $0.matchesStrongly(tag) }) {
            self = .preconditionFailed
            return
        }
        if let field = fields.ifNoneMatch, Self.names(field, { $0.matchesWeakly(tag) }) {
            self = .notModified
            return
        }
        var range = isGet ? fields.range : nil
        if let field = fields.ifRange {
            guard case .tags(let tags)? = EntityTag.List(field), tags.count == 1, tags[0].matchesStrongly(tag) else {
                range = nil
                self = .whole
                return
            }
        }
        switch ByteRangeSet(field: range, length: length) {
        case .whole: self = .whole
        case .ranges(let ranges): self = .partial(ranges)
        case .unsatisfiable: self = .unsatisfiable
        }
    }

    private static func names(_ field: String, _ matches: (EntityTag) -> Bool) -> Bool {
        switch EntityTag.List(field) {
        case .any: true
        case .tags(let tags): tags.contains(where: matches)
        case nil: false
        }
    }
}
