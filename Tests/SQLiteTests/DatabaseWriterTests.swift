import Base
import SQLite
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct DatabaseWriterTests {
    private let schema = [Migration("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")]

    @Test func aWriteIsInTheFileWhenItIsAnswered() async throws {
        let file = TemporaryFile()
        let writer = try DatabaseWriter(path: file.path, migrations: schema)
        let readers = try DatabaseReaders(path: file.path)
        for number in 0..<20 {
            try await writer.write { try $0.run("INSERT INTO t VALUES (?, 'x')", .integer(number)) }
            #expect(try await readers.read { try $0.first("SELECT COUNT(*) FROM t") { $0.int(0) } } == number + 1)
        }
    }

    @Test func waitingWritesShareACommitAndOneFailureUndoesOnlyItself() async throws {
        let file = TemporaryFile()
        let writer = try DatabaseWriter(path: file.path, migrations: schema)
        // The first write holds the thread until all others are queued.
        let isQueued = Atomic<Bool>(false)
        let order = Mutex<[Int]>([])
        let failures = Mutex<[Int: EdgeError.Kind]>([:])
        try writer.submit(
            { _ in while !isQueued.load(ordering: .acquiring) {} }, completion: { _ in })
        for number in 0..<100 {
            try writer.submit(
                { database in
                    try database.run("INSERT INTO t VALUES (?, 'first')", .integer(number))
                    if number == 13 { throw EdgeError(.forbidden, "no") }
                    if number == 14 { try database.run("INSERT INTO t VALUES (0, 'twice')") }
                },
                completion: { result in
                    order.withLock { $0.append(number) }
                    if case .failure(let error) = result { failures.withLock { $0[number] = error.kind } }
                })
        }
        isQueued.store(true, ordering: .releasing)
        let count = try await writer.write { try $0.first("SELECT COUNT(*) FROM t") { $0.int(0) } }
        #expect(count == 98)
        #expect(failures.withLock { $0 } == [13: .forbidden, 14: .conflict])
        #expect(order.withLock { $0 } == Array(0..<100))
        #expect(writer.commits.value <= 4)
        #expect(writer.writes.value == 102)
    }

    @Test func aFullQueueRefuses() async throws {
        let file = TemporaryFile()
        var configuration = DatabaseWriter.Configuration()
        configuration.maxQueuedWrites = 2
        let writer = try DatabaseWriter(path: file.path, migrations: schema, configuration: configuration)
        let hasStarted = Atomic<Bool>(false)
        let mayGoOn = Atomic<Bool>(false)
        try writer.submit(
            { _ in
                hasStarted.store(true, ordering: .releasing)
                while !mayGoOn.load(ordering: .acquiring) {}
            }, completion: { _ in })
        while !hasStarted.load(ordering: .acquiring) { await Task.yield() }
        try writer.submit({ _ in }, completion: { _ in })
        try writer.submit({ _ in }, completion: { _ in })
        #expect { try writer.submit({ _ in }, completion: { _ in }) } throws: {
            ($0 as? EdgeError)?.kind == .exhausted && ($0 as? EdgeError)?.isRetryable == true
        }
        mayGoOn.store(true, ordering: .releasing)
    }

    @Test func closingCommitsWhatIsQueuedAndASecondWriterFindsIt() async throws {
        let file = TemporaryFile()
        let writer = try DatabaseWriter(path: file.path, migrations: schema)
        for number in 0..<50 {
            try writer.submit({ try $0.run("INSERT INTO t VALUES (?, 'x')", .integer(number)) }, completion: { _ in })
        }
        writer.close()
        #expect { try writer.submit({ _ in }, completion: { _ in }) } throws: { ($0 as? EdgeError)?.kind == .closed }
        let second = try DatabaseWriter(path: file.path, migrations: schema)
        #expect(try await second.write { try $0.first("SELECT COUNT(*) FROM t") { $0.int(0) } } == 50)
    }

    @Test func aReaderKeepsItsSnapshotWhileTheWriterGoesOn() async throws {
        let file = TemporaryFile()
        let writer = try DatabaseWriter(path: file.path, migrations: schema)
        let readers = try DatabaseReaders(path: file.path)
        try await writer.write { try $0.run("INSERT INTO t VALUES (1, 'x')") }
        let hasRead = Atomic<Bool>(false)
        let mayGoOn = Atomic<Bool>(false)
        async let counts = readers.read { database in
            let before = try database.first("SELECT COUNT(*) FROM t") { $0.int(0) }
            hasRead.store(true, ordering: .releasing)
            while !mayGoOn.load(ordering: .acquiring) {}
            return [before, try database.first("SELECT COUNT(*) FROM t") { $0.int(0) }]
        }
        while !hasRead.load(ordering: .acquiring) { await Task.yield() }
        try await writer.write { try $0.run("INSERT INTO t VALUES (2, 'x')") }
        mayGoOn.store(true, ordering: .releasing)
        #expect(try await counts == [1, 1])
        #expect(try await readers.read { try $0.first("SELECT COUNT(*) FROM t") { $0.int(0) } } == 2)
    }

    @Test func deletedContentLeavesTheFileAndItsLog() async throws {
        let file = TemporaryFile()
        let secret = "a-very-recognisable-secret-0123456789"
        let writer = try DatabaseWriter(path: file.path, migrations: schema)
        try await writer.write { try $0.run("INSERT INTO t VALUES (1, ?)", .text(secret)) }
        #expect(try contents(of: file).contains(secret))
        try await writer.write { try $0.run("DELETE FROM t") }
        #expect(try await writer.truncateLog())
        #expect(try !contents(of: file).contains(secret))
    }

    private func contents(of file: TemporaryFile) throws -> String {
        ["", "-wal"].map { String(decoding: readAll(file.path + $0), as: UTF8.self) }.joined()
    }
}
