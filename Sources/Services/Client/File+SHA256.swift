import Base
import Crypto
import Runtime

extension File {
    /// A file that the user named, for reading.
    static func openNamed(_ path: String) throws -> File {
        do {
            return try File(path, .read)
        } catch {
            throw EdgeError(.io, "cannot read \(path): \(error)", side: .internal)
        }
    }

    /// SHA-256 of all bytes.
    func sha256() throws(SystemError) -> [UInt8] {
        let pieceBytes = 256 * 1024
        var hasher = SHA256Hasher()
        var offset: Int64 = 0
        while true {
            let piece = try read(at: offset, count: pieceBytes)
            hasher.update(piece)
            offset += Int64(piece.count)
            if piece.count < pieceBytes { return hasher.finalize() }
        }
    }
}
