import FuzzTargets
import Glibc

/// What was kept for a target: files of FuzzTesting/Seeds and FuzzTesting/FailCases.
struct Corpus {
    struct Input: CustomStringConvertible, Sendable {
        var target: FuzzTarget
        var name: String
        var bytes: [UInt8]

        var description: String { "\(target.name)/\(name)" }
    }

    static let seeds = FuzzTarget.all.flatMap { inputs(of: $0, in: "Seeds") }
    static let failCases = FuzzTarget.all.flatMap { inputs(of: $0, in: "FailCases") }

    private static func inputs(of target: FuzzTarget, in kind: String) -> [Input] {
        let folder = "\(root)/FuzzTesting/\(kind)/\(target.name)"
        return names(in: folder).compactMap { name in
            contents(of: "\(folder)/\(name)").map { Input(target: target, name: name, bytes: $0) }
        }
    }

    private static var root: String {
        #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func contents(of path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return bytes
    }
}
