package import Base

/// How a file is to be kept. The server's defaults hold for what is nil.
package struct UploadOptions: Equatable, Sendable {
    package var filename: String?
    /// A media type, such as `image/jpeg`.
    package var contentType: String?
    /// `managed` or `sealed`.
    package var mode: String?
    /// `24h`, `30d`, `pinned`, or seconds.
    package var retention: String?

    package init(filename: String? = nil, contentType: String? = nil, mode: String? = nil, retention: String? = nil) {
        self.filename = filename
        self.contentType = contentType
        self.mode = mode
        self.retention = retention
    }
}

package struct UploadResult: Equatable, Sendable {
    package let media: MediaID
    package let sizeBytes: Int64
    /// Where this call went on: more than 0 when an earlier one had been interrupted.
    package let resumedAtBytes: Int64
    /// Connections that were lost and replaced meanwhile.
    package let reconnects: Int
}

package struct FetchResult: Equatable, Sendable {
    package let sizeBytes: Int64
    package let contentType: String
    /// SHA-256 of the file, which is the id that was asked for.
    package let sha256: MediaID
    package let resumedAtBytes: Int64
    package let reconnects: Int
}

package struct Thumbnail: Equatable, Sendable {
    package let bytes: [UInt8]
    package let contentType: String
}

/// Told how many bytes of how many are over there (or here); throwing stops the transfer, which can be resumed.
package typealias TransferProgress = @Sendable (_ count: Int64, _ total: Int64) throws -> Void
