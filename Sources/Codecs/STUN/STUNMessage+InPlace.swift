import Base

extension STUNMessage {
    /// Lets a value be looked at where it lies.
    public func withValue<Value>(_ attribute: STUNAttribute, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[attribute.range])) }
    }

    /// Whether the attribute's value is this text.
    public func value(_ attribute: STUNAttribute, equals text: String) -> Bool {
        withValue(attribute) { value in
            value.count == text.utf8.count && text.utf8.elementsEqual(value)
        }
    }
}
