import Base
import COpenSSL
import Crypto
import Glibc
import Synchronization
import Testing

@testable import Runtime

/// A listener on loopback whose connections run the given body.
private func withServer<Result: Sendable>(
    loops: Int = 1, serve: @escaping @Sendable (ByteStream) async -> Void,
    body: @escaping @Sendable (EventLoop, SocketAddress) async throws -> Result
) async throws -> Result {
    let group = try EventLoopGroup(count: loops, name: "test")
    let listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: group.loops) { stream in
        stream.loop.spawn {
            await serve(stream)
            stream.close()
        }
    }
    let address = listener.localAddress
    let loop = group.loops[0]
    let result = try await Task(executorPreference: loop) { try await body(loop, address) }.value
    listener.close()
    await loop.spawn {}.value
    group.shutdown()
    return result
}

@Sendable private func echo(_ stream: ByteStream) async {
    do {
        while try await stream.receive() { try await stream.send(stream.inbound.take(stream.inbound.count)) }
        await stream.finish()
    } catch {}
}

@Suite(.timeLimit(.minutes(1))) struct ByteStreamTests {
    @Test func `bytes come back, through back-pressure and half-close`() async throws {
        let total = 5_000_000
        let received = try await withServer(loops: 2, serve: echo) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            let sending = loop.spawn {
                let block = [UInt8](repeating: 7, count: 250_000)
                for _ in 0..<(total / block.count) { try? await stream.send(block) }
                await stream.finish()
            }
            var count = 0
            while try await stream.receive() {
                count += stream.inbound.count
                stream.inbound.consume(stream.inbound.count)
            }
            await sending.value
            stream.close()
            return count
        }
        #expect(received == total)
    }

    @Test func `pieces arrive as one, in order`() async throws {
        let text = try await withServer(serve: echo) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            try await stream.send(pieces: [
                Array("ab".utf8), [], Array("cd".utf8), Array(repeating: 101, count: 3_000_000),
            ])
            while stream.inbound.count < 3_000_004, try await stream.receive() {}
            let bytes = stream.inbound.take(stream.inbound.count)
            stream.close()
            return String(decoding: bytes.prefix(6), as: UTF8.self) + "\(bytes.count)"
        }
        #expect(text == "abcdee3000004")
    }

    @Test func `closing wakes a waiting reader`() async throws {
        let error = try await withServer(serve: { _ = try? await $0.receive() }) { loop, address -> StreamError? in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            loop.schedule(after: .milliseconds(10)) { stream.close(.timedOut) }
            do {
                _ = try await stream.receive()
                return nil
            } catch {
                return error as? StreamError
            }
        }
        #expect(error == .timedOut)
    }

    @Test func `no readiness is lost between a call that would block and the wait for it`() async throws {
        let exchanges = try await withServer(loops: 2, serve: echo) { loop, address in
            // Many connections at once, a byte at a time: each round is a chance for the event to come in between.
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask(executorPreference: loop) {
                        let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
                        defer { stream.close() }
                        for _ in 0..<500 {
                            try await stream.send([1])
                            guard try await stream.receive() else { return 0 }
                            stream.inbound.consume(1)
                        }
                        return 500
                    }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(exchanges == 10_000)
    }

    @Test func `what has arrived can be read after sending has failed`() async throws {
        let text = try await withServer(serve: { stream in
            try? await stream.send(Array("refused".utf8))
            await stream.finish()
            // Closed with bytes unread: the peer's next sends are answered by a reset.
            _ = try? await stream.receive()
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            defer { stream.close() }
            while stream.inbound.count < 7, try await stream.receive() {}
            do {
                while true { try await stream.send([UInt8](repeating: 0, count: 100_000)) }
            } catch {}
            return String(decoding: stream.inbound.take(7), as: UTF8.self)
        }
        #expect(text == "refused")
    }

    @Test func `a refused connection says so`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let outcome = await Task(executorPreference: loop) {
            do {
                _ = try await ByteStream.connect(
                    to: SocketAddress(.loopbackV4, port: 1), on: loop, timeout: .seconds(5))
                return nil as StreamError?
            } catch { return error as? StreamError }
        }.value
        #expect(outcome == .failed(SystemError("connect", ECONNREFUSED)))
        group.shutdown()
    }

    @Test func `a file is sent from the offset`() async throws {
        let path = "/tmp/skerry-sendfile-\(getpid())"
        try FileSystem.replace(path, with: Array("0123456789".utf8))
        defer { try? FileSystem.remove(path) }
        let text = try await withServer(serve: { stream in
            guard let file = try? File(path, .read) else { return }
            try? await stream.sendFile(file.descriptor, offset: 2, count: 5)
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            while try await stream.receive() {}
            let bytes = stream.inbound.take(stream.inbound.count)
            stream.close()
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(text == "23456")
    }

    @Test func `two listeners of different owners cannot share a port`() throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let first = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: group.loops) { $0.close() }
        #expect(throws: SystemError.self) {
            _ = try TCPListener.listen(on: first.localAddress, loops: group.loops) { $0.close() }
        }
        first.close()
        group.shutdown()
    }
}

/// Certificates of one test cluster, and one of another.
private struct TestCluster {
    let authority: CertificateAuthority
    init() throws {
        let (certificate, key) = CertificateAuthority.generate(name: "test", now: WallClock.now())
        authority = try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
    }

    func issue(_ uri: String) throws -> (certificate: String, key: String) {
        let (request, key) = CertificateRequest.generate(commonName: "x")
        let names = CertificateNames(uri: uri, dnsNames: ["localhost"], ipAddresses: [.loopbackV4])
        let certificate = try authority.sign(
            requestPEM: request, names: names, now: WallClock.now(), validity: .seconds(3600))
        return (certificate, key)
    }
}

@Suite(.timeLimit(.minutes(1))) struct TLSTests {
    private struct Outcome: Sendable {
        var echoed = 0
        var clientSaw: TLSPeer?
        var failure: String?
    }

    private func exchange(
        server: TLSContext, client: TLSContext, serverName: String? = nil, bytes: Int = 300_000
    ) async throws -> (client: Outcome, serverSaw: TLSPeer?) {
        let seen = Mutex<TLSPeer?>(nil)
        let outcome = try await withServer(serve: { stream in
            guard (try? await stream.startTLS(server)) != nil else { return }
            seen.withLock { $0 = stream.tls }
            await echo(stream)
        }) { loop, address in
            var outcome = Outcome()
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            do {
                try await stream.startTLS(client, serverName: serverName)
                outcome.clientSaw = stream.tls
                let sending = loop.spawn {
                    try? await stream.send([UInt8](repeating: 1, count: bytes))
                    await stream.finish()
                }
                while try await stream.receive() {
                    outcome.echoed += stream.inbound.count
                    stream.inbound.consume(stream.inbound.count)
                }
                await sending.value
            } catch {
                outcome.failure = "\(error)"
            }
            stream.close()
            return outcome
        }
        return (outcome, seen.withLock { $0 })
    }

    @Test func `both sides prove themselves where the protocol asks for it`() async throws {
        let cluster = try TestCluster()
        let (serverCertificate, serverKey) = try cluster.issue("skerry://c/eu/central")
        let (clientCertificate, clientKey) = try cluster.issue("skerry://c/eu/edge-1")
        let server = try TLSContext.server(
            certificatePEM: serverCertificate, privateKeyPEM: serverKey,
            clientAuthorityPEM: cluster.authority.certificatePEM,
            protocols: ["up/1", "http/1.1"], requireClientCertificateFor: ["up/1"])

        let node = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, certificatePEM: clientCertificate, privateKeyPEM: clientKey,
            protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        let proven = try await exchange(server: server, client: node)
        #expect(proven.client.failure == nil)
        #expect(proven.client.echoed == 300_000)
        #expect(proven.client.clientSaw?.applicationProtocol == "up/1")
        #expect(proven.client.clientSaw?.certificateURIs == ["skerry://c/eu/central"])
        #expect(proven.serverSaw?.certificateURIs == ["skerry://c/eu/edge-1"])

        let anonymous = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        let refused = try await exchange(server: server, client: anonymous)
        #expect(refused.serverSaw == nil && refused.client.echoed == 0)

        let browser = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: ["http/1.1"])
        let plain = try await exchange(server: server, client: browser, serverName: "localhost")
        #expect(plain.client.failure == nil && plain.client.echoed == 300_000)
        #expect(plain.serverSaw?.certificateURIs == [])
        #expect(try await exchange(server: server, client: browser, serverName: "127.0.0.1").client.failure == nil)
        #expect(try await exchange(server: server, client: browser, serverName: "example.org").client.failure != nil)
    }

    @Test func `strangers are refused in both directions`() async throws {
        let cluster = try TestCluster()
        let other = try TestCluster()
        let (serverCertificate, serverKey) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(
            certificatePEM: serverCertificate, privateKeyPEM: serverKey,
            clientAuthorityPEM: cluster.authority.certificatePEM,
            protocols: ["up/1"], requireClientCertificateFor: ["up/1"])
        let (strangerCertificate, strangerKey) = try other.issue("skerry://c/eu/edge-1")
        let stranger = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, certificatePEM: strangerCertificate, privateKeyPEM: strangerKey,
            protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        #expect(try await exchange(server: server, client: stranger).serverSaw == nil)

        let distrustful = try TLSContext.client(
            trustPEM: other.authority.certificatePEM, protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        #expect(try await exchange(server: server, client: distrustful).client.failure != nil)

        let elsewhere = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, protocols: ["up/1"], expectedURIPrefix: "skerry://other/")
        #expect(
            try await exchange(server: server, client: elsewhere).client.failure?.contains("skerry://other/") == true)
    }

    @Test func `closing wakes a sender whose peer does not read`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let client = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: [])
        let error = try await withServer(serve: { stream in
            // Handshakes, and reads nothing from there on until the peer is gone.
            try? await stream.startTLS(server)
            _ = try? await stream.receive()
            try? await stream.loop.sleep(for: .milliseconds(500))
        }) { loop, address -> StreamError? in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            try await stream.startTLS(client, serverName: "localhost")
            loop.schedule(after: .milliseconds(200)) { stream.close(.timedOut) }
            do {
                while true { try await stream.send([UInt8](repeating: 1, count: 1_000_000)) }
            } catch {
                return error as? StreamError
            }
        }
        #expect(error == .timedOut)
    }

    @Test func `a peer that asks for new keys without end does not hold the loop, and is cut off`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let failure = Mutex<StreamError?>(nil)
        let turns = Mutex(0)
        let pool = BlockingPool(threads: 1, name: "flood", queueLimit: 1)
        try await withServer(serve: { stream in
            do throws(StreamError) {
                try await stream.startTLS(server)
                _ = try await stream.receive()
            } catch {
                failure.withLock { $0 = error }
            }
        }) { loop, address in
            let counting = loop.spawn {
                while (try? await loop.sleep(for: .milliseconds(10))) != nil { turns.withLock { $0 += 1 } }
            }
            try await pool.run { requestKeysWithoutEnd(address) }
            counting.cancel()
            await counting.value
        }
        pool.shutdown()
        #expect(failure.withLock { $0 } == .tls("the peer does not read what it makes this side answer"))
        #expect(turns.withLock { $0 } > 5)
    }
}

/// Sends KeyUpdates (RFC 8446 section 4.6.3) that each want one back, and reads none, until the connection is closed.
private func requestKeysWithoutEnd(_ address: SocketAddress) {
    signal(SIGPIPE, SIG_IGN)
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var size: Int32 = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    let context = SSL_CTX_new(TLS_client_method())
    let session = SSL_new(context)
    defer {
        SSL_free(session)
        SSL_CTX_free(context)
        close(descriptor)
    }
    guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0, SSL_set_fd(session, descriptor) == 1,
        SSL_connect(session) == 1
    else { return }
    for _ in 0..<2_000_000 {
        guard SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED) == 1, SSL_do_handshake(session) == 1 else { return }
    }
}

@Suite(.timeLimit(.minutes(1))) struct UDPSocketTests {
    @Test func `datagrams arrive whole, with room in front and their source`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        for family in [IPAddress.loopbackV4, .loopbackV6] {
            let text: String = await withCheckedContinuation { done in
                loop.execute {
                    do {
                        let server = try UDPSocket(bind: SocketAddress(family, port: 0), on: loop)
                        let client = try UDPSocket(bind: SocketAddress(family, port: 0), on: loop)
                        try server.start { datagram, source, _ in
                            // A header in front, without moving the payload.
                            let start = datagram.baseAddress! - 4
                            start.storeBytes(of: 0x2121_2121, as: UInt32.self)
                            server.send(UnsafeRawBufferPointer(start: start, count: datagram.count + 4), to: source)
                        }
                        try client.start { datagram, source, _ in
                            let text = String(decoding: datagram, as: UTF8.self)
                            #expect(source == server.localAddress)
                            client.close()
                            server.close()
                            done.resume(returning: text)
                        }
                        #expect(Array("hello".utf8).withUnsafeBytes { client.send($0, to: server.localAddress) })
                    } catch {
                        done.resume(returning: "\(error)")
                    }
                }
            }
            #expect(text == "!!!!hello")
        }
        group.shutdown()
    }
}

@Suite(.timeLimit(.minutes(1))) struct ServiceGroupTests {
    @Test func `when one service is done, the others are asked to end`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let logger = Logger(label: "test", sink: SilentLogSink())
        try await ServiceGroup.run(
            [WaitingService(), ReturningService()], on: group.loops[0], drainTimeout: .seconds(5), logger: logger)
        group.shutdown()
    }

    @Test func `a service that fails ends the others, and its error is told`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let logger = Logger(label: "test", sink: SilentLogSink())
        await #expect(throws: EdgeError.self) {
            try await ServiceGroup.run(
                [WaitingService(), FailingService()], on: group.loops[0], drainTimeout: .seconds(5), logger: logger)
        }
        group.shutdown()
    }
}

private struct WaitingService: Service {
    func run(until shutdown: Shutdown) async throws { await shutdown.wait() }
}

private struct ReturningService: Service {
    func run(until shutdown: Shutdown) async throws {}
}

private struct FailingService: Service {
    func run(until shutdown: Shutdown) async throws { throw EdgeError(.io, "broken", side: .internal) }
}
