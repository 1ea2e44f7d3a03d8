import Base
import Crypto
import Glibc
import Runtime

/// The store's folder: `objects/ab/<32 hex digits>`, and `fill/` for what is being fetched. A file's name is random: it
/// tells nothing about the object, and the index alone knows which is which.
struct StoreFolder: Sendable {
    let root: String

    /// Makes the folders that are missing, durably.
    init(root: String) throws {
        self.root = root
        try FileSystem.makeDirectory(root + "/objects")
        try FileSystem.makeDirectory(root + "/fill")
        for byte in 0..<256 { try FileSystem.makeDirectory(root + "/objects/" + Hex.encode([UInt8(byte)])) }
        try FileSystem.synchronizeDirectory(root + "/objects")
        try FileSystem.synchronizeDirectory(root)
    }

    static func newName() -> String { Hex.encode(randomBytes(16)) }

    var indexPath: String { root + "/index.sqlite" }
    var keyPath: String { root + "/node.key" }
    func objectFolder(_ name: String) -> String { "\(root)/objects/\(name.prefix(2))" }
    func objectPath(_ name: String) -> String { "\(objectFolder(name))/\(name)" }
    func fillPath(_ name: String) -> String { "\(root)/fill/\(name)" }

    /// Makes an object's file, durable as an entry of its folder.
    func createObject(_ name: String) throws -> File {
        try FileSystem.remove(objectPath(name))
        let file = try File(objectPath(name), .create)
        try FileSystem.synchronizeDirectory(objectFolder(name))
        return file
    }

    /// Moves a file that was filled into its place, durably.
    func adoptFill(_ name: String) throws {
        try FileSystem.rename(fillPath(name), to: objectPath(name))
        try FileSystem.synchronizeDirectory(objectFolder(name))
    }

    /// What a crash left of unfinished fills.
    func removeFills() throws {
        for name in try FileSystem.names(in: root + "/fill") { try FileSystem.remove(fillPath(name)) }
    }

    /// Bytes that an ordinary process may still write.
    func freeBytes() throws -> Int64 {
        var status = statvfs()
        guard statvfs(root, &status) == 0 else { throw SystemError("statvfs \(root)") }
        return Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }
}
