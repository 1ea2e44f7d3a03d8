import Base
import Glibc
import MediaWorkerService
import Testing

extension MediaWorkerPoolTests {
    /// That a worker is locked in, and that what happens to one happens to one job.
    @Suite struct ContainmentTests {
        let samples: Samples

        init() throws {
            samples = try Samples()
        }

        @Test func theSandboxHoldsBeforeTheFirstByte() async throws {
            let jpeg = try samples.jpeg()
            try await withPool { pool, _ in
                let gate = Gate()
                let thumbnail = Task { try await pool.thumbnail(width: 100, of: WorkerInput(jpeg, gate: gate)) }
                await gate.visitor()
                let worker = try #require(try children().first)
                let lines = try status(of: worker)
                #expect(lines["Seccomp"] == "2")
                #expect(lines["NoNewPrivs"] == "1")
                #expect(lines["Threads"] == "1")
                #expect(lines["CapPrm"] == "0000000000000000")
                #expect(lines["CapEff"] == "0000000000000000")
                if geteuid() == 0 {
                    #expect(lines["Uid"] == "65534\t65534\t65534\t65534")
                    #expect(lines["Gid"] == "65534\t65534\t65534\t65534")
                    #expect(lines["Groups"]?.allSatisfy(\.isWhitespace) != false)
                    #expect(try String(decoding: Tool.run("ls", "/proc/\(worker)/fd"), as: UTF8.self) == "3\n")
                }
                let limits = String(decoding: try Tool.read(file: "/proc/\(worker)/limits"), as: UTF8.self)
                for name in ["Max file size", "Max core file size", "Max processes", "Max open files"] {
                    let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix(name) })
                    #expect(line.dropFirst(name.count).split(separator: " ").first == "0")
                }
                gate.open()
                let thumbnailResult = try await thumbnail.value
                #expect(thumbnailResult.width == 100)
            }
            #expect(try children().isEmpty)
        }

        @Test func aWorkerWithoutInputIsKilledAtTheDeadline() async throws {
            let jpeg = try samples.jpeg()
            try await withPool {
                $0.jobTimeoutMs = 700
            } _: { pool, metrics in
                let gate = Gate()
                let thumbnail = Task { try await pool.thumbnail(width: 100, of: WorkerInput(jpeg, gate: gate)) }
                await gate.visitor()
                let worker = try #require(try children().first)
                while kill(worker, 0) == 0, try status(of: worker)["State"]?.hasPrefix("Z") != true {
                    await Task.yield()
                }
                gate.open()
                await #expect(throws: MediaWorkerError.timedOut) { try await thumbnail.value }
                #expect(metrics.render().contains("skerry_media_worker_jobs_total{result=\"timed_out\"} 1"))
            }
            #expect(try children().isEmpty)
        }

        @Test func aKilledWorkerCostsItsOwnJobOnly() async throws {
            let jpeg = try samples.jpeg()
            try await withPool { pool, metrics in
                let first = Gate()
                let doomed = Task { try await pool.thumbnail(width: 100, of: WorkerInput(jpeg, gate: first)) }
                await first.visitor()
                let worker = try #require(try children().first)
                let second = Gate()
                let other = Task { try await pool.thumbnail(width: 120, of: WorkerInput(jpeg, gate: second)) }
                await second.visitor()
                kill(worker, SIGKILL)
                first.open()
                await #expect(throws: MediaWorkerError.killed) { try await doomed.value }
                second.open()
                let otherResult = try await other.value
                #expect(otherResult.width == 120)
                #expect(metrics.render().contains("skerry_media_worker_jobs_total{result=\"ok\"} 1"))
            }
            #expect(try children().isEmpty)
        }

        @Test func theInputsErrorIsTheJobs() async throws {
            struct Gone: Error {}
            try await withPool { pool, _ in
                await #expect(throws: Gone.self) {
                    try await pool.thumbnail(width: 100, of: WorkerInput(size: 1000) { _, _ in throw Gone() })
                }
            }
            #expect(try children().isEmpty)
        }

        @Test func cancellationEndsTheWorker() async throws {
            let jpeg = try samples.jpeg()
            try await withPool { pool, _ in
                let gate = Gate()
                let job = Task { try await pool.thumbnail(width: 100, of: WorkerInput(jpeg, gate: gate)) }
                await gate.visitor()
                job.cancel()
                gate.open()
                await #expect(throws: CancellationError.self) { try await job.value }
            }
            #expect(try children().isEmpty)
        }

        @Test func theQueueIsBoundedAndInOrder() async throws {
            let jpeg = try samples.jpeg()
            try await withPool {
                $0.maxConcurrentJobs = 1
                $0.maxQueueLength = 1
            } _: { pool, metrics in
                let gate = Gate()
                let running = Task { try await pool.thumbnail(width: 100, of: WorkerInput(jpeg, gate: gate)) }
                await gate.visitor()
                let waiting = Task { try await pool.thumbnail(width: 110, of: WorkerInput(jpeg)) }
                while !metrics.render().contains("skerry_media_worker_waiting 1.0") { await Task.yield() }
                await #expect(throws: MediaWorkerError.overloaded) {
                    try await pool.thumbnail(width: 120, of: WorkerInput(jpeg))
                }
                gate.open()
                let runningResult = try await running.value
                #expect(runningResult.width == 100)
                let waitingResult = try await waiting.value
                #expect(waitingResult.width == 110)
            }
        }

        @Test func closingRefusesWhatWaits() async throws {
            let jpeg = try samples.jpeg()
            try await withPool {
                $0.maxConcurrentJobs = 1
            } _: { pool, metrics in
                let gate = Gate()
                let running = Task { try await pool.thumbnail(width: 100, of: WorkerInput(jpeg, gate: gate)) }
                await gate.visitor()
                let waiting = Task { try await pool.thumbnail(width: 110, of: WorkerInput(jpeg)) }
                while !metrics.render().contains("skerry_media_worker_waiting 1.0") { await Task.yield() }
                let closed = Task { await pool.close() }
                await #expect(throws: MediaWorkerError.closed) { try await waiting.value }
                gate.open()
                let runningResult = try await running.value
                #expect(runningResult.width == 100)
                await closed.value
                await #expect(throws: MediaWorkerError.closed) {
                    try await pool.thumbnail(width: 120, of: WorkerInput(jpeg))
                }
            }
        }

        @Test(
            arguments: [
                ("exit 0", .crashed(signal: 0)), ("kill -SEGV $$", .crashed(signal: 11)), ("kill -SYS $$", .misbehaved),
                ("kill -XCPU $$", .limitExceeded), ("kill -KILL $$", .killed),
                ("printf 'anything at all, and more of it' >&3; exec sleep 60", .misbehaved),
                // A read beyond the end, and one that is too long.
                (
                    #"printf '\000\000\000\015\021\000\000\000\000\377\000\000\000\000\000\000\001' >&3; exec sleep 60"#,
                    .misbehaved
                ),
                (
                    #"printf '\000\000\000\015\021\000\000\000\000\000\000\000\000\001\000\000\000' >&3; exec sleep 60"#,
                    .misbehaved
                ),
            ] as [(String, MediaWorkerError)])
        func aWorkerThatIsNone(_ script: String, _ error: MediaWorkerError) async throws {
            let path = try samples.script(script)
            try await withPool {
                $0.executablePath = path
            } _: { pool, _ in
                await #expect(throws: error) { try await pool.thumbnail(width: 100, of: WorkerInput([1, 2, 3])) }
            }
            #expect(try children(named: "worker").isEmpty)
        }

        @Test func aMissingProgramIsTold() async throws {
            try await withPool {
                $0.executablePath = "/nowhere/media-worker"
            } _: { pool, _ in
                await #expect(throws: MediaWorkerError.notStarted(errno: ENOENT)) {
                    try await pool.thumbnail(width: 100, of: WorkerInput([1, 2, 3]))
                }
            }
        }
    }
}
