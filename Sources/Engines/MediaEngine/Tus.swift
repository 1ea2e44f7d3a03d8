internal import Base

/// tus 1.0.0: what its header fields say, as the server reads them. https://tus.io/protocols/resumable-upload
package enum Tus {
    package static let version = "1.0.0"
    package static let extensions = "creation,creation-with-upload,termination"
    package static let contentType = "application/offset+octet-stream"

    /// The fields of a creation (POST), as text.
    package struct Creation: Equatable, Sendable {
        package let length: Int64
        package let metadata: UploadMetadata
        /// Whether the body holds the first bytes (creation-with-upload).
        package let carriesBytes: Bool

        /// - Parameters:
        ///   - length: Upload-Length
        ///   - deferLength: Upload-Defer-Length
        ///   - metadata: Upload-Metadata
        ///   - contentType: Content-Type
        package init(
            length: String?, deferLength: String?, metadata: String?, contentType: String?, maximumBytes: Int64
        ) throws(TusError) {
            if deferLength != nil { throw .deferredLength }
            guard let length, let bytes = Tus.offset(length) else { throw .badLength }
            guard bytes <= maximumBytes else { throw .tooLarge(maximumBytes: maximumBytes) }
            self.length = bytes
            do {
                self.metadata = try UploadMetadata(header: metadata ?? "")
            } catch {
                throw .badMetadata(error)
            }
            carriesBytes = contentType.map(Tus.isOffsetStream) ?? false
        }
    }

    /// The fields of an append (PATCH): returns the offset.
    package static func appendOffset(contentType: String?, offset: String?) throws(TusError) -> Int64 {
        guard let contentType, isOffsetStream(contentType) else { throw .badContentType }
        guard let offset, let value = Self.offset(offset) else { throw .badOffset }
        return value
    }

    /// A non-negative decimal that fits.
    package static func offset(_ text: String) -> Int64? {
        guard (1...17).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int64(text)
    }

    private static func isOffsetStream(_ contentType: String) -> Bool {
        contentType.prefix { $0 != ";" }.filter { $0 != " " }.lowercased() == Self.contentType
    }
}

package enum TusError: Error, Equatable {
    /// 412, with Tus-Version
    case unsupportedVersion
    /// 400
    case badLength, badOffset, deferredLength
    case badMetadata(UploadMetadataError)
    /// 415
    case badContentType
    /// 413
    case tooLarge(maximumBytes: Int64)

    package var status: Int {
        switch self {
        case .unsupportedVersion: 412
        case .badLength, .badOffset, .deferredLength, .badMetadata: 400
        case .badContentType: 415
        case .tooLarge: 413
        }
    }

    /// What was wrong, what is allowed.
    package var message: String {
        switch self {
        case .unsupportedVersion: "Tus-Resumable must be \(Tus.version)."
        case .badLength: "Upload-Length must be the whole number of bytes of the upload."
        case .badOffset: "Upload-Offset must be the whole number of bytes that the server has."
        case .deferredLength: "Upload-Defer-Length is not supported; send Upload-Length. Extensions: \(Tus.extensions)."
        case .badMetadata(let error): error.message
        case .badContentType: "Content-Type must be \(Tus.contentType)."
        case .tooLarge(let maximum): "An upload has at most \(maximum) bytes (Tus-Max-Size)."
        }
    }
}
