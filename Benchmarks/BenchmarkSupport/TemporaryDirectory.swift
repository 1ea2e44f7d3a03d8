import Glibc

/// A folder under /tmp that goes, with the files in it, when the body returns.
package func withTemporaryDirectory<Result>(_ name: String, _ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/\(name).XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw BenchError("no temporary directory") }
    let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { remove(directory) }
    return try body(directory)
}

/// With what is in it; links are removed, not followed.
private func remove(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
        unlink(path)
        return
    }
    for name in names(in: path) { remove("\(path)/\(name)") }
    rmdir(path)
}

/// The names of what a folder holds; none when it cannot be read.
package func names(in directory: String) -> [String] {
    guard let entries = opendir(directory) else { return [] }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}
