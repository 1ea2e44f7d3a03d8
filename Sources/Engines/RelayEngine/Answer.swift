import Base
import STUN

/// The answer to one request, written when it is known what it says.
struct Answer {
    let tuple: FiveTuple
    /// Set once the request has been authenticated: then the answer has integrity too, of the request's kind.
    var integrity: (STUNIntegrity, LongTermKey)?
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
        integrity = (pending.identity.integrity, pending.identity.key)
        self.output = output
    }

    init(_ postponed: PostponedAnswer, output: UnsafeMutableRawBufferPointer) {
        tuple = postponed.tuple
        method = postponed.method
        transactionID = postponed.transactionID
        wantsFingerprint = postponed.wantsFingerprint
        integrity = postponed.integrity
        self.output = output
    }

    /// To be given when the service has done what was asked for.
    var postponed: PostponedAnswer {
        PostponedAnswer(
            tuple: tuple, method: method, transactionID: transactionID, wantsFingerprint: wantsFingerprint,
            integrity: integrity)
    }

    func succeed(_ body: (inout STUNWriter) -> Void = { _ in }) -> Int {
        var writer = STUNWriter(into: output, type: STUNMessageType(method, .success), transactionID: transactionID)
        body(&writer)
        return writer.finish(integrity: integrity, fingerprint: wantsFingerprint)
    }

    func refuse(_ code: STUNErrorCode, _ body: (inout STUNWriter) -> Void = { _ in }) -> Int {
        var writer = STUNWriter(into: output, type: STUNMessageType(method, .error), transactionID: transactionID)
        writer.append(error: code)
        body(&writer)
        return writer.finish(integrity: integrity, fingerprint: wantsFingerprint)
    }
}

/// What an answer has of its request.
struct PostponedAnswer: Sendable {
    let tuple: FiveTuple
    let method: STUNMethod
    let transactionID: TransactionID
    let wantsFingerprint: Bool
    let integrity: (STUNIntegrity, LongTermKey)?
}
