package import Base
import JSONCodec
import Runtime

/// What must be known to go on with an upload after the process ended: where it is, and of which bytes it was.
package struct UploadState: Equatable, Sendable {
    package var uploadPath: String
    package var sizeBytes: Int64
    /// Of the file, so that a changed file starts anew.
    package var sha256: MediaID

    package init(uploadPath: String, sizeBytes: Int64, sha256: MediaID) {
        self.uploadPath = uploadPath
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
    }
}

/// An upload's state in a file of its own. It has no secret: the token is asked for again.
package struct UploadStateFile: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    /// nil if there is none, or none that can be read: the upload then starts anew.
    func load() -> UploadState? {
        guard let bytes = try? FileSystem.read(path, limit: 16 * 1024), let json = try? JSONValue.parse(bytes),
            let path = json["upload_path"]?.string, let size = json["size_bytes"]?.int64,
            let hash = json["sha256"]?.string.flatMap({ MediaID($0) })
        else { return nil }
        return UploadState(uploadPath: path, sizeBytes: size, sha256: hash)
    }

    func save(_ state: UploadState) throws {
        let json: JSONValue = [
            "upload_path": .string(state.uploadPath), "size_bytes": .int(state.sizeBytes),
            "sha256": .string("\(state.sha256)"),
        ]
        try FileSystem.replace(path, with: json.serialized())
    }

    /// The next upload of the file starts anew.
    package func remove() throws { try FileSystem.remove(path) }
}
