import Base
import RelayEngine
import STUN

private let alice = "2000000600:default:alice"

extension Requirement {
    /// RFC 8489 section 9.2: password algorithms, hashed names, and the nonce that protects what a server says of itself.
    static let rfc8489Credentials: [Requirement] = challenge + algorithms + integrity

    private static let bob = StaticUser(
        username: "bob", user: UserAddress(tenant: Tenant("acme")!, user: "robert")!, password: "correct horse")

    // MARK: - The challenge

    private static let challenge: [Requirement] = [
        Requirement("RFC 8489 9.2.4", "a server with password algorithms lists them in its 401") { bench in
            guard bench.receive(bench.unsigned(.allocate)) == 401, let list = bench.algorithms else { return false }
            return list.contains(.md5) && list.contains(.sha256)
        },
        Requirement("RFC 8489 9.2.4", "and in its 438") { bench in
            _ = bench.signed(.allocate)
            bench.pass(seconds: 7200)
            return bench.allocate() == 438 && bench.algorithms?.count == 2
        },
        Requirement("RFC 8489 9.2", "its nonces begin with obMatJos2 and have the bit of the feature set") { bench in
            bench.receive(bench.unsigned(.allocate)) == 401
                && bench.features?.contains(.passwordAlgorithms) == true
        },
        Requirement("RFC 8489 9.2", "username anonymity is announced where names can be hashed") { bench in
            bench.configureUsers([bob])
            return bench.receive(bench.unsigned(.allocate)) == 401
                && bench.features?.contains(.usernameAnonymity) == true
        },
        Requirement("RFC 8489 9.2", "and not where they cannot") { bench in
            bench.configureUsers([])
            return bench.receive(bench.unsigned(.allocate)) == 401
                && bench.features?.contains(.usernameAnonymity) == false
        },
        Requirement("RFC 8489 9.2", "a nonce whose features were changed on the way is not valid") { bench in
            var client = bench.sha256Client()
            guard bench.allocate(as: &client) == .success, var nonce = client.nonce else { return false }
            NonceCookie.write([], into: &nonce)
            client.nonce = nonce
            return bench.allocate(as: &client) == 438
        },
    ]

    // MARK: - Password algorithms

    private static let algorithms: [Requirement] = [
        Requirement("RFC 8489 9.2.4", "without PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS the key is MD5's") { bench in
            var client = CredentialClient(rest: alice, secret: RelayHarness.secret)
            return bench.allocate(as: &client) == .success
        },
        Requirement("RFC 8489 9.2.4", "with both, the key is that of the algorithm") { bench in
            var client = bench.sha256Client()
            return bench.allocate(as: &client) == .success
        },
        Requirement("RFC 8489 9.2.4", "the algorithm may be any of the list") { bench in
            var client = CredentialClient(rest: alice, secret: RelayHarness.secret)
            client.algorithms = bench.offered()
            client.algorithm = .md5
            return bench.allocate(as: &client) == .success
        },
        Requirement("RFC 8489 9.2.4", "PASSWORD-ALGORITHM without PASSWORD-ALGORITHMS 400") { bench in
            var client = bench.sha256Client()
            client.algorithms = nil
            return bench.allocate(as: &client) == 400
        },
        Requirement("RFC 8489 9.2.4", "PASSWORD-ALGORITHMS without PASSWORD-ALGORITHM 400") { bench in
            var client = bench.sha256Client()
            client.algorithm = nil
            return bench.allocate(as: &client) == 400
        },
        Requirement("RFC 8489 9.2.4", "PASSWORD-ALGORITHMS that are not those of the challenge 400") { bench in
            var client = bench.sha256Client()
            let offered = bench.offered()
            return [Array(offered.reversed()), Array(offered.prefix(1)), offered + offered, []].allSatisfy {
                client.algorithms = $0
                return bench.allocate(as: &client) == 400
            }
        },
        Requirement("RFC 8489 9.2.4", "a PASSWORD-ALGORITHM that the list has not 400") { bench in
            var client = bench.sha256Client()
            client.algorithm = nil
            return bench.ask(.allocate, as: &client) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.passwordAlgorithm, number: 0x0003_0000)
            } == 400
        },
        Requirement("RFC 8489 9.2.4", "a key of another algorithm than is named does not match: 401") { bench in
            var client = bench.sha256Client()
            client.key = CredentialClient(rest: alice, secret: RelayHarness.secret).key
            return bench.allocate(as: &client) == 401
        },
        Requirement("RFC 8489 9.2.4", "USERHASH stands for the USERNAME of a user who is known") { bench in
            bench.configureUsers([bob])
            var client = CredentialClient(bob.username, password: bob.password)
            client.username = nil
            client.userhash = Userhash(username: bob.username, realm: RelayHarness.realm)
            return bench.allocate(as: &client) == .success
        },
        Requirement("RFC 8489 9.2.4", "a USERHASH of nobody 401") { bench in
            bench.configureUsers([bob])
            var client = CredentialClient(bob.username, password: bob.password)
            client.username = nil
            client.userhash = Userhash(username: "mallory", realm: RelayHarness.realm)
            return bench.allocate(as: &client) == 401
        },
    ]

    // MARK: - MESSAGE-INTEGRITY-SHA256

    private static let integrity: [Requirement] = [
        Requirement("RFC 8489 9.2.4", "a response has the integrity attribute that the request has") { bench in
            [STUNIntegrity.sha1, .sha256].allSatisfy { integrity in
                var client = bench.sha256Client()
                client.integrity = integrity
                bench.configure()
                return bench.allocate(as: &client) == .success && bench.answer { $0.integrity } == integrity
                    && bench.answer { $0.hasValidIntegrity(client.key) } == true
            }
        },
        Requirement("RFC 8489 9.2.4", "an error response, too") { bench in
            var client = bench.sha256Client()
            client.integrity = .sha256
            return bench.ask(.refresh, as: &client) == 437 && bench.answer { $0.integrity } == .sha256
                && bench.answer { $0.hasValidIntegrity(client.key) } == true
        },
        Requirement("RFC 8489 14.6", "attributes behind MESSAGE-INTEGRITY-SHA256 are ignored") { bench in
            var bytes = bench.sha256Request()
            bytes += [0x00, 0x0D, 0, 4, 0, 0, 2, 0xBC] + [0x7F, 0x01, 0, 0]
            bytes[3] = UInt8(bytes.count - 20)
            return bench.receive(bytes) == .success && bench.lifetime == 600
        },
        Requirement("RFC 8489 14.6", "a MESSAGE-INTEGRITY-SHA256 that is truncated is not enough here") { bench in
            var bytes = Array(bench.sha256Request().dropLast(16))
            bytes[bytes.count - 17] = 16
            bytes[3] = UInt8(bytes.count - 20)
            return bench.receive(bytes) == 401
        },
        Requirement("RFC 8489 14.6", "one of less than 16 bytes makes it no message") { bench in
            var bytes = Array(bench.sha256Request().dropLast(20))
            bytes[bytes.count - 13] = 12
            bytes[3] = UInt8(bytes.count - 20)
            return bench.receive(bytes) == .silence
        },
        Requirement("RFC 8489 14.6", "a MESSAGE-INTEGRITY-SHA256 that does not match 401") { bench in
            var bytes = bench.sha256Request()
            bytes[bytes.count - 1] ^= 1
            return bench.receive(bytes) == 401
        },
    ]
}

extension NonceCookie {
    fileprivate static func write(_ features: STUNSecurityFeatures, into nonce: inout [UInt8]) {
        nonce.withUnsafeMutableBytes { write(features, into: $0) }
    }
}

extension ConformanceBench {
    fileprivate func configureUsers(_ users: [StaticUser]) {
        configure { $0.realms = [RelayHarness.defaultRealm { $0.users = users }] }
    }

    /// PASSWORD-ALGORITHMS of the last answer.
    fileprivate var algorithms: [PasswordAlgorithm]? {
        guard let value = answer({ $0.value(.passwordAlgorithms) }), value.count % 4 == 0 else { return nil }
        return stride(from: 0, to: value.count, by: 4).compactMap {
            PasswordAlgorithm(rawValue: UInt16(value[$0]) << 8 | UInt16(value[$0 + 1]))
        }
    }

    /// What the nonce of the last answer says.
    fileprivate var features: STUNSecurityFeatures? {
        answer { $0.value(.nonce) }.flatMap { NonceCookie.features(of: $0.span.bytes) }
    }

    /// The list as a challenge has it.
    fileprivate func offered() -> [PasswordAlgorithm] {
        _ = receive(unsigned(.allocate))
        return algorithms ?? []
    }

    fileprivate func sha256Client() -> CredentialClient {
        var client = CredentialClient(rest: alice, secret: RelayHarness.secret, algorithm: .sha256)
        client.algorithms = offered()
        return client
    }

    /// An Allocate request with MESSAGE-INTEGRITY-SHA256.
    fileprivate func sha256Request() -> [UInt8] {
        var client = sha256Client()
        client.integrity = .sha256
        client.nonce = answer { $0.value(.nonce) }
        return client.request(.allocate, harness.newTransaction()) { $0.append(.requestedTransport, leadingByte: 17) }
    }

    fileprivate func ask(
        _ method: STUNMethod, as client: inout CredentialClient, _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> Reply {
        note(harness.ask(method, as: &client, body))
    }

    fileprivate func allocate(as client: inout CredentialClient) -> Reply {
        ask(.allocate, as: &client) { $0.append(.requestedTransport, leadingByte: 17) }
    }
}
