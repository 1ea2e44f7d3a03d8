import Base
import CAllocationCounter
import Crypto
import Synchronization
import Testing

@testable import Runtime

/// A server and clients on one loop, and between them a network that the test decides over.
private final class Laboratory: DTLSServerHandler {
    let loop: EventLoop
    var trust: String
    let local = IPAddress(v4: 0x7F00_0009)
    var server: DTLSServer?
    /// Datagrams under way to the server, with their source, and to the clients.
    var toServer: [([UInt8], SocketAddress)] = []
    var toClients: [([UInt8], SocketAddress)] = []
    /// What those to the clients are to be sent from.
    var sources: [IPAddress?] = []
    var clients: [SocketAddress: DTLSSession] = [:]
    var received: [String] = []
    var opened: [DTLSAssociation] = []
    var onOpened: (DTLSAssociation) -> Void = { _ in }
    var admits: (SocketAddress) -> Bool = { _ in true }
    var closed = 0
    /// What the clients have opened.
    var answers: [String] = []
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 20_000, alignment: 8)

    init(on loop: EventLoop, _ configure: (inout DTLSServer.Configuration) -> Void = { _ in }) throws {
        self.loop = loop
        let (certificate, key) = CertificateAuthority.generate(name: "test", now: WallClock.now())
        let authority = try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
        let (request, leafKey) = CertificateRequest.generate(commonName: "x")
        let leaf = try authority.sign(
            requestPEM: request, names: CertificateNames(uri: "skerry://x", dnsNames: ["localhost"]),
            now: WallClock.now(), validity: .seconds(3600))
        trust = certificate
        let context = try DTLSContext.server(
            certificatePEM: leaf, privateKeyPEM: leafKey, protocols: ["stun.turn", "echo"], offersSRTP: true)
        var configuration = DTLSServer.Configuration()
        configure(&configuration)
        server = DTLSServer(context, on: loop, configuration: configuration, handler: self) {
            [unowned self] datagram, destination, source in
            toClients.append((Array(datagram), destination))
            sources.append(source)
        }
    }

    deinit { space.deallocate() }

    /// Has the server show a certificate of another authority, which later clients trust alone.
    func replaceCertificate() throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://x")
        trust = cluster.authority.certificatePEM
        server?.replace(try DTLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: ["echo"]))
    }

    func admitsHandshake(from address: SocketAddress) -> Bool { admits(address) }
    func associationOpened(_ association: DTLSAssociation) {
        opened.append(association)
        onOpened(association)
    }
    func associationClosed(_ association: DTLSAssociation) { closed += 1 }
    func association(_ association: DTLSAssociation, received record: UnsafeMutableRawBufferPointer) {
        received.append(String(decoding: record, as: UTF8.self))
        association.send(UnsafeRawBufferPointer(record))
    }

    @discardableResult
    func connect(from port: UInt16, maxDatagramBytes: Int = 1_200) throws -> DTLSSession {
        let address = SocketAddress(.loopbackV4, port: port)
        let context = try DTLSContext.client(trustPEM: trust, protocols: ["echo"], offersSRTP: true)
        let client = try DTLSSession(
            context, serverName: "localhost", maxDatagramBytes: maxDatagramBytes,
            firstRetransmission: .milliseconds(20))
        client.transmit = { [unowned self] in toServer.append((Array($0), address)) }
        clients[address] = client
        try client.advance()
        return client
    }

    /// Delivers what is under way, in the order given, until nothing is.
    func deliver(_ rearrange: (inout [([UInt8], SocketAddress)]) -> Void = { _ in }) throws {
        while !toServer.isEmpty || !toClients.isEmpty {
            var batch = toServer
            toServer = []
            rearrange(&batch)
            for (bytes, source) in batch { bytes.withUnsafeBytes { server?.receive($0, from: source, at: local) } }
            batch = toClients
            toClients = []
            rearrange(&batch)
            for (bytes, destination) in batch {
                guard let client = clients[destination] else { continue }
                try bytes.withUnsafeBytes { datagram throws in
                    try client.receive(datagram, into: space) { answers.append(String(decoding: $0, as: UTF8.self)) }
                }
            }
        }
    }

    func say(_ text: String, _ client: DTLSSession) -> Bool { Array(text.utf8).withUnsafeBytes { client.send($0) } }
}

/// Runs the body on a loop of its own.
private func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) async throws {
    let group = try EventLoopGroup(count: 1)
    defer { group.shutdown() }
    let failure = Mutex<(any Error)?>(nil)
    await group.loops[0].spawn {
        do { try await body(group.loops[0]) } catch { failure.withLock { $0 = error } }
    }.value
    if let error = failure.withLock({ $0 }) { throw error }
}

@Suite(.timeLimit(.minutes(1))) struct DTLSTests {
    @Test func `a new certificate is for handshakes to come; answers leave from where the hello came to`() async throws
    {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let old = try laboratory.connect(from: 1000)
            try laboratory.deliver()
            try laboratory.replaceCertificate()
            let new = try laboratory.connect(from: 1001)
            try laboratory.deliver()
            #expect(old.state == .open && new.state == .open)
            #expect(laboratory.say("old", old) && laboratory.say("new", new))
            try laboratory.deliver()
            #expect(laboratory.answers == ["old", "new"])
            #expect(!laboratory.sources.isEmpty && laboratory.sources.allSatisfy { $0 == laboratory.local })
            #expect(laboratory.opened.map(\.localAddress) == [laboratory.local, laboratory.local])
            laboratory.server?.close()
        }
    }

    @Test func `a handshake, then records both ways`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let client = try laboratory.connect(from: 1000)
            try laboratory.deliver()
            #expect(client.state == .open)
            #expect(client.applicationProtocol == "echo")
            let association = try #require(laboratory.opened.first)
            #expect(association.applicationProtocol == "echo")
            #expect(laboratory.say("ahoy", client))
            try laboratory.deliver()
            #expect(laboratory.received == ["ahoy"] && laboratory.answers == ["ahoy"])

            #expect(association.srtpProfile == client.srtpProfile && client.srtpProfile != nil)
            let label = "EXTRACTOR-dtls_srtp"
            let keys = association.exportKeyingMaterial(label: label, count: 60)
            #expect(keys == client.exportKeyingMaterial(label: label, count: 60))

            client.close()
            try laboratory.deliver()
            #expect(laboratory.closed == 1 && laboratory.server?.count == 0)
        }
    }

    @Test func `nothing is kept before the cookie`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let server = try #require(laboratory.server)
            for port in 1...500 as ClosedRange<UInt16> { try laboratory.connect(from: port) }
            let hellos = laboratory.toServer
            laboratory.toServer = []
            for (bytes, source) in hellos { bytes.withUnsafeBytes { server.receive($0, from: source) } }
            #expect(server.count == 0)
            #expect(laboratory.toClients.count == 500)
            // An answer is no larger than the question, so that nobody gains by a forged source.
            let asked = hellos[0].0.count
            #expect(laboratory.toClients.allSatisfy { $0.0.count <= asked && $0.0[13] == 3 })

            // With the cookie of another address, only another cookie comes.
            let (verify, address) = laboratory.toClients[0]
            laboratory.toClients = []
            let client = try #require(laboratory.clients[address])
            try verify.withUnsafeBytes { datagram throws in
                try client.receive(
                    datagram, into: UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 1)
                ) { _ in }
            }
            // The last one: before it, the first hello may have been sent again.
            let (second, _) = try #require(laboratory.toServer.last)
            second.withUnsafeBytes { server.receive($0, from: SocketAddress(.loopbackV4, port: 9_999)) }
            #expect(server.count == 0 && laboratory.toClients.count == 1)
            second.withUnsafeBytes { server.receive($0, from: address) }
            #expect(server.count == 1)
        }
    }

    @Test func `cookies go out of date`() {
        let start = MonotonicInstant(nanoseconds: 0)
        let address = SocketAddress(.loopbackV4, port: 5)
        var mint = CookieMint(now: start)
        let first = mint.withCookies(for: address, now: start) { present, _ in Array(present) }
        let again = mint.withCookies(for: address, now: start + .seconds(59)) { present, _ in Array(present) }
        #expect(first == again)
        let later = mint.withCookies(for: address, now: start + .seconds(61)) { ($0.elementsEqual(first), Array($1)) }
        #expect(!later.0 && later.1 == first)
        let gone = mint.withCookies(for: address, now: start + .seconds(122)) {
            $0.elementsEqual(first) || $1.elementsEqual(first)
        }
        #expect(!gone)
        let other = mint.withCookies(for: SocketAddress(.loopbackV4, port: 6), now: start + .seconds(122)) {
            present, _ in Array(present)
        }
        let own = mint.withCookies(for: address, now: start + .seconds(122)) { present, _ in Array(present) }
        #expect(other != own)
    }

    @Test(arguments: [256, 400, 1_200]) func `fragments in any order, and twice`(maxDatagramBytes: Int) async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop) { $0.maxDatagramBytes = maxDatagramBytes }
            let client = try laboratory.connect(from: 7, maxDatagramBytes: maxDatagramBytes)
            try laboratory.deliver { batch in batch = batch.reversed() + batch }
            // What came in a wrong order and was dropped for it is sent again.
            var rounds = 0
            while client.state != .open || laboratory.opened.isEmpty, rounds < 50 {
                rounds += 1
                try await loop.sleep(for: .milliseconds(20))
                try client.retransmit()
                try laboratory.deliver { batch in batch = batch.reversed() + batch }
            }
            #expect(client.state == .open && laboratory.opened.count == 1)
            #expect(laboratory.say("still", client))
            try laboratory.deliver { batch in batch += batch }
            // A record that comes twice is opened once.
            #expect(laboratory.received == ["still"])
        }
    }

    @Test func `lost flights are sent again`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop) { $0.firstRetransmissionMs = 20 }
            let client = try laboratory.connect(from: 7)
            var lost = 0
            var flights = 0
            var rounds = 0
            while client.state != .open || laboratory.opened.isEmpty, rounds < 100 {
                rounds += 1
                // The network loses every third flight.
                try laboratory.deliver { batch in
                    if !batch.isEmpty { flights += 1 }
                    guard flights % 3 == 1 else { return }
                    lost += batch.count
                    batch = []
                }
                try await loop.sleep(for: .milliseconds(15))
                try client.retransmit()
            }
            #expect(client.state == .open && laboratory.opened.count == 1 && lost >= 2)
        }
    }

    @Test func `a client that stops is forgotten`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop) {
                $0.handshakeTimeoutMs = 100
                $0.idleTimeoutMs = 150
            }
            let server = try #require(laboratory.server)
            try laboratory.connect(from: 7)
            var steps = 0
            // The hello with the cookie arrives, and nothing after it.
            try laboratory.deliver { batch in
                steps += 1
                if steps > 3 { batch = [] }
            }
            #expect(server.count == 1 && server[SocketAddress(.loopbackV4, port: 7)] == nil)
            while server.count > 0 { try await loop.sleep(for: .milliseconds(5)) }
            #expect(server.handshakesFailed == 1 && laboratory.closed == 0)

            laboratory.toClients = []
            try laboratory.connect(from: 8)
            try laboratory.deliver()
            #expect(server.handshakesCompleted == 1)
            while server.count > 0 { try await loop.sleep(for: .milliseconds(5)) }
            #expect(laboratory.closed == 1)
        }
    }

    @Test func `a client that lost its state begins anew`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            try laboratory.connect(from: 7)
            try laboratory.deliver()
            let second = try laboratory.connect(from: 7)
            // A forged hello does no harm to the association that stands.
            let (hello, source) = try #require(laboratory.toServer.first)
            hello.withUnsafeBytes { laboratory.server?.receive($0, from: source, at: laboratory.local) }
            #expect(laboratory.server?.count == 1 && laboratory.closed == 0)
            laboratory.toClients = []
            try laboratory.deliver()
            #expect(second.state == .open && laboratory.opened.count == 2 && laboratory.closed == 1)
            #expect(laboratory.server?.count == 1)
        }
    }

    @Test func `too many clients are not answered`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop) { $0.maxAssociations = 3 }
            for port in 1...5 as ClosedRange<UInt16> { try laboratory.connect(from: port) }
            try laboratory.deliver()
            #expect(laboratory.server?.count == 3 && laboratory.server?.refusals == 2)
        }
    }

    @Test func `who is not admitted gets no handshake, and loses nothing that stands`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let server = try #require(laboratory.server)
            let standing = try laboratory.connect(from: 1)
            try laboratory.deliver()
            var asked: [UInt16] = []
            laboratory.admits = {
                asked.append($0.port)
                return $0.port == 3
            }
            let again = try laboratory.connect(from: 1)
            try laboratory.connect(from: 2)
            let admitted = try laboratory.connect(from: 3)
            try laboratory.deliver()
            // Once for each, after its cookie.
            #expect(asked == [1, 2, 3] && server.refusals == 2 && server.handshakesUnderWay == 0)
            #expect(again.state == .handshaking && admitted.state == .open && server.count == 2)
            laboratory.clients[SocketAddress(.loopbackV4, port: 1)] = standing
            #expect(laboratory.say("here", standing))
            try laboratory.deliver()
            #expect(laboratory.answers == ["here"])
        }
    }

    @Test func `garbage changes nothing`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let client = try laboratory.connect(from: 7)
            let hello = laboratory.toServer[0].0
            try laboratory.deliver()
            var random = SystemRandomNumberGenerator()
            for round in 0..<2_000 {
                var bytes = hello
                // Cut, flipped, or another record type: of a stranger, and of the address of the association.
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                if round % 3 == 0 { bytes.removeLast(Int.random(in: 1...bytes.count, using: &random)) }
                if round % 5 == 0, !bytes.isEmpty { bytes[0] = UInt8.random(in: 20...25, using: &random) }
                let port: UInt16 = round % 2 == 0 ? 7 : 8
                bytes.withUnsafeBytes { laboratory.server?.receive($0, from: SocketAddress(.loopbackV4, port: port)) }
            }
            laboratory.toClients = []
            #expect(laboratory.server?.count == 1 && laboratory.closed == 0)
            #expect(laboratory.say("here", client))
            try laboratory.deliver()
            #expect(laboratory.answers == ["here"])
        }
    }

    @Test func `forged records do a standing association no harm`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let client = try laboratory.connect(from: 7)
            try laboratory.deliver()
            let server = try #require(laboratory.server)
            let source = SocketAddress(.loopbackV4, port: 7)
            func take(_ bytes: [UInt8]) { bytes.withUnsafeBytes { server.receive($0, from: source) } }

            // In plaintext: alerts, a change of keys, the end of a handshake, a request for another; of every epoch.
            for type in 19...24 as ClosedRange<UInt8> {
                for epoch in 0...3 as ClosedRange<UInt8> {
                    for body in [[2, 40], [1, 0], [1], [], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] as [[UInt8]] {
                        for version in [[254, 253], [254, 255], [1, 0], [3, 3]] as [[UInt8]] {
                            let count = UInt8(body.count)
                            take([type] + version + [0, epoch, 0, 0, 0, 0, 0, 9, 0, count] + body)
                            take([type] + version + [0, epoch, 0, 0, 0, 0, 0, 9, 255, 255] + body)
                        }
                    }
                }
            }
            // A genuine record with one bit changed or its end cut off; then with what follows it.
            #expect(laboratory.say("genuine", client))
            let (record, _) = try #require(laboratory.toServer.first)
            for index in record.indices {
                for bit in 0..<8 {
                    var forged = record
                    forged[index] ^= 1 << UInt8(bit)
                    take(forged)
                }
                take(Array(record[..<index]))
            }
            take(record + [22, 254, 253])
            take(record + record)
            #expect(server.count == 1 && laboratory.closed == 0 && laboratory.received == ["genuine"])
            laboratory.toServer = []
            #expect(laboratory.say("still here", client))
            try laboratory.deliver()
            #expect(laboratory.received == ["genuine", "still here"])
        }
    }

    @Test(.disabled(if: skerry_is_sanitized()))
    func `what a handshake keeps of what comes too early is bounded`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let server = try #require(laboratory.server)
            let source = SocketAddress(.loopbackV4, port: 7)
            func take(_ bytes: [UInt8]) { bytes.withUnsafeBytes { server.receive($0, from: source) } }
            try laboratory.connect(from: 7)
            // The hello with the cookie arrives, and nothing after it.
            try laboratory.deliver { batch in if server.count > 0 { batch = [] } }
            #expect(server.handshakesUnderWay == 1)

            let before = Int(skerry_heap_bytes())
            // Records under keys to come, and the first byte each of messages to come that are said to be long.
            for number in 0..<200 as Range<UInt8> {
                take([22, 254, 253, 0, 1, 0, 0, 0, 0, 1, number, 0, 40] + [UInt8](repeating: 7, count: 40))
            }
            for sequence in 3...13 as ClosedRange<UInt8> {
                let message: [UInt8] = [16, 1, 0x80, 0, 0, sequence, 0, 0, 0, 0, 0, 1, 7]
                take([22, 254, 253, 0, 0, 0, 0, 0, 0, 1, sequence, 0, UInt8(message.count)] + message)
            }
            for sequence in 3...13 as ClosedRange<UInt8> {
                let message: [UInt8] = [16, 0, 0x3F, 0, 0, sequence, 0, 0, 0, 0, 0, 1, 7]
                take([22, 254, 253, 0, 0, 0, 0, 0, 0, 2, sequence, 0, UInt8(message.count)] + message)
            }
            #expect(Int(skerry_heap_bytes()) - before < 256 * 1024)
        }
    }

    @Test func `handshakes that do not end keep nobody out`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop) { $0.maxHandshakes = 3 }
            let server = try #require(laboratory.server)
            let standing = try laboratory.connect(from: 99)
            try laboratory.deliver()
            for port in 1...20 as ClosedRange<UInt16> {
                try laboratory.connect(from: port)
                // The hello with the cookie arrives, and nothing after it.
                let ended = server.handshakesFailed
                let before = server.handshakesUnderWay
                try laboratory.deliver { batch in
                    if server.handshakesUnderWay > before || server.handshakesFailed > ended { batch = [] }
                }
                #expect(server.handshakesUnderWay == min(Int(port), 3) && server.count == server.handshakesUnderWay + 1)
            }
            #expect(server.handshakesFailed == 17 && server.refusals == 0 && laboratory.closed == 0)
            #expect(laboratory.say("here", standing))
            let last = try laboratory.connect(from: 30)
            try laboratory.deliver()
            #expect(laboratory.answers == ["here"] && last.state == .open && server.handshakesUnderWay == 2)
        }
    }

    @Test func `an association may be ended, or all of them, while a client is listened to`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let server = try #require(laboratory.server)
            laboratory.onOpened = { $0.close() }
            for port in 1...3 as ClosedRange<UInt16> { try laboratory.connect(from: port) }
            try laboratory.deliver()
            #expect(laboratory.opened.count == 3 && laboratory.closed == 3 && server.count == 0)
            #expect(laboratory.opened.allSatisfy { !$0.send(UnsafeRawBufferPointer(start: nil, count: 0)) })
            #expect(laboratory.opened[0].exportKeyingMaterial(label: "EXTRACTOR-dtls_srtp", count: 8).count == 8)

            laboratory.onOpened = { _ in server.close() }
            for port in 4...6 as ClosedRange<UInt16> { try laboratory.connect(from: port) }
            try laboratory.deliver()
            #expect(server.count == 0 && server.handshakesUnderWay == 0)
            // Closed for good: no hello is answered, not even with a cookie.
            laboratory.onOpened = { _ in }
            try laboratory.connect(from: 7)
            #expect(laboratory.toServer.count == 1)
            try laboratory.deliver()
            #expect(server.count == 0 && laboratory.opened.count == 4 && server.handshakesCompleted == 4)
        }
    }

    @Test func `an association may be kept for longer than its server`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            try laboratory.connect(from: 7)
            try laboratory.deliver()
            laboratory.server = nil
            let association = try #require(laboratory.opened.first)
            #expect([UInt8](1...9).withUnsafeBytes { association.send($0) })
            association.close()
            #expect(![UInt8](1...9).withUnsafeBytes { association.send($0) })
            #expect(laboratory.toClients.count == 2)
        }
    }

    @Test func `a record is one datagram`() async throws {
        try await onLoop { loop in
            let laboratory = try Laboratory(on: loop)
            let client = try laboratory.connect(from: 7)
            try laboratory.deliver()
            for index in 0..<5 { #expect(laboratory.say("record \(index)", client)) }
            #expect(laboratory.toServer.count == 5)
            try laboratory.deliver { $0.reverse() }
            #expect(laboratory.received.sorted() == (0..<5).map { "record \($0)" })
            #expect(!laboratory.say(String(repeating: "x", count: DTLSSession.maxRecordBytes + 1), client))
            #expect(laboratory.say(String(repeating: "x", count: DTLSSession.maxRecordBytes), client))
        }
    }
}
