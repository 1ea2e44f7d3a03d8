/// One option or positional argument as declared: what the parser accepts and what the help shows.
struct Declaration: Sendable {
    enum Shape: Sendable {
        /// `--name`
        case flag
        /// `--name VALUE` or `--name=VALUE`
        case option
        /// A value that stands for itself.
        case positional
    }

    /// With its dashes for options; the placeholder for positional arguments.
    let name: String
    let shape: Shape
    let placeholder: String
    let help: String
    var defaultText: String?
    var isRequired = false
    var isRepeated = false
    /// Says what is allowed if the text is not a value; nil if it is.
    let refuse: @Sendable (String) -> String?
}

/// A declaration together with the type of its value. A command lists the declarations and reads the values with
/// `invocation[parameter]`; the parser has refused bad text before a command runs.
struct Parameter<Value: Sendable>: Sendable {
    let declaration: Declaration
    let read: @Sendable ([String]) -> Value
}

/// How a type is read from the command line.
struct ValueForm<Value: Sendable>: Sendable {
    let placeholder: String
    /// What is allowed, for the error: "a whole number".
    let allowed: String
    let parse: @Sendable (String) -> Value?

    var refuse: @Sendable (String) -> String? {
        { parse($0) == nil ? allowed : nil }
    }
}

extension Parameter {
    static func flag(_ name: String, _ help: String) -> Parameter<Bool> {
        Parameter<Bool>(
            declaration: Declaration(name: name, shape: .flag, placeholder: "", help: help, refuse: { _ in nil }),
            read: { !$0.isEmpty })
    }

    static func option(
        _ name: String, _ form: ValueForm<Value>, _ help: String, default value: Value, shownAs text: String
    ) -> Parameter<Value> {
        Parameter(
            declaration: Declaration(
                name: name, shape: .option, placeholder: form.placeholder, help: help, defaultText: text,
                refuse: form.refuse),
            read: { $0.last.flatMap(form.parse) ?? value })
    }

    static func optional(_ name: String, _ form: ValueForm<Value>, _ help: String) -> Parameter<Value?> {
        Parameter<Value?>(
            declaration: Declaration(
                name: name, shape: .option, placeholder: form.placeholder, help: help, refuse: form.refuse),
            read: { $0.last.flatMap(form.parse) })
    }

    static func required(_ name: String, _ form: ValueForm<Value>, _ help: String) -> Parameter<Value> {
        Parameter(
            declaration: Declaration(
                name: name, shape: .option, placeholder: form.placeholder, help: help, isRequired: true,
                refuse: form.refuse),
            read: { Self.present($0, form) })
    }

    static func repeated(_ name: String, _ form: ValueForm<Value>, _ help: String) -> Parameter<[Value]> {
        Parameter<[Value]>(
            declaration: Declaration(
                name: name, shape: .option, placeholder: form.placeholder, help: help, isRepeated: true,
                refuse: form.refuse),
            read: { $0.compactMap(form.parse) })
    }

    static func positional(_ name: String, _ form: ValueForm<Value>, _ help: String) -> Parameter<Value> {
        Parameter(
            declaration: Declaration(
                name: name, shape: .positional, placeholder: name, help: help, isRequired: true, refuse: form.refuse),
            read: { Self.present($0, form) })
    }

    static func optionalPositional(_ name: String, _ form: ValueForm<Value>, _ help: String) -> Parameter<Value?> {
        Parameter<Value?>(
            declaration: Declaration(
                name: name, shape: .positional, placeholder: name, help: help, refuse: form.refuse),
            read: { $0.last.flatMap(form.parse) })
    }

    /// The parser lets no command run without its required values, and with none that the form refuses.
    private static func present(_ texts: [String], _ form: ValueForm<Value>) -> Value {
        guard let value = texts.last.flatMap(form.parse) else { preconditionFailure("a required value is missing") }
        return value
    }
}
