import Base
import ConfigurationFile
import Testing

private enum Level: String, CaseIterable { case low, high }

private struct Key: Equatable {
    var id = ""
    var weight = 1

    init(_ section: ConfigurationSection) {
        section.read("id", &id, isRequired: true)
        section.read("weight", &weight, in: 1...10)
    }
}

private struct Settings: Equatable {
    var name = ""
    var port: UInt16 = 8480
    var offset: Int64 = -5
    var verbose = false
    var level = Level.low
    var listen = SocketAddress(.loopbackV4, port: 80)
    var directory = "var"
    var certificate: String?
    var origins: [String] = ["a"]
    var keys: [Key] = []
    var maxOpenUploads = 100

    init(_ section: ConfigurationSection) {
        section.read("name", &name, isRequired: true)
        section.read("port", &port, in: 1...65535)
        section.read("offset", &offset, in: -10...10)
        section.read("verbose", &verbose)
        section.read("level", &level)
        section.read("listen", &listen, "an address and port") { SocketAddress($0) }
        section.readPath("directory", &directory)
        section.readPath("certificate", &certificate)
        section.read("origins", &origins, "a text", maxCount: 3) { $0 }
        keys = section.list("keys", maxCount: 2, Key.init)
        section.section("media") { media in
            media.read("max_open_uploads", &maxOpenUploads, in: 1...1000)
            if maxOpenUploads == 13 { media.reject("max_open_uploads", "brings bad luck") }
        }
    }
}

@Suite struct ConfigurationFileTests {
    private func parse(_ text: String) throws(ConfigurationError) -> Settings {
        try ConfigurationFile.parse(Array(text.utf8), name: "test.yaml", directory: "/etc/skerry/", Settings.init)
    }

    private func problems(_ text: String) -> [String] {
        do {
            _ = try parse(text)
            return []
        } catch {
            return error.description.split(separator: "\n").map(String.init)
        }
    }

    @Test func readsEveryKind() throws {
        let settings = try parse(
            """
            # a comment
            name: "edge: one"
            port: 443
            offset: -10
            verbose: true
            level: high
            listen: "[::1]:5"   # quoted for its brackets
            directory: data/media
            certificate: /abs/cert.pem
            origins: [b, 'c']
            keys:
              - id: k1
              - {id: "2", weight: 10}
            media:
              max_open_uploads: 7
            """)
        #expect(settings.name == "edge: one" && settings.port == 443 && settings.offset == -10 && settings.verbose)
        #expect(settings.level == .high && settings.listen == SocketAddress(.loopbackV6, port: 5))
        #expect(settings.directory == "/etc/skerry/data/media" && settings.certificate == "/abs/cert.pem")
        #expect(settings.origins == ["b", "c"] && settings.keys.map(\.id) == ["k1", "2"])
        #expect(settings.keys.map(\.weight) == [1, 10] && settings.maxOpenUploads == 7)
    }

    @Test func keepsDefaults() throws {
        let settings = try parse("name: x\nmedia:\n")
        #expect(settings.port == 8480 && settings.origins == ["a"] && settings.keys.isEmpty)
        #expect(settings.directory == "var" && settings.certificate == nil && settings.maxOpenUploads == 100)
    }

    @Test(arguments: [
        ("port: 80", "test.yaml:1: name is missing, it has to be a text"),
        ("", "test.yaml:1: name is missing, it has to be a text"),
        ("name: x\nprot: 80", "test.yaml:2: unknown key prot; did you mean port?"),
        ("name: x\nmedia:\n  max_uploads: 80", "test.yaml:3: unknown key max_uploads; did you mean max_open_uploads?"),
        ("name: x\nmedia:\n  color: red", "test.yaml:3: unknown key color; media may have max_open_uploads"),
        ("name: x\nport: 0", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: 65536", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: '80'", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: 010", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: 0x50", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: +80", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: 80.0", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport:", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nport: [1]", "test.yaml:2: port has to be a whole number from 1 to 65535"),
        ("name: x\nverbose: yes", "test.yaml:2: verbose has to be true or false"),
        ("name: x\nverbose: 'true'", "test.yaml:2: verbose has to be true or false"),
        ("name: x\nlevel: medium", "test.yaml:2: level has to be one of low, high"),
        ("name: x\nlisten: 1.2.3.4", "test.yaml:2: listen has to be an address and port"),
        ("name: x\ndirectory: ''", "test.yaml:2: directory has to be a path"),
        ("name: x\norigins: b", "test.yaml:2: origins has to be a list of at most 3, [] for none"),
        ("name: x\norigins: [a, b, c, d]", "test.yaml:2: origins has to be a list of at most 3, [] for none"),
        ("name: x\norigins:\n- a\n- {b: c}", "test.yaml:4: origins has to be a text"),
        ("name: x\nkeys:\n- weight: 1", "test.yaml:3: keys[].id is missing, it has to be a text"),
        ("name: x\nkeys:\n- id: a\n  weigth: 1", "test.yaml:4: unknown key weigth; did you mean weight?"),
        ("name: x\nkeys:\n- a", "test.yaml:3: keys[] has to be a mapping of keys to values"),
        ("name: x\nmedia: 5", "test.yaml:2: media has to be a mapping of keys to values"),
        ("name: x\nmedia:\n  max_open_uploads: 13", "test.yaml:3: media.max_open_uploads brings bad luck"),
        ("- name", "test.yaml:1: the file has to be a mapping of keys to values"),
    ])
    func saysWhatIsWrong(_ text: String, _ message: String) {
        #expect(problems(text).contains(message), "\(problems(text))")
    }

    @Test func saysEverythingAtOnce() {
        let text = "prot: 1\nverbose: 2\nkeys:\n- weight: 11\n"
        let lines = problems(text).map { $0.prefix(12) }
        #expect(lines == ["test.yaml:1:", "test.yaml:1:", "test.yaml:2:", "test.yaml:4:", "test.yaml:4:"])
    }

    @Test(arguments: [
        ("name: x\nname: y", "test.yaml:2: name stands already in line 1"),
        ("name: &a x", "test.yaml:1: anchors (&name) are not allowed"),
        ("name: x\norigins: &a [b]", "test.yaml:2: anchors (&name) are not allowed"),
        ("name: *a", "test.yaml:1: aliases (*name) are not allowed"),
        ("name: !!str x", "test.yaml:1: tags (!name) are not allowed"),
        ("name: x\nmedia: !m {}", "test.yaml:2: tags (!name) are not allowed"),
        ("name: x\n---\nname: y", "test.yaml:2: a second document begins here, a file has one"),
        ("? [a]\n: b", "test.yaml:1: a key has to be a plain word"),
        ("name: x\n\tport: 1", "test.yaml:2: found a tab character that violates indentation"),
        ("name: [x\n", "test.yaml:2: did not find expected ',' or ']'"),
        ("name: x\n port: 1", "test.yaml:2: mapping values are not allowed in this context"),
        ("name: x\nbell: \u{7}", "test.yaml:2: control characters are not allowed"),
    ])
    func refusesWhatHasTwoMeanings(_ text: String, _ message: String) {
        #expect(problems(text) == [message])
    }

    @Test func boundsSizeAndDepth() {
        #expect(
            problems(String(repeating: "#", count: 1 << 20) + "#") == [
                "test.yaml: the file is longer than 1048576 bytes"
            ])
        let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(problems("name: " + deep) == ["test.yaml:1: nested deeper than 16"])
        #expect(
            problems("name: [" + String(repeating: "1,", count: 30_000) + "]") == [
                "test.yaml:1: more than 20000 values"
            ])
    }

    @Test func survivesAnyBytes() {
        let text = Array("name: \"x\\u00e9\"\nkeys:\n  - {id: k, weight: 2}\norigins: [a, 'é']\n".utf8)
        for index in text.indices {
            _ = try? ConfigurationFile.parse(Array(text[..<index]), name: "t", Settings.init)
            for byte: UInt8 in [0, 9, 10, 0x22, 0x26, 0x2A, 0x3A, 0x5B, 0x7B, 0x80, 0xC3, 0xFF] {
                var changed = text
                changed[index] = byte
                _ = try? ConfigurationFile.parse(changed, name: "t", Settings.init)
            }
        }
    }

    @Test func tellsItsKeys() {
        let keys = ConfigurationFile.keys(of: Settings.init)
        #expect(
            keys.map(\.path) == [
                "name", "port", "offset", "verbose", "level", "listen", "directory", "certificate", "origins",
                "keys[].id", "keys[].weight", "media.max_open_uploads",
            ])
        #expect(keys.first?.isRequired == true && keys.first?.defaultText == nil)
        let defaults = Dictionary(uniqueKeysWithValues: keys.map { ($0.path, $0.defaultText) })
        #expect(defaults["port"] == "8480" && defaults["level"] == "low" && defaults["origins"] == "[a]")
        #expect(defaults["listen"] == "127.0.0.1:80" && defaults["keys[].weight"] == "1")
    }

    @Test func tellsWhichFileCannotBeRead() {
        #expect {
            try ConfigurationFile.load("/nonexistent/edge.yaml", Settings.init)
        } throws: {
            "\($0)" == "/nonexistent/edge.yaml: cannot be opened: No such file or directory"
        }
    }
}
