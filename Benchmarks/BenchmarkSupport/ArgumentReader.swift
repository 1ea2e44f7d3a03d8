/// Words of a command line, read one after the other.
package struct ArgumentReader {
    private var rest: ArraySlice<String>
    private var option = ""

    package init(_ arguments: [String]) { rest = arguments[...] }

    /// The next option; nil at the end.
    package mutating func next() -> String? {
        guard let word = rest.popFirst() else { return nil }
        option = word
        return word
    }

    /// What belongs to the option.
    package mutating func value() throws -> String {
        guard let value = rest.popFirst() else { throw BadUsage("\(option) needs a value") }
        return value
    }

    /// The number that belongs to the option.
    package mutating func number<Value: LosslessStringConvertible & Comparable>(
        in range: ClosedRange<Value>
    ) throws -> Value {
        guard let number = Value(try value()), range.contains(number) else {
            throw BadUsage("\(option) takes a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
