import Base
import STUN

/// The answer to one request, written when it is known what it says.
struct Answer {
    let tuple: FiveTuple
    /// Set once the request has been authenticated: then the answer has MESSAGE-INTEGRITY too.
    var key: LongTermKey?
    /// FINGERPRINT is answered with FINGERPRINT.
    var wantsFingerprint: Bool
    private let method: STUNMethod
    private let transactionID: TransactionID
    private let output: UnsafeMutableRawBufferPointer

    init(_ message: borrowing STUNMessage, to tuple: FiveTuple, output: UnsafeMutableRawBufferPointer) {
        self.tuple = tuple
        method = message.type.method
        transactionID = message.transactionID
        wantsFingerprint = message.hasFingerprint
        self.output = output
    }

    init(_ pending: PendingAllocation, output: UnsafeMutableRawBufferPointer) {
        tuple = pending.tuple
        method = .allocate
        transactionID = pending.transactionID
        wantsFingerprint = pending.wantsFingerprint
        key = pending.key
        self.output = output
    }

    func succeed(_ body: (inout STUNWriter) -> Void) -> Int {
        var writer = STUNWriter(into: output, type: STUNMessageType(method, .success), transactionID: transactionID)
        body(&writer)
        return writer.finish(integrity: key.map { (.sha1, $0) }, fingerprint: wantsFingerprint)
    }

    func succeedAllocation(relayed: SocketAddress, lifetimeSeconds: UInt32) -> Int {
        succeed {
            $0.append(.xorRelayedAddress, xorAddress: relayed)
            $0.append(.lifetime, number: lifetimeSeconds)
            $0.append(.xorMappedAddress, xorAddress: tuple.client)
        }
    }

    func refuse(
        _ code: STUNErrorCode, challenge: (realm: String, nonce: String)? = nil, unknown: [STUNAttributeType] = []
    ) -> Int {
        var writer = STUNWriter(into: output, type: STUNMessageType(method, .error), transactionID: transactionID)
        writer.append(error: code)
        if let challenge {
            writer.append(.realm, text: challenge.realm)
            writer.append(.nonce, text: challenge.nonce)
        }
        if !unknown.isEmpty { writer.append(unknownAttributes: unknown) }
        return writer.finish(integrity: key.map { (.sha1, $0) }, fingerprint: wantsFingerprint)
    }
}
