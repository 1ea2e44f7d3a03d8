package import Base
package import Wire

/// What a client says about an upload: the keys that the edge knows, and the header as it was sent.
package struct UploadMetadata: Equatable, Sendable {
    package static let maximumHeaderBytes = 4096
    package static let maximumNameBytes = 255

    package var filename: String?
    package var filetype: String?
    package var mode: MediaMode = .managed
    package var retention: MediaRetention = .default
    package var sha256: MediaID?
    /// The value of Upload-Metadata, to be given back on HEAD; empty if there was none.
    package var header = ""

    package init() {}

    /// Parses Upload-Metadata of tus 1.0.0: comma-separated pairs of a key and a base64 value. Unknown keys are kept in
    /// the header alone.
    package init(header: String) throws(UploadMetadataError) {
        guard header.utf8.count <= Self.maximumHeaderBytes else { throw .tooLong }
        self.header = header
        var seen: Set<String> = []
        for pair in header.split(separator: ",", omittingEmptySubsequences: true) {
            let parts = pair.split(separator: " ", omittingEmptySubsequences: true)
            guard (1...2).contains(parts.count), parts[0].utf8.allSatisfy({ (0x21..<0x7F).contains($0) }) else {
                throw .malformed
            }
            let key = String(parts[0])
            guard seen.insert(key).inserted else { throw .malformed }
            guard let bytes = parts.count == 2 ? Base64.decode(parts[1]) : [] else { throw .malformed }
            try set(key, String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Takes one value; a key that is not known is ignored, a known key with a wrong value is refused.
    package mutating func set(_ key: String, _ value: String) throws(UploadMetadataError) {
        switch key {
        case "filename":
            guard value.utf8.count <= Self.maximumNameBytes, !value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
            else {
                throw .badFilename
            }
            filename = value.isEmpty ? nil : value
        case "filetype":
            guard value.utf8.count <= Self.maximumNameBytes, value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) })
            else {
                throw .badFiletype
            }
            filetype = value.isEmpty ? nil : value
        case "mode":
            guard let mode = MediaMode(rawValue: value) else { throw .badMode }
            self.mode = mode
        case "retention":
            guard let retention = MediaRetention(value) else { throw .badRetention }
            self.retention = retention
        case "sha256":
            guard let bytes = Hex.decode(value), let digest = MediaID(bytes: bytes) else { throw .badDigest }
            sha256 = digest
        default: break
        }
    }
}

package enum UploadMetadataError: Error, Equatable {
    case malformed, tooLong, badFilename, badFiletype, badMode, badRetention, badDigest

    /// What is allowed.
    package var message: String {
        switch self {
        case .malformed:
            "Upload-Metadata is a comma-separated list of a key and, after a space, its value in base64; a key stands once."
        case .tooLong: "Upload-Metadata has at most \(UploadMetadata.maximumHeaderBytes) bytes."
        case .badFilename:
            "filename has at most \(UploadMetadata.maximumNameBytes) bytes and no control characters."
        case .badFiletype: "filetype is a media type of at most \(UploadMetadata.maximumNameBytes) bytes of ASCII."
        case .badMode: "mode is managed or sealed."
        case .badRetention: "retention is \(MediaRetention.allowed)."
        case .badDigest: "sha256 is 64 hexadecimal digits."
        }
    }
}
