/// Finds the command that the arguments name and checks its options.
struct CommandParser {
    enum Outcome {
        case run(Command, Invocation)
        case help(Command, path: [String])
    }

    let root: Command

    func parse(_ arguments: [String]) throws(UsageError) -> Outcome {
        var command = root
        var path = [root.name]
        var rest = arguments[...]
        while !command.subcommands.isEmpty {
            guard let word = rest.popFirst() else {
                return .help(command, path: path)
            }
            if word == "--help" || word == "-h" || word == "help" { return .help(command, path: path) }
            guard let next = command.subcommands.first(where: { $0.name == word }) else {
                let names = command.subcommands.map(\.name)
                let kind = word.hasPrefix("-") ? "option" : "command"
                throw UsageError(message: "unknown \(kind) '\(word)'" + suggestion(word, among: names), path: path)
            }
            command = next
            path.append(next.name)
        }
        return try parseLeaf(command, path: path, rest)
    }

    private func parseLeaf(
        _ command: Command, path: [String], _ arguments: ArraySlice<String>
    ) throws(UsageError) -> Outcome {
        var rest = arguments
        var invocation = Invocation(path: path)
        var words: [String] = []
        var onlyWords = false
        while let word = rest.popFirst() {
            if onlyWords || !word.hasPrefix("-") || word == "-" {
                words.append(word)
                continue
            }
            if word == "--" {
                onlyWords = true
                continue
            }
            if word == "--help" || word == "-h" { return .help(command, path: path) }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard let declaration = command.parameters.first(where: { $0.shape != .positional && $0.name == name })
            else {
                let names = command.parameters.filter { $0.shape != .positional }.map(\.name) + ["--help"]
                throw UsageError(message: "unknown option '\(name)'" + suggestion(name, among: names), path: path)
            }
            let value: String
            if declaration.shape == .flag {
                guard parts.count == 1 else { throw UsageError(message: "\(name) takes no value", path: path) }
                value = ""
            } else if parts.count == 2 {
                value = String(parts[1])
            } else if let next = rest.popFirst() {
                value = next
            } else {
                throw UsageError(message: "\(name) needs a value: \(declaration.placeholder)", path: path)
            }
            guard declaration.isRepeated || invocation.values[name] == nil else {
                throw UsageError(message: "\(name) is given twice", path: path)
            }
            try accept(value, for: declaration, into: &invocation)
        }
        for declaration in command.parameters where declaration.shape == .positional {
            guard !words.isEmpty else { break }
            try accept(words.removeFirst(), for: declaration, into: &invocation)
        }
        if let extra = words.first { throw UsageError(message: "unexpected argument '\(extra)'", path: path) }
        for declaration in command.parameters where declaration.isRequired {
            guard invocation.values[declaration.name] != nil else {
                throw UsageError(message: "\(declaration.name) is missing", path: path)
            }
        }
        return .run(command, invocation)
    }

    private func accept(
        _ value: String, for declaration: Declaration, into invocation: inout Invocation
    ) throws(UsageError) {
        if let allowed = declaration.refuse(value) {
            throw UsageError(message: "\(declaration.name) '\(value)' is not \(allowed)", path: invocation.path)
        }
        invocation.values[declaration.name, default: []].append(value)
    }

    private func suggestion(_ word: String, among names: [String]) -> String {
        nearestName(to: word, among: names).map { "; did you mean '\($0)'?" } ?? ""
    }
}
