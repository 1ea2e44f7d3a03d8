/// A mapping of a configuration file. Each call names a key, what may stand there, and where to put it; what the variable
/// holds before is the default. Every key is asked for in every reading, so that the calls are also the list of known keys.
///
/// Problems are collected, not thrown: whoever began the reading reports them all.
package final class ConfigurationSection {
    private let path: String
    private let line: Int
    private let context: ConfigurationContext
    private var entries: [YAMLNode.Entry] = []
    private var known: [String] = []

    init(_ node: YAMLNode?, path: String, line: Int, context: ConfigurationContext) {
        self.path = path
        self.line = line
        self.context = context
        guard let node, !node.isNull else { return }
        if case .mapping(let entries) = node.content {
            self.entries = entries
        } else {
            problem(at: node.line, "\(path.isEmpty ? "the file" : path) has to be a mapping of keys to values")
        }
    }

    /// A whole number.
    package func read<Value: FixedWidthInteger>(_ key: String, _ value: inout Value, in range: ClosedRange<Value>) {
        precondition(range.contains(value), "default of \(key) out of its range")
        read(key, &value, "a whole number from \(range.lowerBound) to \(range.upperBound)", form: .plain) { text in
            Self.isDecimal(text) ? Value(text).flatMap { range.contains($0) ? $0 : nil } : nil
        }
    }

    package func read(_ key: String, _ value: inout Bool) {
        read(key, &value, "true or false", form: .plain) { $0 == "true" ? true : $0 == "false" ? false : nil }
    }

    /// A text of at least one character.
    package func read(_ key: String, _ value: inout String, isRequired: Bool = false) {
        read(key, &value, "a text", isRequired: isRequired) { $0.isEmpty ? nil : $0 }
    }

    package func read(_ key: String, _ value: inout String?) {
        read(key, &value, "a text") { $0.isEmpty ? nil : $0 }
    }

    /// A file or directory; a relative path is meant relative to the configuration file.
    package func readPath(_ key: String, _ value: inout String, isRequired: Bool = false) {
        read(key, &value, "a path", isRequired: isRequired, parse: resolve)
    }

    package func readPath(_ key: String, _ value: inout String?) {
        read(key, &value, "a path", parse: resolve)
    }

    /// A list of files or directories.
    package func readPaths(_ key: String, _ value: inout [String], maxCount: Int) {
        read(key, &value, "a path", maxCount: maxCount, parse: resolve)
    }

    /// One of the cases of an enumeration, by its raw value.
    package func read<Value: RawRepresentable & CaseIterable>(_ key: String, _ value: inout Value)
    where Value.RawValue == String {
        read(
            key, &value, "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "),
            parse: Value.init(rawValue:), print: \.rawValue)
    }

    /// A scalar of any type.
    ///
    /// - Parameters:
    ///   - allowed: what may stand there, in words that follow "has to be".
    ///   - form: whether quotes are allowed.
    ///   - parse: nil for what may not.
    package func read<Value>(
        _ key: String, _ value: inout Value, _ allowed: String, isRequired: Bool = false, form: ScalarForm = .any,
        parse: (String) -> Value?, print: (Value) -> String = { "\($0)" }
    ) {
        let entry = entry(key, allowed, isRequired ? nil : print(value), isRequired: isRequired)
        if let parsed = entry.flatMap({ scalar($0, allowed, form, parse) }) { value = parsed }
    }

    /// A scalar that may be absent.
    package func read<Value>(
        _ key: String, _ value: inout Value?, _ allowed: String, form: ScalarForm = .any, parse: (String) -> Value?,
        print: (Value) -> String = { "\($0)" }
    ) {
        let entry = entry(key, allowed, value.map(print))
        if let parsed = entry.flatMap({ scalar($0, allowed, form, parse) }) { value = parsed }
    }

    /// A list of scalars. What is written replaces the default as a whole.
    package func read<Value>(
        _ key: String, _ value: inout [Value], _ allowed: String, maxCount: Int, parse: (String) -> Value?,
        print: (Value) -> String = { "\($0)" }
    ) {
        let text = "[" + value.map(print).joined(separator: ", ") + "]"
        guard let entry = entry(key, "a list, each \(allowed)", text),
            let elements = elements(of: entry, maxCount: maxCount)
        else { return }
        value = elements.compactMap {
            scalar(YAMLNode.Entry(key: key, line: $0.line, value: $0), allowed, .any, parse)
        }
    }

    package func section<Value>(_ key: String, _ body: (ConfigurationSection) -> Value) -> Value {
        known.append(key)
        let entry = entries.first { $0.key == key }
        let inner = ConfigurationSection(entry?.value, path: name(key), line: entry?.line ?? line, context: context)
        defer { inner.finish() }
        return body(inner)
    }

    /// A list of mappings.
    package func list<Value>(_ key: String, maxCount: Int, _ body: (ConfigurationSection) -> Value) -> [Value] {
        known.append(key)
        let path = name(key) + "[]"
        // What an element may hold is known without one, too.
        let template = ConfigurationContext(directory: context.directory)
        _ = body(ConfigurationSection(nil, path: path, line: line, context: template))
        context.keys += template.keys
        guard let entry = entries.first(where: { $0.key == key }),
            let elements = elements(of: entry, maxCount: maxCount)
        else { return [] }
        return elements.map { element in
            let keys = context.keys
            let inner = ConfigurationSection(element, path: path, line: element.line, context: context)
            let value = body(inner)
            inner.finish()
            context.keys = keys
            return value
        }
    }

    /// Says what is wrong with a key in the light of others.
    package func reject(_ key: String, _ message: String) {
        problem(at: entries.first { $0.key == key }?.line ?? line, "\(name(key)) \(message)")
    }

    /// Whether the key was written.
    package func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// Reports every key that was not asked for.
    func finish() {
        for entry in entries where !known.contains(entry.key) {
            let hint = nearestName(to: entry.key, among: known).map { "did you mean \($0)?" }
            let section = path.isEmpty ? "the file" : path
            problem(
                at: entry.line,
                "unknown key \(entry.key); \(hint ?? "\(section) may have " + known.joined(separator: ", "))")
        }
    }

    package enum ScalarForm: Sendable {
        /// Quotes make no difference.
        case any
        /// Without quotes: a number or truth value.
        case plain
    }

    private func entry(
        _ key: String, _ allowed: String, _ defaultText: String?, isRequired: Bool = false
    ) -> YAMLNode.Entry? {
        known.append(key)
        context.keys.append(
            ConfigurationKey(path: name(key), allowed: allowed, defaultText: defaultText, isRequired: isRequired))
        let entry = entries.first { $0.key == key }
        if entry == nil, isRequired { problem(at: line, "\(name(key)) is missing, it has to be \(allowed)") }
        return entry
    }

    private func scalar<Value>(
        _ entry: YAMLNode.Entry, _ allowed: String, _ form: ScalarForm, _ parse: (String) -> Value?
    ) -> Value? {
        if case .scalar(let text, let isPlain) = entry.value.content, isPlain || form == .any, !entry.value.isNull,
            let value = parse(text)
        {
            return value
        }
        problem(at: entry.line, "\(name(entry.key)) has to be \(allowed)")
        return nil
    }

    private func elements(of entry: YAMLNode.Entry, maxCount: Int) -> [YAMLNode]? {
        guard case .sequence(let elements) = entry.value.content, elements.count <= maxCount else {
            problem(at: entry.line, "\(name(entry.key)) has to be a list of at most \(maxCount), [] for none")
            return nil
        }
        return elements
    }

    private func resolve(_ text: String) -> String? {
        guard !text.isEmpty, !text.utf8.contains(0) else { return nil }
        return text.hasPrefix("/") ? text : context.directory + text
    }

    private func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func problem(at line: Int, _ message: String) {
        context.problems.append(ConfigurationError.Problem(line: line, message: message))
    }

    private static func isDecimal(_ text: String) -> Bool {
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard let first = digits.first, digits.allSatisfy({ (48...57).contains($0) }) else { return false }
        return first != 48 || digits.count == 1
    }
}
