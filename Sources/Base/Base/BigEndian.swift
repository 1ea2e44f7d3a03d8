extension Array where Element == UInt8 {
    /// Appends an integer in network byte order.
    public mutating func append<Value: FixedWidthInteger>(bigEndian value: Value) {
        var shift = Value.bitWidth - 8
        while shift >= 0 {
            append(UInt8(truncatingIfNeeded: value >> Value(shift)))
            shift -= 8
        }
    }
}

extension RawSpan {
    /// Reads an integer in network byte order.
    ///
    /// - Parameter offset: offset of the first byte; the integer must lie within the span (precondition).
    @inlinable
    public func bigEndian<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value {
        Value(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension RawSpan {
    /// A copy of the bytes.
    public var array: [UInt8] {
        withUnsafeBytes { [UInt8]($0) }
    }
}
