import Glibc
import Runtime

/// Folders for a demo.
enum TemporaryFolder {
    static func make() throws -> String {
        let parent = environmentValue("TMPDIR") ?? "/tmp"
        var template = Array((parent + "/skerry-demo-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure("no folder in \(parent): \(String(cString: strerror(errno)))")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a folder with all that is in it; follows no links.
    static func remove(_ path: String) {
        for name in (try? FileSystem.names(in: path)) ?? [] {
            let child = path + "/" + name
            // Fails for folders alone.
            if unlink(child) != 0 { remove(child) }
        }
        rmdir(path)
    }
}
