/// Help, generated from the declarations alone, so that it cannot promise what the parser refuses.
struct HelpText {
    let command: Command
    let path: [String]
    var width = 100

    func render() -> String {
        var lines = [command.summary, "", "usage: " + usage]
        if !command.discussion.isEmpty { lines += ["", command.discussion] }
        section("commands", command.subcommands.map { ($0.name, $0.summary) }, into: &lines)
        let positional = command.parameters.filter { $0.shape == .positional }
        section("arguments", positional.map { ($0.placeholder, $0.help) }, into: &lines)
        if command.subcommands.isEmpty {
            let options = command.parameters.filter { $0.shape != .positional }
            section("options", options.map { (spelling($0), explain($0)) } + [("--help", "show this")], into: &lines)
        } else {
            lines += ["", "'\(path.joined(separator: " ")) COMMAND --help' tells more."]
        }
        return lines.joined(separator: "\n")
    }

    private var usage: String {
        var words = path
        if !command.subcommands.isEmpty { return (words + ["COMMAND"]).joined(separator: " ") }
        for declaration in command.parameters where declaration.shape != .positional && declaration.isRequired {
            words.append(spelling(declaration))
        }
        if command.parameters.contains(where: { $0.shape != .positional && !$0.isRequired }) {
            words.append("[options]")
        }
        for declaration in command.parameters where declaration.shape == .positional {
            words.append(declaration.isRequired ? declaration.placeholder : "[\(declaration.placeholder)]")
        }
        return words.joined(separator: " ")
    }

    private func spelling(_ declaration: Declaration) -> String {
        declaration.shape == .flag ? declaration.name : "\(declaration.name) \(declaration.placeholder)"
    }

    private func explain(_ declaration: Declaration) -> String {
        var text = declaration.help
        if let value = declaration.defaultText { text += " (default \(value))" }
        if declaration.isRepeated { text += " (may be repeated)" }
        return text
    }

    private func section(_ title: String, _ rows: [(String, String)], into lines: inout [String]) {
        guard !rows.isEmpty else { return }
        lines += ["", "\(title):"]
        let column = min(28, (rows.map(\.0.count).max() ?? 0) + 2)
        for (left, right) in rows {
            var pieces = wrap(right, to: max(30, width - column - 2))
            if left.count + 2 > column {
                lines.append("  " + left)
            } else {
                lines.append("  " + left.padded(to: column) + (pieces.isEmpty ? "" : pieces.removeFirst()))
            }
            lines += pieces.map { String(repeating: " ", count: column + 2) + $0 }
        }
    }

    private func wrap(_ text: String, to width: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + word.count < width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}

extension String {
    /// Filled with spaces on the right.
    func padded(to count: Int) -> String {
        self + String(repeating: " ", count: max(0, count - self.count))
    }
}
