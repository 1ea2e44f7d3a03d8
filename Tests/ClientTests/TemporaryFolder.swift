import Glibc
import Runtime

/// A folder that goes with its owner.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/skerry-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FolderError() }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in (try? FileSystem.names(in: path)) ?? [] { unlink(path + "/" + name) }
        rmdir(path)
    }

    private struct FolderError: Error {}
}
