import Base

/// Repr-Digest (RFC 9530): a dictionary of algorithms and byte sequences, of which only sha-256 is read.
enum DigestField {
    /// Whether there is a sha-256 member, of whatever form.
    static func namesSHA256(_ field: String) -> Bool {
        field.split(separator: ",").contains { member in
            member.drop { $0 == " " || $0 == "\t" }.lowercased().hasPrefix("sha-256=")
        }
    }

    /// Nil unless there is one well-formed sha-256 member.
    static func sha256(_ field: String) -> MediaID? {
        for member in field.split(separator: ",") {
            let member = member.drop { $0 == " " || $0 == "\t" }
            guard member.lowercased().hasPrefix("sha-256=:") else { continue }
            let value = member.dropFirst("sha-256=:".count)
            guard let end = value.firstIndex(of: ":"), let bytes = Base64.decode(value[..<end]) else { return nil }
            return MediaID(bytes: bytes)
        }
        return nil
    }

    static func text(_ media: MediaID) -> String { "sha-256=:\(Base64.encode(media.bytes)):" }
}
