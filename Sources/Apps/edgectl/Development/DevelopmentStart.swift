import Base
import Glibc
import HTTP
import Runtime
import UplinkService

/// Starts an edge-central and edge-nodes on this host, by the same steps as an operator's: keys, enrolment, configuration.
struct DevelopmentStart: Sendable {
    let folder: DevelopmentFolder
    let edges: Int
    let portOffset: Int
    let usesTLS: Bool
    let context: CommandContext

    /// What one process may take to be ready.
    private static let readyTimeout = Duration.seconds(30)

    var ports: DevelopmentPorts { DevelopmentPorts(edges: edges, offset: portOffset) }

    /// Returns when every process is ready, and `dev.json` is written.
    ///
    /// - Throws: `CommandFailure`; what was started may still run, and is the caller's to stop.
    func run(_ processes: DevelopmentProcesses) async throws -> DevelopmentFile {
        let (centralProgram, edgeProgram) = (try executable(named: "edge-central"), try executable(named: "edge-node"))
        if let used = ports.firstInUse() {
            throw CommandFailure(
                "port \(used.port), for \(used.purpose), is in use\(hintOfEarlierStart()); stop what has it, or move all ports "
                    + "with --port-offset (a multiple of 100, at most \(DevelopmentPorts.maxOffset))")
        }
        try await context.pool.run { [folder] in
            try FileSystem.remove(folder.file)
            try folder.prepare(now: WallClock.now())
        }
        let names = DevelopmentConfiguration(folder: folder, ports: ports, usesTLS: usesTLS)
        let central = try await startCentral(centralProgram, names, processes)
        var started: [ChildProcess] = []
        for index in 0..<edges { started.append(try await startEdge(index, edgeProgram, names, processes)) }
        for (index, child) in started.enumerated() {
            try await waitUntilReady(child, admin: ports.edges[index].admin, processes)
        }
        processes.announceDeaths()
        let file = try describe(central, started)
        try await context.pool.run { [folder] in try file.save(folder.file) }
        return file
    }

    private func startCentral(
        _ program: String, _ names: DevelopmentConfiguration, _ processes: DevelopmentProcesses
    ) async throws -> ChildProcess {
        let name = DevelopmentConfiguration.central
        let path = folder.configuration(of: name)
        guard let identity = identity(region: NodeIdentity.centralRegion, name: name) else {
            preconditionFailure("good names")
        }
        try await context.pool.run { [folder] in
            if !FileSystem.exists(folder.certificate(of: name)) {
                try folder.issue(node: name, uri: identity.uri, now: WallClock.now())
            }
            try folder.write(names.centralText(), to: path)
        }
        let child = try processes.start(
            name: DevelopmentProcesses.central, executable: program, arguments: ["--config", path],
            logPath: folder.log(of: name))
        try await waitUntilReady(child, admin: ports.centralAdmin, processes)
        return child
    }

    private func startEdge(
        _ index: Int, _ program: String, _ names: DevelopmentConfiguration, _ processes: DevelopmentProcesses
    ) async throws -> ChildProcess {
        let name = DevelopmentConfiguration.edge(index)
        guard let identity = identity(region: DevelopmentConfiguration.region, name: name) else {
            preconditionFailure("good names")
        }
        let isEnrolled = try await context.pool.run { [folder] in FileSystem.exists(folder.certificate(of: name)) }
        if !isEnrolled { try await enrol(identity) }
        let path = folder.configuration(of: name)
        try await context.pool.run { [folder] in
            try FileSystem.makeDirectory(folder.media(of: name))
            try folder.write(names.edgeText(index), to: path)
        }
        return try processes.start(
            name: name, executable: program, arguments: ["--config", path], logPath: folder.log(of: name))
    }

    private func enrol(_ identity: NodeIdentity) async throws {
        let store = try await context.pool.run { [folder] in try EnrolmentStore(path: folder.enrolmentDatabase) }
        defer { store.close() }
        let token = try await store.makeToken(
            for: identity, authorityPEM: try folder.text(folder.authorityCertificate), life: .seconds(60),
            now: WallClock.now())
        let node = try await Enrolment.enrol(
            central: "\(DevelopmentConfiguration.host):\(ports.central)", token: token.text, on: context.loop)
        try await context.pool.run { [folder] in
            try folder.keep(node: identity.name, certificatePEM: node.certificatePEM, privateKeyPEM: node.privateKeyPEM)
        }
    }

    private func identity(region: String, name: String) -> NodeIdentity? {
        NodeIdentity(cluster: DevelopmentConfiguration.cluster, region: region, name: name)
    }

    private func waitUntilReady(_ child: ChildProcess, admin: UInt16, _ processes: DevelopmentProcesses) async throws {
        let http = HTTPClient(loop: context.loop)
        let deadline = context.loop.now + Self.readyTimeout
        while true {
            if let ending = processes.ending(of: child) {
                throw CommandFailure("\(child.name) ended with \(ending) before it was ready\n\(lastLines(of: child))")
            }
            let request = HTTPClientRequest(
                "GET", "http://\(DevelopmentConfiguration.host):\(admin)/readyz", responseTimeoutMs: 2000)
            if let response = try? await http.send(request), response.status == 200 {
                await http.close()
                return
            }
            guard context.loop.now < deadline else {
                throw CommandFailure(
                    "\(child.name) is not ready after \(formatDuration(Self.readyTimeout))\n\(lastLines(of: child))")
            }
            try await context.loop.sleep(for: .milliseconds(20))
        }
    }

    /// What the process said last, and where the rest is.
    private func lastLines(of child: ChildProcess) -> String {
        let path = folder.log(
            of: child.name == DevelopmentProcesses.central ? DevelopmentConfiguration.central : child.name)
        guard let bytes = try? FileSystem.read(path, limit: 64 << 20) else { return "its log: \(path)" }
        let lines = String(decoding: bytes.suffix(4000), as: UTF8.self).split(separator: "\n").suffix(10)
        return (lines.map { "    " + $0 } + ["its log: \(path)"]).joined(separator: "\n")
    }

    /// Whether processes of an earlier start on this folder still run: theirs are probably the ports.
    private func hintOfEarlierStart() -> String {
        guard let earlier = try? DevelopmentFile.load(folder.file) else { return "" }
        let alive = ([("edge-central", earlier.central.pid)] + earlier.edges.map { ($0.name, $0.pid) }).filter {
            process in
            let path = "/proc/\(process.1)/cmdline"
            guard let descriptor = fopen(path, "r") else { return false }
            defer { fclose(descriptor) }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = fread(&buffer, 1, buffer.count, descriptor)
            return String(decoding: buffer.prefix(count), as: UTF8.self).contains(folder.path)
        }
        return alive.isEmpty
            ? "" : ": an earlier start still runs (" + alive.map { "\($0.0) \($0.1)" }.joined(separator: ", ") + ")"
    }

    private func describe(_ central: ChildProcess, _ started: [ChildProcess]) throws -> DevelopmentFile {
        let host = DevelopmentConfiguration.host
        let scheme = usesTLS ? "https" : "http"
        return DevelopmentFile(
            central: DevelopmentFile.Central(
                api: "http://\(host):\(ports.central)", admin: "http://\(host):\(ports.centralAdmin)",
                pid: Int(central.identifier)),
            edges: started.enumerated().map { index, child in
                let edge = ports.edges[index]
                return DevelopmentFile.Edge(
                    name: child.name, http: "\(scheme)://\(host):\(edge.http)", turn: "\(host):\(edge.turn)",
                    turns: "\(host):\(edge.turns)", admin: "http://\(host):\(edge.admin)",
                    socket: folder.socket(of: child.name),
                    pid: Int(child.identifier))
            },
            tokens: try folder.makeTokens(now: WallClock.now()),
            certificateAuthorityPath: folder.authorityCertificate, signingKeyPath: folder.signingKey,
            centralConfigurationPath: folder.configuration(of: DevelopmentConfiguration.central),
            edgeConfigurationPaths: started.map { folder.configuration(of: $0.name) })
    }
}
