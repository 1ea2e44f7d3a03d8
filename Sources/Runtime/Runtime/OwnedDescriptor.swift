import Glibc

/// An open descriptor that nobody else uses, on its way from one owner to another. Closed when nobody takes it.
public struct OwnedDescriptor: ~Copyable, Sendable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    deinit { Glibc.close(number) }

    /// From here on it is the caller's to close.
    consuming func take() -> Int32 {
        let number = number
        discard self
        return number
    }
}
