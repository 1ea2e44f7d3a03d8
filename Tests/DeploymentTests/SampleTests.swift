import Base
import ConfigurationFile
import Deployment
import HTTP
import Runtime
import Testing

/// The samples in edge-config/, the defaults in the code and the keys that are known say the same.
///
/// In a sample, prose is commented with `# `, a key that is left out by default with `#` alone.
@Suite struct SampleTests {
    private struct Sample {
        var text: String

        init(_ name: String) throws {
            let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(
                separator: "/")
            text = String(decoding: try FileSystem.read("\(root)/edge-config/\(name)"), as: UTF8.self)
        }

        /// With every key that is left out by default.
        var complete: String {
            text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                let indent = line.prefix { $0 == " " }
                let rest = line.dropFirst(indent.count)
                guard rest.hasPrefix("#"), rest.dropFirst().first.map({ $0 != " " }) ?? false else {
                    return String(line)
                }
                return String(indent + rest.dropFirst())
            }.joined(separator: "\n")
        }

        /// Only keys that have no default.
        func minimal(_ keys: [ConfigurationKey]) -> String {
            let optional = Set(
                keys.filter { !$0.isRequired }.compactMap { $0.path.split(separator: ".").last.map(String.init) })
            let required = Set(
                keys.filter(\.isRequired).compactMap { $0.path.split(separator: ".").last.map(String.init) })
            return text.split(separator: "\n").filter { line in
                guard let name = Self.key(line) else { return true }
                return required.contains(name) || !optional.contains(name)
            }.joined(separator: "\n")
        }

        /// The key of a line, if it has one.
        static func key(_ line: some StringProtocol) -> String? {
            let text = line.drop { $0 == " " || $0 == "-" }
            guard !text.hasPrefix("#"), let colon = text.firstIndex(of: ":") else { return nil }
            return String(text[..<colon])
        }
    }

    private func parse<Value>(_ text: String, _ body: (ConfigurationSection) -> Value) throws -> Value {
        try ConfigurationFile.parse(Array(text.utf8), name: "sample", body)
    }

    /// Every key once, each with words about it above.
    private func check(_ sample: Sample, _ keys: [ConfigurationKey]) {
        let known = keys.map { String($0.path.split(separator: ".").last ?? "") }
        let sections = Set(
            keys.flatMap { $0.path.split(separator: ".").dropLast().map { String($0).replacing("[]", with: "") } })
        var previous: Substring = ""
        var written: [String] = []
        for line in sample.complete.split(separator: "\n", omittingEmptySubsequences: false) {
            defer { previous = line }
            guard let key = Sample.key(line) else { continue }
            let isExplained = previous.drop(while: { $0 == " " }).hasPrefix("# ")
            #expect(isExplained, "\(key) has no comment above it")
            if !sections.contains(key) || known.contains(key) && !line.hasSuffix(":") { written.append(key) }
        }
        #expect(written.sorted() == known.sorted())
    }

    @Test func edgeNode() throws {
        let sample = try Sample("edge-node.sample.yaml")
        check(sample, NodeConfiguration.keys)
        let configuration = try parse(sample.text, NodeConfiguration.init)
        #expect(configuration == (try parse(sample.minimal(NodeConfiguration.keys), NodeConfiguration.init)))
        _ = try parse(sample.complete, NodeConfiguration.init)
    }

    @Test func edgeCentral() throws {
        let sample = try Sample("edge-central.sample.yaml")
        check(sample, CentralConfiguration.keys)
        let configuration = try parse(sample.text, CentralConfiguration.init)
        #expect(configuration == (try parse(sample.minimal(CentralConfiguration.keys), CentralConfiguration.init)))
        _ = try parse(sample.complete, CentralConfiguration.init)
    }

    /// A field that no key sets would be an option that nobody can use.
    @Test func everyFieldHasAKey() throws {
        let node = try parse(try Sample("edge-node.sample.yaml").text, NodeConfiguration.init)
        let central = try parse(try Sample("edge-central.sample.yaml").text, CentralConfiguration.init)
        let nodeKeys = Set(NodeConfiguration.keys.map(\.path))
        let centralKeys = Set(CentralConfiguration.keys.map(\.path))
        func expect(_ section: String, _ fields: Any, _ keys: Set<String>) {
            for child in Mirror(reflecting: fields).children {
                guard let label = child.label else { continue }
                let name = snakeCase(label)
                // From files of their own.
                let loaded = ["shared_secret", "further_shared_secrets", "users", "access_tokens", "realms"]
                if loaded.contains(name) { continue }
                let path = section.isEmpty ? name : "\(section).\(name)"
                #expect(keys.contains { $0 == path || $0.hasPrefix(path + ".") }, "\(path)")
            }
        }
        expect("", node.process, nodeKeys)
        expect("http", node.http, nodeKeys)
        expect("http.web_socket", node.http.webSocket, nodeKeys)
        expect("listen", node.listen.limits, nodeKeys)
        expect("admin", node.admin, nodeKeys)
        expect("control", node.control, nodeKeys)
        expect("uplink", node.uplink, nodeKeys)
        expect("media", node.media, nodeKeys)
        expect("connection", node.connection, nodeKeys)
        expect("worker", node.worker, nodeKeys)
        expect("relay", node.relay, nodeKeys)
        expect("router", central.router, centralKeys)
        expect("enrolment", central.enrolment.authority, centralKeys)
        expect("uplink", central.uplink, centralKeys)
    }

    private func snakeCase(_ name: String) -> String {
        var output = ""
        var previousIsUpper = true
        for character in name {
            if character.isUppercase, !previousIsUpper { output += "_" }
            previousIsUpper = character.isUppercase
            output += character.lowercased()
        }
        return output.replacing("cpuseconds", with: "cpu_seconds")
    }
}
