import Base
import Crypto
import RelayEngine
import STUN

extension Requirement {
    /// Session Traversal Utilities for NAT (STUN).
    static let rfc8489: [Requirement] = messages + attributes + credentials + redirection

    private static let unknown = STUNAttributeType(rawValue: 0x7F01)
    private static let optional = STUNAttributeType(rawValue: 0xBF01)

    // MARK: - Messages

    private static let messages: [Requirement] = [
        Requirement("RFC 8489 5", "the two most significant bits are zeroes") {
            var bytes = $0.unsigned(.binding)
            bytes[0] |= 0x80
            return $0.receive(bytes) == .silence
        },
        Requirement("RFC 8489 5", "the magic cookie is 0x2112A442") {
            var bytes = $0.unsigned(.binding)
            bytes[7] ^= 1
            return $0.receive(bytes) == .silence
        },
        Requirement("RFC 8489 5", "the length is a multiple of four") {
            var bytes = $0.unsigned(.binding) { $0.append(.software, bytes: [1, 2, 3, 4]) }
            bytes[3] = 6
            return $0.receive(bytes) == .silence
        },
        Requirement("RFC 8489 6.3", "a message whose length is not sensible is discarded: bytes are missing") {
            $0.receive(Array($0.unsigned(.binding) { $0.append(.software, bytes: [1, 2, 3, 4]) }.dropLast(4)))
                == .silence
        },
        Requirement("RFC 8489 6.3", "a message whose length is not sensible is discarded: bytes are left over") {
            $0.receive($0.unsigned(.binding) + [0, 0, 0, 0]) == .silence
        },
        Requirement("RFC 8489 6.3", "an attribute that reaches beyond the message makes it no message") {
            $0.receive(
                $0.unsigned(.binding) { $0.append(optional, bytes: [0x80, 0x22, 0xFF, 0xFF]) }.replacing(
                    [0, 4], at: 22, with: [0, 9])) == .silence
        },
        Requirement("RFC 8489 6.3", "a message of an unknown method is discarded") {
            $0.receive($0.unsigned(STUNMethod(rawValue: 0x7F0))) == .silence
        },
        Requirement("RFC 8489 6.3", "a response that belongs to no request is discarded") { bench in
            [STUNClass.success, .error].allSatisfy { bench.receive(bench.unsigned(.binding, $0)) == .silence }
        },
        Requirement("RFC 8489 6.3.2", "no response to an indication") {
            $0.receive($0.unsigned(.binding, .indication)) == .silence
        },
        Requirement("RFC 8489 6.3.1.1", "the response has the method and the transaction id of the request") { bench in
            let request = bench.unsigned(.binding)
            guard bench.receive(request) == .success, let answer = bench.lastAnswer?.bytes else { return false }
            return answer[4..<20].elementsEqual(request[4..<20])
                && bench.answer { $0.type } == STUNMessageType(.binding, .success)
        },
        Requirement("RFC 8489 6.3.1.2", "a Binding success response has XOR-MAPPED-ADDRESS, the request's source") {
            bench in
            bench.client.address = SocketAddress("[2001:db8::7]:4000")!
            return bench.binding() == .success
                && bench.answer { $0.xorAddress(.xorMappedAddress) } == bench.client.address
        },
        Requirement("RFC 8489 6.3.1.1", "an error response has ERROR-CODE") {
            $0.receive($0.unsigned(.allocate)) == 401 && $0.has(.errorCode)
        },
    ]

    // MARK: - Attributes

    private static let attributes: [Requirement] = [
        Requirement("RFC 8489 6.3.1", "an unknown comprehension-required attribute is answered with 420") {
            $0.binding { $0.append(unknown, number: 0) } == 420
        },
        Requirement("RFC 8489 6.3.1", "the 420 names the attributes in UNKNOWN-ATTRIBUTES") { bench in
            bench.binding {
                $0.append(unknown, number: 0)
                $0.append(STUNAttributeType(rawValue: 0x7F02), number: 0)
            } == 420 && bench.answer { $0.value(.unknownAttributes) } == [0x7F, 0x01, 0x7F, 0x02]
        },
        Requirement("RFC 8489 6.3.1", "of an authenticated request too, with integrity") {
            $0.allocate { $0.append(unknown, number: 0) } == 420 && $0.isAuthentic
        },
        Requirement("RFC 8489 6.3.1", "unknown comprehension-optional attributes are ignored") {
            $0.binding { $0.append(optional, number: 0) } == .success
        },
        Requirement("RFC 8489 6.3", "known attributes that were not expected are ignored") {
            $0.binding {
                $0.append(.lifetime, number: 5)
                $0.append(.xorPeerAddress, xorAddress: RelayHarness.peer)
                $0.append(.errorCode, number: 0x0404)
            } == .success
        },
        Requirement("RFC 8489 6.3.2", "an indication with an unknown comprehension-required attribute is discarded") {
            _ = $0.allocate()
            _ = $0.permit(RelayHarness.peer)
            return $0.sends() && !$0.sends { $0.append(unknown, number: 0) }
        },
        Requirement("RFC 8489 14", "of attributes of one type the first counts") {
            $0.allocate {
                $0.append(.lifetime, number: 700)
                $0.append(.lifetime, number: 800)
            } == .success && $0.lifetime == 700
        },
        Requirement("RFC 8489 14", "padding is ignored, and may be any value") { bench in
            var bytes = bench.unsigned(.binding) { $0.append(.software, bytes: [65]) }
            for index in 25..<28 { bytes[index] = 0xEE }
            return bench.receive(bytes) == .success
        },
        Requirement("RFC 8489 14.5", "attributes behind MESSAGE-INTEGRITY are ignored") { bench in
            var bytes = bench.signed(.allocate) { $0.append(.requestedTransport, leadingByte: 17) }
            bytes += [0x00, 0x0D, 0, 4, 0, 0, 2, 0xBC] + [0x7F, 0x01, 0, 0]
            bytes[3] = UInt8(bytes.count - 20)
            return bench.receive(bytes) == .success && bench.lifetime == 600
        },
        Requirement("RFC 8489 14.7", "a message with a wrong FINGERPRINT is discarded") { bench in
            var bytes = bench.unsigned(.binding, fingerprint: true)
            bytes[bytes.count - 1] ^= 1
            return bench.receive(bytes) == .silence
        },
        Requirement("RFC 8489 14.7", "FINGERPRINT is the last attribute of a message") { bench in
            bench.receive(bench.unsigned(.binding, fingerprint: true) + [0x80, 0x22, 0, 0]) == .silence
                && bench.receive(bench.unsigned(.allocate, fingerprint: true)) == 401
                && bench.types.last == .fingerprint
        },
        Requirement("RFC 8489 14.7", "FINGERPRINT covers MESSAGE-INTEGRITY, which stands in front of it") { bench in
            _ = bench.signed(.allocate)
            let bytes = RelayHarness.message(
                STUNMessageType(.allocate, .request), bench.harness.newTransaction(), as: bench.client,
                fingerprint: true
            ) { $0.append(.requestedTransport, leadingByte: 17) }
            return bench.receive(bytes) == .success && bench.isAuthentic
                && bench.types.suffix(2) == [.messageIntegrity, .fingerprint]
        },
    ]

    // MARK: - Long-term credentials

    private static let credentials: [Requirement] = [
        Requirement("RFC 8489 9.2.4", "a request without integrity is answered with 401, REALM and NONCE") { bench in
            [STUNMethod.allocate, .refresh, .createPermission, .channelBind].allSatisfy {
                bench.receive(bench.unsigned($0)) == 401 && bench.has(.realm) && bench.has(.nonce)
            }
        },
        Requirement("RFC 8489 9.2.4", "that 401 has no USERNAME, USERHASH or integrity") { bench in
            bench.receive(bench.unsigned(.allocate) { $0.append(.username, text: "alice") }) == 401
                && bench.types.allSatisfy {
                    ![.username, .userhash, .messageIntegrity, .messageIntegritySHA256].contains($0)
                }
        },
        Requirement("RFC 8489 9.2.4", "integrity without USERNAME or USERHASH is answered with 400") {
            $0.receive($0.incomplete(without: .username)) == 400 && !$0.isAuthentic
        },
        Requirement("RFC 8489 9.2.4", "integrity without REALM is answered with 400") {
            $0.receive($0.incomplete(without: .realm)) == 400 && !$0.isAuthentic
        },
        Requirement("RFC 8489 9.2.4", "integrity without NONCE is answered with 400") {
            $0.receive($0.incomplete(without: .nonce)) == 400 && !$0.isAuthentic
        },
        Requirement("RFC 8489 9.2.4", "a nonce that is no longer valid is answered with 438, REALM and a new NONCE") {
            bench in
            _ = bench.signed(.allocate)
            let former = bench.client.nonce
            bench.pass(seconds: 7200)
            guard bench.allocate() == 438, bench.has(.realm) else { return false }
            let nonce = bench.answer { $0.text(.nonce) }
            return nonce != nil && nonce != former
        },
        Requirement("RFC 8489 9.2.4", "that 438 has no USERNAME, USERHASH or integrity") { bench in
            bench.client.nonce = "never given"
            return bench.allocate() == 438
                && bench.types.allSatisfy {
                    ![.username, .userhash, .messageIntegrity, .messageIntegritySHA256].contains($0)
                }
        },
        Requirement("RFC 8489 9.2.4", "the new nonce is good") { bench in
            bench.client.nonce = "never given"
            guard bench.allocate() == 438 else { return false }
            bench.client.nonce = bench.answer { $0.text(.nonce) }
            return bench.allocate() == .success
        },
        Requirement("RFC 8489 9.2.4", "a user name that is not valid is answered with 401 and a challenge") { bench in
            let bytes = bench.request(as: RelayHarness.Client(username: "nobody"))
            return bench.receive(bytes) == 401 && bench.has(.realm) && bench.has(.nonce)
        },
        Requirement("RFC 8489 9.2.4", "integrity that does not match is answered with 401 and a challenge") { bench in
            let bytes = bench.request(as: RelayHarness.Client(secret: [1, 2, 3]))
            return bench.receive(bytes) == 401 && bench.has(.realm) && bench.has(.nonce) && !bench.isAuthentic
        },
        Requirement("RFC 8489 9.2.4", "another realm than the challenge's is not authenticated") { bench in
            _ = bench.signed(.allocate)
            let bytes = bench.incomplete(without: .realm, with: "example.com")
            return bench.receive(bytes) == 401
        },
        Requirement("RFC 8489 9.2.4", "a success response has the integrity of the request's key") {
            $0.allocate() == .success && $0.isAuthentic && $0.types.contains(.messageIntegrity)
        },
        Requirement("RFC 8489 9.2.4", "an error response to an authenticated request has it, too") {
            $0.refresh() == 437 && $0.isAuthentic
        },
        Requirement("RFC 8489 9.2.4", "no response to what was not authenticated changes anything") { bench in
            _ = bench.allocate()
            let key = bench.client.key
            let bytes = bench.request(.refresh, as: RelayHarness.Client(secret: [9])) {
                $0.append(.lifetime, number: 0)
            }
            return bench.receive(bytes) == 401 && bench.harness.engine.allocationCount == 1 && key == bench.client.key
        },
    ]

    // MARK: - ALTERNATE-SERVER

    private static let servers = [SocketAddress("203.0.113.20:3478")!, SocketAddress("[2001:db8::20]:3478")!]

    private static let redirection: [Requirement] = [
        Requirement("RFC 8489 10", "300 has ALTERNATE-SERVER") { bench in
            bench.configure { $0.alternateServers = servers }
            bench.harness.engine.isDraining = true
            return bench.allocate() == 300 && bench.answer { $0.address(.alternateServer) } == servers[0]
        },
        Requirement("RFC 8489 10", "the alternate server's family is the one of the request's source") { bench in
            bench.configure { $0.alternateServers = servers }
            bench.harness.engine.isDraining = true
            bench.client.address = SocketAddress("[2001:db8::7]:4000")!
            return bench.allocate() == 300 && bench.answer { $0.address(.alternateServer) } == servers[1]
        },
        Requirement("RFC 8489 10", "300 is authenticated where requests are") { bench in
            bench.configure { $0.alternateServers = servers }
            bench.harness.engine.isDraining = true
            return bench.receive(bench.unsigned(.allocate)) == 401 && bench.allocate() == 300 && bench.isAuthentic
        },
        Requirement("RFC 8489 14.16", "ALTERNATE-DOMAIN stands in a 300 alone") { bench in
            bench.configure {
                $0.alternateServers = servers
                $0.alternateDomain = "turn-2.example.org"
            }
            guard bench.allocate() == .success, !bench.has(.alternateDomain) else { return false }
            bench.harness.engine.isDraining = true
            bench.client.address = ConformanceBench.elsewhere
            bench.client.nonce = nil
            return bench.allocate() == 300 && bench.answer { $0.text(.alternateDomain) } == "turn-2.example.org"
        },
    ]
}

extension ConformanceBench {
    /// An Allocate request of somebody else, from the client's address.
    fileprivate func request(
        _ method: STUNMethod = .allocate, as other: RelayHarness.Client,
        _ body: (inout STUNWriter) -> Void = { $0.append(.requestedTransport, leadingByte: 17) }
    ) -> [UInt8] {
        _ = signed(method)
        other.nonce = client.nonce
        return RelayHarness.message(STUNMessageType(method, .request), harness.newTransaction(), as: other, body)
    }

    /// A request with integrity that lacks one of what belongs to it, or has another value of it.
    fileprivate func incomplete(without missing: STUNAttributeType, with other: String? = nil) -> [UInt8] {
        _ = signed(.allocate)
        var buffer = [UInt8](repeating: 0, count: 512)
        let values: [(STUNAttributeType, String)] = [
            (.username, client.username), (.realm, RelayHarness.realm), (.nonce, client.nonce ?? ""),
        ]
        let (id, key) = (harness.newTransaction(), client.key)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(
                into: buffer, type: STUNMessageType(.allocate, .request), transactionID: id)
            writer.append(.requestedTransport, leadingByte: 17)
            for (type, value) in values {
                if type != missing {
                    writer.append(type, text: value)
                } else if let other {
                    writer.append(type, text: other)
                }
            }
            return writer.finish(integrity: (.sha1, key))
        }
        return Array(buffer[..<count])
    }
}

extension [UInt8] {
    /// Other bytes in the place of some.
    fileprivate func replacing(_ former: [UInt8], at index: Int, with other: [UInt8]) -> [UInt8] {
        precondition(self[index..<index + former.count].elementsEqual(former))
        var changed = self
        changed.replaceSubrange(index..<index + former.count, with: other)
        return changed
    }
}
