/// One decoder as the fuzzer and the tests see it: bytes go in, and whatever they are, what is promised of the decoder
/// holds.
package struct FuzzTarget: Sendable, CustomStringConvertible {
    /// The name on the command line and of the folders of seeds and failures.
    package let name: String
    /// Feeds the decoder.
    ///
    /// - Throws: `BrokenProperty` when something that has to hold does not. A trap of the decoder stays a trap.
    package let run: @Sendable (_ input: [UInt8]) throws(BrokenProperty) -> Void

    package init(_ name: String, run: @escaping @Sendable (_ input: [UInt8]) throws(BrokenProperty) -> Void) {
        self.name = name
        self.run = run
    }

    package var description: String { name }

    package static let all: [FuzzTarget] = [
        accessToken, addresses, chunked, clientFrame, httpRequest, httpResponse, json, media, opaqueString,
        percentEncoding, range, rtcp, rtp, serverFrame, signedPath, stun, stunStream, token, uplinkFrame, webSocket,
        workerProtocol, yaml,
    ]
}

/// What did not hold, in words that name the values.
package struct BrokenProperty: Error, CustomStringConvertible {
    package let description: String
}

/// States what has to hold.
func hold(_ condition: Bool, _ description: @autoclosure () -> String) throws(BrokenProperty) {
    if !condition { throw BrokenProperty(description: description()) }
}

/// States that two values, which have to be equal, are.
func holdEqual<Value: Equatable>(
    _ left: Value, _ right: Value, _ description: @autoclosure () -> String
) throws(BrokenProperty) {
    if left != right { throw BrokenProperty(description: "\(description()): \(left) is not \(right)") }
}

/// Unwraps what has to be there.
func held<Value>(_ value: Value?, _ description: @autoclosure () -> String) throws(BrokenProperty) -> Value {
    guard let value else { throw BrokenProperty(description: description()) }
    return value
}

/// Runs what must not throw.
func held<Value, Failure: Error>(
    _ description: @autoclosure () -> String, _ body: () throws(Failure) -> Value
) throws(BrokenProperty) -> Value {
    do throws(Failure) {
        return try body()
    } catch {
        throw BrokenProperty(description: "\(description()): \(error)")
    }
}
