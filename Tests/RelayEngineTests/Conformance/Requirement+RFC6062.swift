import Base
import RelayEngine
import STUN

extension Requirement {
    /// Traversal Using Relays around NAT (TURN) Extensions for TCP Allocations.
    static let rfc6062: [Requirement] = allocations + connects + attempts + binds

    private static let peer = RelayHarness.peer
    private static let other = ConformanceBench.otherPeer

    // MARK: - TCP allocations

    private static let allocations: [Requirement] = [
        Requirement("RFC 6062 5.1", "a TCP allocation is made over TCP") { $0.allocateTCP() == .success },
        Requirement("RFC 6062 5.1", "or over TLS") {
            $0.harness.transport = .tls
            return $0.ask(.allocate) { $0.append(.requestedTransport, leadingByte: 6) } == .success
        },
        Requirement("RFC 6062 5.1", "over UDP 400") {
            $0.ask(.allocate) { $0.append(.requestedTransport, leadingByte: 6) } == 400
        },
        Requirement("RFC 6062 5.1", "over DTLS 400") {
            $0.harness.transport = .dtls
            return $0.ask(.allocate) { $0.append(.requestedTransport, leadingByte: 6) } == 400
        },
        Requirement("RFC 6062 5.1", "neither UDP nor TCP 442") {
            $0.harness.transport = .tcp
            return $0.ask(.allocate) { $0.append(.requestedTransport, leadingByte: 33) } == 442
        },
        Requirement("RFC 6062 5.1", "UDP may be asked for over TCP") {
            $0.harness.transport = .tcp
            return $0.allocate() == .success && $0.permit(peer) == .success && $0.sends()
        },
        Requirement("RFC 6062 5.1", "a TCP allocation with DONT-FRAGMENT 400") {
            $0.allocateTCP { $0.append(.dontFragment, bytes: []) } == 400
        },
        Requirement("RFC 6062 5.1", "a TCP allocation with EVEN-PORT 400") {
            $0.allocateTCP { $0.append(.evenPort, bytes: [0]) } == 400
        },
        Requirement("RFC 6062 5.1", "a TCP allocation with RESERVATION-TOKEN 400") {
            $0.allocateTCP { $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8)) } == 400
        },
        Requirement("RFC 6062 5", "a Send indication for a TCP allocation is discarded") {
            _ = $0.allocateTCP()
            return $0.permit(peer) == .success && !$0.sends()
        },
        Requirement("RFC 6062 5", "there are no channels in a TCP allocation") {
            _ = $0.allocateTCP()
            return $0.bind(0x4000, to: peer) == 400
        },
        Requirement("RFC 6062 5", "a TCP allocation is refreshed and deleted as any other") {
            _ = $0.allocateTCP()
            return $0.refresh(lifetime: 700) == .success && $0.lifetime == 700 && $0.refresh(lifetime: 0) == .success
                && $0.harness.engine.allocationCount == 0
        },
    ]

    // MARK: - Connect

    private static let connects: [Requirement] = [
        Requirement("RFC 6062 5.2", "a Connect request is authenticated") {
            $0.harness.transport = .tcp
            return $0.receive($0.unsigned(.connect)) == 401
        },
        Requirement("RFC 6062 5.2", "a Connect without an allocation 437") {
            $0.harness.transport = .tcp
            return $0.connect(to: peer) == 437
        },
        Requirement("RFC 6062 5.2", "a Connect for an allocation that is not of TCP 400") {
            $0.harness.transport = .tcp
            return $0.allocate() == .success && $0.connect(to: peer) == 400
        },
        Requirement("RFC 6062 5.2", "a Connect without XOR-PEER-ADDRESS 400") {
            _ = $0.allocateTCP()
            return $0.ask(.connect) == 400
        },
        Requirement("RFC 6062 5.2", "a Connect to a peer that the server does not allow 403") {
            _ = $0.allocateTCP()
            return $0.connect(to: SocketAddress("127.0.0.1:80")!) == 403 && $0.harness.connecting == nil
        },
        Requirement("RFC 6062 5.2", "a Connect to a peer of another family 443") {
            _ = $0.allocateTCP()
            return $0.connect(to: ConformanceBench.peerV6) == 443
        },
        Requirement("RFC 6062 5.2", "the server connects to the peer that is named") {
            _ = $0.allocateTCP()
            return $0.connect(to: peer) == .silence && $0.harness.connecting?.destination == peer
        },
        Requirement("RFC 6062 5.2", "another Connect to a peer while the first goes on 446") {
            _ = $0.allocateTCP()
            return $0.connect(to: peer) == .silence && $0.connect(to: peer) == 446
        },
        Requirement("RFC 6062 5.2", "another Connect to a peer that is connected 446") {
            _ = $0.allocateTCP()
            _ = $0.connect(to: peer)
            return $0.completeConnect(7) == .success && $0.connect(to: peer) == 446
                && $0.connect(to: SocketAddress(peer.ip, port: 1)) == .silence
        },
        Requirement("RFC 6062 5.2", "a connection that stands is answered with success and CONNECTION-ID") {
            _ = $0.allocateTCP()
            _ = $0.connect(to: peer)
            return $0.completeConnect(0xA1B2_C3D4) == .success && $0.isAuthentic
                && $0.answer { $0.number(.connectionID) } == 0xA1B2_C3D4
        },
        Requirement("RFC 6062 5.2", "one that cannot be made, or not in time, 447") {
            _ = $0.allocateTCP()
            _ = $0.connect(to: peer)
            return $0.completeConnect(nil) == 447 && $0.isAuthentic
        },
        Requirement("RFC 6062 5.2", "after that it may be tried again") {
            _ = $0.allocateTCP()
            _ = $0.connect(to: peer)
            return $0.completeConnect(nil) == 447 && $0.connect(to: peer) == .silence
        },
        Requirement("RFC 6062 5.2", "the server waits at least 30 seconds, for the peer and for the client") { _ in
            RelayEngine.connectionTimeout >= .seconds(30)
        },
    ]

    // MARK: - Connections of peers

    private static let attempts: [Requirement] = [
        Requirement("RFC 6062 5.3", "a connection of a peer without permission is closed") {
            _ = $0.allocateTCP()
            return $0.accepts(peer) == false
        },
        Requirement("RFC 6062 5.3", "a connection of a permitted peer is accepted, whatever its port") {
            _ = $0.allocateTCP()
            return $0.permit(peer) == .success && $0.accepts(peer) && $0.accepts(SocketAddress(peer.ip, port: 1))
        },
        Requirement("RFC 6062 5.3", "a permission that is over lets no connection in") {
            _ = $0.allocateTCP()
            _ = $0.permit(peer)
            $0.pass(seconds: 300)
            return !$0.accepts(peer)
        },
        Requirement("RFC 6062 5.3", "the client is told by a ConnectionAttempt with CONNECTION-ID and XOR-PEER-ADDRESS")
        { bench in
            _ = bench.allocateTCP()
            _ = bench.permit(peer)
            guard bench.accepts(peer), let id = bench.allocation else { return false }
            var output = [UInt8](repeating: 0, count: RelayEngine.maxAnswerByteCount)
            let told = output.withUnsafeMutableBytes {
                bench.harness.engine.announceConnection(id, from: peer, connectionID: 9, into: $0)
            }
            let indication = RelayHarness.Answer(bytes: Array(output[..<told.count]))
            return told.tuple.client == bench.client.address
                && indication.read { $0.type } == STUNMessageType(.connectionAttempt, .indication)
                && indication.read { $0.number(.connectionID) } == 9
                && indication.read { $0.xorAddress(.xorPeerAddress) } == peer
        },
        Requirement("RFC 6062 5.3", "a client's ConnectionAttempt is discarded") {
            $0.harness.transport = .tcp
            return $0.receive($0.unsigned(.connectionAttempt)) == .silence
                && $0.receive($0.unsigned(.connectionAttempt, .indication)) == .silence
        },
    ]

    // MARK: - ConnectionBind

    private static let binds: [Requirement] = [
        Requirement("RFC 6062 5.4", "a ConnectionBind request is authenticated") {
            $0.harness.transport = .tcp
            return $0.receive($0.unsigned(.connectionBind) { $0.append(.connectionID, number: 9) }) == 401
        },
        Requirement("RFC 6062 5.4", "over UDP 400") { $0.bindConnection(9) == 400 },
        Requirement("RFC 6062 5.4", "without CONNECTION-ID 400") {
            $0.harness.transport = .tcp
            return $0.ask(.connectionBind) == 400
        },
        Requirement("RFC 6062 5.4", "over a connection that has an allocation 400") {
            _ = $0.allocateTCP()
            return $0.bindConnection(9) == 400
        },
        Requirement("RFC 6062 5.4", "the connection that is named is looked for, and must be the same user's") {
            _ = $0.allocateTCP()
            _ = $0.connect(to: peer)
            $0.client.address = ConformanceBench.elsewhere
            $0.client.nonce = nil
            return $0.bindConnection(9) == .silence && $0.harness.binding?.connectionID == 9
                && $0.harness.binding?.owner == $0.harness.connecting?.owner
        },
        Requirement("RFC 6062 5.4", "where it is, success") {
            $0.harness.transport = .tcp
            return $0.bindConnection(9) == .silence && $0.completeBinding(true) == .success && $0.isAuthentic
        },
        Requirement("RFC 6062 5.4", "where there is none, 400") {
            $0.harness.transport = .tcp
            return $0.bindConnection(9) == .silence && $0.completeBinding(false) == 400 && $0.isAuthentic
        },
    ]
}

extension ConformanceBench {
    fileprivate func allocateTCP(_ body: (inout STUNWriter) -> Void = { _ in }) -> Reply {
        harness.transport = .tcp
        return ask(.allocate) {
            $0.append(.requestedTransport, leadingByte: 6)
            body(&$0)
        }
    }

    /// Silence when the service is to connect.
    fileprivate func connect(to peer: SocketAddress) -> Reply {
        ask(.connect) { $0.append(.xorPeerAddress, xorAddress: peer) }
    }

    fileprivate func completeConnect(_ connectionID: UInt32?) -> Reply {
        guard let pending = harness.connecting else { return .silence }
        return completed { harness.engine.completeConnection(pending, connectionID: connectionID, into: $0) }
    }

    /// Silence when the service is to look for the connection.
    fileprivate func bindConnection(_ connectionID: UInt32) -> Reply {
        ask(.connectionBind) { $0.append(.connectionID, number: connectionID) }
    }

    fileprivate func completeBinding(_ isBound: Bool) -> Reply {
        guard let pending = harness.binding else { return .silence }
        return completed { harness.engine.completeBinding(pending, isBound: isBound, into: $0) }
    }

    fileprivate func accepts(_ peer: SocketAddress) -> Bool {
        guard let id = allocation else { return false }
        return harness.engine.acceptConnection(id, from: peer, now: harness.now) != nil
    }

    private func completed(_ body: (UnsafeMutableRawBufferPointer) -> Int?) -> Reply {
        var output = [UInt8](repeating: 0, count: RelayEngine.maxAnswerByteCount)
        guard let count = output.withUnsafeMutableBytes(body) else { return note(nil) }
        let bytes = Array(output[..<count])
        return note(RelayHarness.Answer(code: RelayHarness.Answer(bytes: bytes).read { $0.errorCode }, bytes: bytes))
    }
}
