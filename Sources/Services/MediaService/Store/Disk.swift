import Base
import Glibc
import Runtime

/// Where everything runs that may wait for the disk.
struct Disk: Sendable {
    let pool: BlockingPool

    /// - Throws: `EdgeError`; `exhausted` when the disk or the queue of jobs is full.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        do {
            return try await pool.run(body)
        } catch let error as SystemError {
            throw EdgeError(storeFailure: error)
        }
    }
}

extension EdgeError {
    init(storeFailure error: SystemError) {
        let isFull = error.code == ENOSPC || error.code == EDQUOT
        self.init(
            isFull ? .exhausted : .io, isFull ? "the disk is full" : "the disk failed", side: .internal,
            isRetryable: true, cause: error)
    }
}

extension File {
    /// Exactly `count` bytes.
    ///
    /// - Throws: `EdgeError.corrupt` if the file ends before.
    func readExactly(count: Int, at offset: Int64) throws -> [UInt8] {
        let bytes = try read(at: offset, count: count)
        guard bytes.count == count else {
            throw EdgeError(.corrupt, "a file of the store is too short", side: .internal)
        }
        return bytes
    }
}
