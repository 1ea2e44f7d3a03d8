package import Wire

/// What a reader is told about the type of an object: the declared type if a browser may show it inline, otherwise bytes
/// to be saved. A declared type is the uploader's word, so that nothing that can carry script is ever shown.
package struct ServedType: Equatable, Sendable {
    package let contentType: String
    package let isInline: Bool

    package static let bytes = ServedType(contentType: "application/octet-stream", isInline: false)

    private static let inline: Set<String> = [
        "image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/heic", "image/heif", "image/jxl",
        "video/mp4", "video/webm", "video/quicktime", "video/x-matroska", "video/3gpp",
        "audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/opus", "audio/webm", "audio/wav", "audio/flac",
    ]

    private init(contentType: String, isInline: Bool) {
        self.contentType = contentType
        self.isInline = isInline
    }

    /// - Parameters:
    ///   - declared: the media type as the uploader declared it; parameters are dropped.
    ///   - mode: sealed bytes are nothing that a browser can show.
    package init(declared: String, mode: MediaMode) {
        let essence = declared.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
        self = mode == .managed && Self.inline.contains(essence) ? Self(contentType: essence, isInline: true) : .bytes
    }

    /// Whether a media worker may be asked for a thumbnail.
    package var hasThumbnail: Bool { isInline && (contentType.hasPrefix("image/") || contentType.hasPrefix("video/")) }

    /// The value of Content-Disposition (RFC 6266), with the name as RFC 8187 when it is not plain ASCII.
    package func disposition(filename: String?) -> String {
        let kind = isInline ? "inline" : "attachment"
        guard let filename, !filename.isEmpty else { return kind }
        let base = filename.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? "file"
        let plain = base.utf8.allSatisfy { (0x20..<0x7F).contains($0) && $0 != 0x22 && $0 != 0x5C && $0 != 0x25 }
        if plain { return "\(kind); filename=\"\(base)\"" }
        let digits = Array("0123456789ABCDEF")
        var extended = ""
        for byte in base.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 0x2D, 0x2E, 0x5F, 0x7E:
                extended.unicodeScalars.append(Unicode.Scalar(byte))
            default: extended += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return "\(kind); filename*=UTF-8''\(extended)"
    }
}
