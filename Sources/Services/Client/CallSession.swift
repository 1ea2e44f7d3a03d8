import Base
import RTP
import Runtime

/// The media of a call at one end: our stream, theirs, and the reports about both.
///
/// Lives on the loop of its relay client, so that every packet is handled where it arrives.
actor CallSession {
    private static let clockRate = 48_000
    private static let frameTicks: UInt32 = 960
    private static let frameInterval = Duration.milliseconds(20)

    private let client: TURNClient
    private let own: CallDescription
    private let configuration: CallAgent.Configuration
    private nonisolated let loop: EventLoop
    private var peer: CallDescription?

    private var sequenceNumber = UInt16.random(in: 0 ... .max)
    private var timestamp = UInt32.random(in: 0 ... .max)
    private var sent = (packets: 0, bytes: 0)
    private var isFirstPacket = true

    private var reception = RTPReceptionStatistics(clockRate: clockRate)
    private var bytesReceived = 0
    private var lastSenderReport: (middle: UInt32, arrival: MonotonicInstant)?
    private var roundTrips: [Duration] = []
    private var lostByPeer = 0
    private var packetsThatPeerSent: Int?
    private var hasEnded = false
    /// Whoever waits for something to come.
    private var waiter: Waiter?
    private var waits = 0

    private struct Waiter {
        let number: Int
        let condition: (isolated CallSession) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(client: TURNClient, own: CallDescription, configuration: CallAgent.Configuration) {
        self.client = client
        self.own = own
        self.configuration = configuration
        loop = client.loop
    }

    /// Opens the relay to the other end.
    func meet(_ description: CallDescription) async throws {
        peer = description
        try await client.bindChannel(to: description.address)
    }

    /// Tells the callee that we are open to it, before the stream begins.
    func greet() async { await sendReport() }

    /// Returns when something of the other end has come.
    func awaitFirstPacket() async throws {
        let hasBegun = await wait(configuration.mediaTimeoutMs) {
            $0.lastSenderReport != nil || $0.reception.received > 0
        }
        guard hasBegun else {
            try Task.checkCancellation()
            throw EdgeError(.timeout, "nothing came from the other end through the relay", isRetryable: true)
        }
    }

    /// Sends our stream and receives theirs, until both have ended.
    func stream(_ frames: [[UInt8]], duration: Duration) async throws -> CallReport {
        let frameCount = max(1, Int(duration / Self.frameInterval))
        let start = MonotonicClock.now()
        let reporting = Task { try await report() }
        let renewal = Task { try await renew() }
        defer {
            reporting.cancel()
            renewal.cancel()
        }
        for index in 0..<frameCount {
            let due = start + Self.frameInterval * index
            let rest = due - MonotonicClock.now()
            if rest > .zero { try await loop.sleep(for: rest) }
            await send(frames[index % frames.count])
        }
        await sendGoodbye()
        // The other end began at about our time, and is not held to our duration.
        _ = await wait(configuration.mediaTimeoutMs) { $0.hasEnded }
        _ = await wait(configuration.stragglerTimeoutMs) {
            $0.reception.received >= UInt64($0.packetsThatPeerSent ?? 0)
        }
        try Task.checkCancellation()
        return makeReport()
    }

    // MARK: - Sending

    private func send(_ frame: [UInt8]) async {
        guard let peer else { return }
        let packet = RTPPacket(
            marker: isFirstPacket, payloadType: CallDescription.payloadType, sequenceNumber: sequenceNumber,
            timestamp: timestamp, ssrc: own.ssrc)
        isFirstPacket = false
        sequenceNumber &+= 1
        timestamp &+= Self.frameTicks
        sent.packets += 1
        sent.bytes += frame.count
        await client.send(packet.encoded(payload: frame), to: peer.address)
    }

    private func report() async throws {
        while true {
            await sendReport()
            try await loop.sleep(for: .milliseconds(configuration.reportIntervalMs))
        }
    }

    private func renew() async throws {
        while let peer {
            try await loop.sleep(for: .milliseconds(configuration.renewalIntervalMs))
            try await client.bindChannel(to: peer.address)
            try await client.refresh()
        }
    }

    private func sendReport(goodbye: Bool = false) async {
        guard let peer else { return }
        let now = MonotonicClock.now()
        var blocks: [RTCPPacket.ReportBlock] = []
        if reception.received > 0 || lastSenderReport != nil {
            blocks.append(
                RTCPPacket.ReportBlock(
                    ssrc: peer.ssrc, fractionLost: reception.takeFractionLost(),
                    cumulativeLost: Int32(clamping: reception.lost),
                    highestSequenceNumber: reception.highestSequenceNumber, jitter: reception.jitterInClockUnits,
                    lastSenderReport: lastSenderReport?.middle ?? 0,
                    delaySinceLastSenderReport: lastSenderReport.map { Self.units(now - $0.arrival) } ?? 0))
        }
        let report = RTCPPacket.senderReport(
            RTCPPacket.SenderReport(
                ssrc: own.ssrc, ntpTimestamp: Self.ntp(now), rtpTimestamp: timestamp,
                packetCount: UInt32(truncatingIfNeeded: sent.packets),
                byteCount: UInt32(truncatingIfNeeded: sent.bytes),
                blocks: blocks))
        await client.send(
            RTCPPacket.encode(goodbye ? [report, .goodbye(ssrcs: [own.ssrc])] : [report]), to: peer.address)
    }

    /// Sent three times, since it is not answered.
    private func sendGoodbye() async {
        for _ in 0..<3 { await sendReport(goodbye: true) }
    }

    // MARK: - Receiving

    func received(_ payload: UnsafeRawBufferPointer, from source: SocketAddress) {
        guard source == peer?.address else { return }
        let arrival = MonotonicClock.now()
        if RTCPPacket.isRTCP(payload.bytes) {
            for packet in (try? RTCPPacket.parse(payload.bytes)) ?? [] { received(packet, at: arrival) }
        } else if let packet = try? RTPPacket(payload.bytes), packet.ssrc == peer?.ssrc {
            if reception.receive(packet, at: arrival) { bytesReceived += packet.payload.count }
        }
        if let waiter, waiter.condition(self) {
            self.waiter = nil
            waiter.continuation.resume()
        }
    }

    private func received(_ packet: RTCPPacket, at arrival: MonotonicInstant) {
        switch packet {
        case .senderReport(let report) where report.ssrc == peer?.ssrc:
            lastSenderReport = (UInt32(truncatingIfNeeded: report.ntpTimestamp >> 16), arrival)
            packetsThatPeerSent = Int(report.packetCount)
            for block in report.blocks where block.ssrc == own.ssrc {
                lostByPeer = max(0, Int(block.cumulativeLost))
                let middle = UInt32(truncatingIfNeeded: Self.ntp(arrival) >> 16)
                if let units = block.roundTrip(arrival: middle) {
                    roundTrips.append(.nanoseconds(Int64(units) * 1_000_000_000 / 65_536))
                }
            }
        case .goodbye(let ssrcs) where ssrcs.contains(peer?.ssrc ?? 0):
            hasEnded = true
        case .senderReport, .receiverReport, .goodbye, .other:
            break
        }
    }

    /// Waits until the condition holds, at most so long.
    private func wait(_ timeoutMs: Int64, _ condition: @escaping (isolated CallSession) -> Bool) async -> Bool {
        waits += 1
        let number = waits
        let timeout = Task {
            try await loop.sleep(for: .milliseconds(timeoutMs))
            giveUp(number)
        }
        defer { timeout.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if condition(self) {
                    continuation.resume()
                } else {
                    waiter = Waiter(number: number, condition: condition, continuation: continuation)
                }
            }
        } onCancel: {
            Task { await self.giveUp(number) }
        }
        return condition(self)
    }

    private func giveUp(_ number: Int) {
        guard let waiter, waiter.number == number else { return }
        self.waiter = nil
        waiter.continuation.resume()
    }

    // MARK: - Results

    private func makeReport() -> CallReport {
        let expected = max(Int(reception.expected), packetsThatPeerSent ?? 0)
        return CallReport(
            relayedAddress: "\(own.address)", peerAddress: peer.map { "\($0.address)" } ?? "",
            packetsSent: sent.packets, bytesSent: sent.bytes, packetsExpected: expected,
            packetsReceived: Int(reception.received), bytesReceived: bytesReceived,
            packetsLost: expected - Int(reception.received), duplicates: Int(reception.duplicates),
            outOfOrder: Int(reception.outOfOrder), packetsLostByPeer: lostByPeer, jitter: reception.jitter,
            roundTrips: roundTrips.sorted())
    }

    /// Our clock in the form of RTCP: seconds and 2^-32 of them. Its start does not matter (RFC 3550 section 6.4.1).
    private static func ntp(_ instant: MonotonicInstant) -> UInt64 {
        let (seconds, rest) = instant.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return seconds << 32 | rest << 32 / 1_000_000_000
    }

    private static func units(_ duration: Duration) -> UInt32 {
        UInt32(clamping: duration.nanoseconds / 1000 * 65_536 / 1_000_000)
    }
}
