import ConfigurationFile

extension FuzzTarget {
    /// Configuration files, read by code that asks for every kind of value.
    static let yaml = FuzzTarget("yaml") { input throws(BrokenProperty) in
        let lines = input.count { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } + 1
        do {
            let values = try ConfigurationFile.parse(input, name: "file", directory: "/etc/") { Values($0) }
            try holdEqual(
                try? ConfigurationFile.parse(input, name: "file", directory: "/etc/") { Values($0) }, values,
                "the second reading")
            try hold((-5...70_000).contains(values.number), "the number \(values.number)")
            try hold(values.path.hasPrefix("/"), "the path \(values.path)")
            try hold(values.list.count <= 3 && values.keys.count <= 2, "a list beyond its bound")
        } catch let error as ConfigurationError {
            try hold(!error.problems.isEmpty && !error.description.isEmpty, "an error without a problem")
            for problem in error.problems {
                // YAML has more line breaks than these two: a line is never said to be before the first.
                try hold((problem.line ?? 1) >= 1, "the line \(problem.line ?? 0) of \(lines)")
            }
        } catch let error as BrokenProperty {
            throw error
        } catch {
            throw BrokenProperty(description: "another error: \(error)")
        }
    }

    private struct Values: Equatable {
        enum Level: String, CaseIterable {
            case debug, info
        }

        var number: Int32 = 0
        var flag = false
        var name = "default"
        var path = "/var"
        var optional: String?
        var level = Level.info
        var list: [String] = []
        var keys: [String] = []
        var inner = ""

        init(_ section: ConfigurationSection) {
            section.read("number", &number, in: -5...70_000)
            section.read("flag", &flag)
            section.read("name", &name)
            section.readPath("path", &path)
            section.read("optional", &optional)
            section.read("level", &level)
            section.read("list", &list, "a word", maxCount: 3) { $0.contains(" ") ? nil : $0 }
            keys = section.list("keys", maxCount: 2) { key in
                var id = ""
                key.read("id", &id, isRequired: true)
                return id
            }
            inner = section.section("section") { section in
                var text = ""
                section.read("text", &text)
                if section.has("text"), text == "no" { section.reject("text", "must not be no") }
                return text
            }
        }
    }
}
