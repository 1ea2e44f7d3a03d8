import Glibc

/// Reads a YAML file into typed configuration, strictly: a key that no code asks for is an error, and all errors are told
/// at once, with their lines.
///
/// The code that reads is also the list of what is known: `keys(of:)` runs it without a file.
package enum ConfigurationFile {
    /// - Parameters:
    ///   - path: the file; relative paths within it are meant relative to its directory.
    ///   - body: asks the section for every key, unconditionally. Its result counts only when nothing was wrong.
    /// - Throws: `ConfigurationError`.
    package static func load<Value>(
        _ path: String, _ body: (ConfigurationSection) -> Value
    ) throws(ConfigurationError) -> Value {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) + "/" } ?? ""
        return try parse(try read(path), name: path, directory: directory, body)
    }

    /// - Parameter directory: put before relative paths; empty, or with a slash at its end.
    package static func parse<Value>(
        _ bytes: [UInt8], name: String, directory: String = "", _ body: (ConfigurationSection) -> Value
    ) throws(ConfigurationError) -> Value {
        let context = ConfigurationContext(directory: directory)
        let root: YAMLNode?
        do {
            root = try YAMLReader.read(bytes)
        } catch {
            throw ConfigurationError(file: name, problems: [.init(line: error.line, message: error.message)])
        }
        let section = ConfigurationSection(root, path: "", line: 1, context: context)
        let value = body(section)
        section.finish()
        guard context.problems.isEmpty else { throw ConfigurationError(file: name, problems: context.problems) }
        return value
    }

    /// Every key that the body asks for, in its order.
    package static func keys<Value>(of body: (ConfigurationSection) -> Value) -> [ConfigurationKey] {
        let context = ConfigurationContext(directory: "")
        _ = body(ConfigurationSection(nil, path: "", line: 1, context: context))
        return context.keys
    }

    private static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
        func failure(_ action: String) -> ConfigurationError {
            ConfigurationError(
                file: path, problems: [.init(line: nil, message: "\(action): \(String(cString: strerror(errno)))")])
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= YAMLReader.maxBytes {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("cannot be read") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}

/// What the sections of one file share while it is read.
final class ConfigurationContext {
    let directory: String
    var problems: [ConfigurationError.Problem] = []
    var keys: [ConfigurationKey] = []

    init(directory: String) { self.directory = directory }
}
