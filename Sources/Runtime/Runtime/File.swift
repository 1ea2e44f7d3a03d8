import Base
import CShims
import Glibc

/// An open file. Calls block: they belong on a `BlockingPool`, but for reads that the page cache answers.
///
/// `Sendable`: the descriptor never changes, and positional reads and writes need no shared offset.
public final class File: Sendable {
    public enum Mode: Sendable {
        case read
        /// Reads and writes a file that exists.
        case update
        /// Makes a file that must not exist yet, mode 0600.
        case create
    }

    public let path: String
    public let descriptor: Int32

    public init(_ path: String, _ mode: Mode) throws(SystemError) {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            }
        self.path = path
        descriptor = Int32(try retryingInterrupts("open") { Int(open(path, flags | O_CLOEXEC, 0o600)) })
    }

    deinit { Glibc.close(descriptor) }

    /// Bytes in the file.
    public func size() throws(SystemError) -> Int64 {
        var status = stat()
        _ = try retryingInterrupts("fstat") { Int(fstat(descriptor, &status)) }
        return Int64(status.st_size)
    }

    /// Reads until the buffer is full or the file ends; returns how many bytes.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(SystemError) -> Int {
        var total = 0
        while total < buffer.count {
            let count = try retryingInterrupts("pread") {
                pread(descriptor, buffer.baseAddress.map { $0 + total }, buffer.count - total, Int(offset) + total)
            }
            if count == 0 { break }
            total += count
        }
        return total
    }

    /// At most `count` bytes; fewer only at the end of the file.
    public func read(at offset: Int64, count: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(SystemError) {
                initialized = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all bytes.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(SystemError) {
        var total = 0
        while total < bytes.count {
            total += try retryingInterrupts("pwrite") {
                pwrite(descriptor, bytes.baseAddress.map { $0 + total }, bytes.count - total, Int(offset) + total)
            }
        }
    }

    public func write(_ bytes: [UInt8], at offset: Int64) throws(SystemError) {
        var failure: SystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try write(buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Returns when the file's bytes and its size are on the disk.
    public func synchronize() throws(SystemError) {
        _ = try retryingInterrupts("fdatasync") { Int(fdatasync(descriptor)) }
    }

    public func truncate(to count: Int64) throws(SystemError) {
        _ = try retryingInterrupts("ftruncate") { Int(ftruncate(descriptor, Int(count))) }
    }
}

/// What is done to names in the file system.
public enum FileSystem {
    /// Makes the folder and those above it that are missing, mode 0700.
    public static func makeDirectory(_ path: String) throws(SystemError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
            if mkdir(made, 0o700) != 0, errno != EEXIST { throw SystemError("mkdir \(made)") }
        }
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Puts a file in the place of another in one step.
    public static func rename(_ from: String, to: String) throws(SystemError) {
        _ = try retryingInterrupts("rename") { Int(Glibc.rename(from, to)) }
    }

    /// Removing what is not there is no error.
    public static func remove(_ path: String) throws(SystemError) {
        if unlink(path) != 0, errno != ENOENT { throw SystemError("unlink \(path)") }
    }

    /// Returns when names made, changed or removed in the folder are on the disk.
    public static func synchronizeDirectory(_ path: String) throws(SystemError) {
        let descriptor = Int32(try retryingInterrupts("open \(path)") { Int(skerry_open_directory(path)) })
        defer { Glibc.close(descriptor) }
        _ = try retryingInterrupts("fsync") { Int(fsync(descriptor)) }
    }

    /// The names in a folder, without `.` and `..`.
    public static func names(in path: String) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else { throw SystemError("opendir \(path)") }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// A whole file of at most `limit` bytes.
    public static func read(_ path: String, limit: Int = 1 << 20) throws -> [UInt8] {
        let file = try File(path, .read)
        let size = try file.size()
        guard size <= Int64(limit) else {
            throw EdgeError(.tooLarge, "\(path) has \(size) bytes, at most \(limit) are allowed", side: .internal)
        }
        return try file.read(at: 0, count: Int(size))
    }

    /// Puts a whole file in its place durably: written beside it, flushed, renamed, and the folder flushed.
    ///
    /// - Parameter mode: permission bits.
    public static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o600) throws {
        let temporary = path + ".new"
        try remove(temporary)
        let file = try File(temporary, .create)
        try file.write(bytes, at: 0)
        _ = try retryingInterrupts("fchmod") { Int(fchmod(file.descriptor, mode)) }
        try file.synchronize()
        try rename(temporary, to: path)
        try synchronizeDirectory(path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".")
    }

    /// Permission bits of a file; secret files are checked by them.
    public static func mode(of path: String) throws(SystemError) -> UInt32 {
        var status = stat()
        _ = try retryingInterrupts("stat \(path)") { Int(stat(path, &status)) }
        return UInt32(status.st_mode) & 0o777
    }
}
