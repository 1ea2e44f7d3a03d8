import Glibc

/// The folder of our own executable, where the other programs of the project are too.
func executableFolder() throws -> String {
    guard let resolved = realpath("/proc/self/exe", nil) else {
        throw CommandFailure("/proc/self/exe: \(String(cString: strerror(errno)))")
    }
    defer { free(resolved) }
    return String(cString: resolved).split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
        separator: "/")
}

func executable(named name: String) throws -> String {
    let path = try executableFolder() + "/" + name
    guard access(path, X_OK) == 0 else {
        throw CommandFailure("\(path) is missing; build it with 'swift build'")
    }
    return path
}
