/// Everything that is wrong with a configuration file, in the order of its lines.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    package struct Problem: Equatable, Sendable {
        /// Counted from 1; nil when it is about the file as a whole.
        package let line: Int?
        /// What is wrong, and what is allowed.
        package let message: String
    }

    /// As it was named by whoever started the process.
    package let file: String
    package let problems: [Problem]

    init(file: String, problems: [Problem]) {
        self.file = file
        self.problems = problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) }
    }

    package var description: String {
        problems.map { problem in
            problem.line.map { "\(file):\($0): \(problem.message)" } ?? "\(file): \(problem.message)"
        }.joined(separator: "\n")
    }
}
