import CYAML

/// Reads the subset of YAML that has one meaning: one document of mappings with scalar keys, sequences and scalars.
///
/// Anchors, aliases, tags, repeated keys and further documents are refused with their line.
enum YAMLReader {
    static let maxBytes = 1 << 20
    private static let maxDepth = 16
    private static let maxNodes = 20_000

    /// - Returns: nil for a file without a document.
    static func read(_ bytes: [UInt8]) throws(YAMLError) -> YAMLNode? {
        guard bytes.count <= maxBytes else { throw YAMLError(line: nil, "the file is longer than \(maxBytes) bytes") }
        guard !bytes.isEmpty else { return nil }
        return try bytes.withUnsafeBufferPointer { (input) throws(YAMLError) in
            let parser = YAMLEventParser(input)
            var document = DocumentReader(parser: parser)
            return try document.read()
        }
    }

    private struct DocumentReader {
        let parser: YAMLEventParser
        var nodes = 0

        mutating func read() throws(YAMLError) -> YAMLNode? {
            _ = try parser.next()  // start of the stream
            guard case .documentStart = try parser.next().kind else { return nil }
            let root = try readNode(try parser.next(), depth: 0)
            _ = try parser.next()  // end of the document
            let following = try parser.next()
            guard case .streamEnd = following.kind else {
                throw YAMLError(line: following.line, "a second document begins here, a file has one")
            }
            return root
        }

        private mutating func readNode(_ event: YAMLEvent, depth: Int) throws(YAMLError) -> YAMLNode {
            nodes += 1
            guard nodes <= maxNodes else { throw YAMLError(line: event.line, "more than \(maxNodes) values") }
            guard depth <= maxDepth else { throw YAMLError(line: event.line, "nested deeper than \(maxDepth)") }
            guard !event.hasAnchor else { throw YAMLError(line: event.line, "anchors (&name) are not allowed") }
            guard !event.hasTag else { throw YAMLError(line: event.line, "tags (!name) are not allowed") }
            switch event.kind {
            case .scalar(let text, let isPlain):
                return YAMLNode(content: .scalar(text, isPlain: isPlain), line: event.line)
            case .sequenceStart: return YAMLNode(content: .sequence(try readElements(depth: depth)), line: event.line)
            case .mappingStart: return YAMLNode(content: .mapping(try readEntries(depth: depth)), line: event.line)
            case .alias: throw YAMLError(line: event.line, "aliases (*name) are not allowed")
            default: throw YAMLError(line: event.line, "a value is missing")
            }
        }

        private mutating func readElements(depth: Int) throws(YAMLError) -> [YAMLNode] {
            var elements: [YAMLNode] = []
            while true {
                let event = try parser.next()
                if case .sequenceEnd = event.kind { return elements }
                elements.append(try readNode(event, depth: depth + 1))
            }
        }

        private mutating func readEntries(depth: Int) throws(YAMLError) -> [YAMLNode.Entry] {
            var entries: [YAMLNode.Entry] = []
            var seen: [String: Int] = [:]
            while true {
                let event = try parser.next()
                if case .mappingEnd = event.kind { return entries }
                guard case .scalar(let key, _) = try readNode(event, depth: depth + 1).content else {
                    throw YAMLError(line: event.line, "a key has to be a plain word")
                }
                if let first = seen.updateValue(event.line, forKey: key) {
                    throw YAMLError(line: event.line, "\(key) stands already in line \(first)")
                }
                let value = try readNode(try parser.next(), depth: depth + 1)
                entries.append(YAMLNode.Entry(key: key, line: event.line, value: value))
            }
        }
    }
}

struct YAMLError: Error, Equatable {
    var line: Int?
    var message: String

    init(line: Int?, _ message: String) {
        self.line = line
        self.message = message
    }
}

private struct YAMLEvent {
    enum Kind {
        case documentStart, sequenceStart, sequenceEnd, mappingStart, mappingEnd, alias, streamEnd, other
        case scalar(String, isPlain: Bool)
    }

    var kind: Kind
    var line: Int
    var hasAnchor = false
    var hasTag = false
}

/// Owns a parser of libyaml over bytes that outlive it.
private final class YAMLEventParser {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeBufferPointer<UInt8>

    init(_ input: UnsafeBufferPointer<UInt8>) {
        self.input = input
        parser = .allocate(capacity: 1)
        precondition(yaml_parser_initialize(parser) == 1, "libyaml is out of memory")
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    func next() throws(YAMLError) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw error }
        defer { yaml_event_delete(&event) }
        var result = YAMLEvent(kind: .other, line: event.start_mark.line + 1)
        switch event.type {
        case YAML_DOCUMENT_START_EVENT: result.kind = .documentStart
        case YAML_STREAM_END_EVENT: result.kind = .streamEnd
        case YAML_ALIAS_EVENT: result.kind = .alias
        case YAML_SEQUENCE_END_EVENT: result.kind = .sequenceEnd
        case YAML_MAPPING_END_EVENT: result.kind = .mappingEnd
        case YAML_SEQUENCE_START_EVENT:
            result.kind = .sequenceStart
            result.hasAnchor = event.data.sequence_start.anchor != nil
            result.hasTag = event.data.sequence_start.tag != nil
        case YAML_MAPPING_START_EVENT:
            result.kind = .mappingStart
            result.hasAnchor = event.data.mapping_start.anchor != nil
            result.hasTag = event.data.mapping_start.tag != nil
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            result.kind = .scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
            result.hasAnchor = scalar.anchor != nil
            result.hasTag = scalar.tag != nil
        default: break
        }
        return result
    }

    private var error: YAMLError {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
        // The reader of bytes runs ahead and has no mark of its own, only an offset.
        let line =
            parser.pointee.error == YAML_READER_ERROR
            ? input.prefix(parser.pointee.problem_offset).count { $0 == UInt8(ascii: "\n") }
            : parser.pointee.problem_mark.line
        return YAMLError(line: line + 1, problem)
    }
}
