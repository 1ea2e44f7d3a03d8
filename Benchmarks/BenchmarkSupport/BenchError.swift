import Glibc

package struct BenchError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// A command line that cannot be followed.
package struct BadUsage: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Writes a line to standard error.
package func note(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

/// Prints a line at once, also into a pipe.
package func say(_ line: String) {
    print(line)
    fflush(nil)
}
