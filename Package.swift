// swift-tools-version: 6.2

// Tables read better than their formatted code.
// swift-format-ignore-file

import PackageDescription

// The six floors, lowest first. A module imports only from floors below its own, or from a neighbour to its left;
// Runtime and Engines share a floor and never import each other. `Scripts/check` proves it. ARCHITECTURE.md tells why.

let floors: [Floor] = [
    Floor("Base", [  // bytes, time, ids, typed errors, logger and metrics interfaces, cryptography
        Module("Base"),
        Module("Crypto", ["Base", "COpenSSL", "CShims"]),
    ]),
    Floor("Codecs", [  // bytes to values and back
        Module("JSONCodec", ["Base"]),
        Module("HTTPCodec", ["Base"]),
        Module("WebSocketCodec", ["Base", "Crypto"]),
        Module("STUN", ["Base", "Crypto"]),
        Module("RTP", ["Base"]),
        Module("Tokens", ["Base", "Crypto", "JSONCodec"]),
        Module("Wire", ["Base", "JSONCodec"]),
        Module("WorkerProtocol", ["Base"]),
    ]),
    Floor("Engines", [  // decisions: no I/O, no clock
        Module("RelayEngine", ["Base", "Crypto", "STUN"]),
        Module("MediaEngine", ["Base", "Crypto", "Wire"]),
        Module("RouterEngine", ["Base", "Crypto", "Wire"]),
    ]),
    Floor("Runtime", [  // event loops, sockets, TLS, files, HTTP, configuration, lifecycle
        Module("Runtime", ["Base", "Crypto", "COpenSSL", "CShims"]),
        Module("HTTP", ["Base", "HTTPCodec", "WebSocketCodec", "JSONCodec", "Runtime", "CNGHTTP2"]),
        Module("ConfigurationFile", ["CYAML"]),
        Module("SQLite", ["Base", "CSQLite"]),
    ]),
    Floor("Services", [  // what listens, stores and calls out; engines' actions become I/O here
        Module("AdminService", ["Base", "HTTPCodec", "HTTP", "JSONCodec", "Runtime"]),
        Module("UplinkService", ["Base", "Crypto", "JSONCodec", "HTTPCodec", "Wire", "Runtime", "HTTP", "SQLite"]),
        Module(
            "RelayService",
            ["Base", "Crypto", "JSONCodec", "HTTPCodec", "STUN", "RelayEngine", "Runtime", "HTTP"]),
        Module("MediaWorkerService", ["Base", "WorkerProtocol", "Runtime"]),
        Module(
            "MediaService",
            [
                "Base", "Crypto", "JSONCodec", "HTTPCodec", "Tokens", "Wire", "MediaEngine", "Runtime", "HTTP", "SQLite",
                "UplinkService", "MediaWorkerService",
            ]),
        Module(
            "ConnectionService",
            ["Base", "Crypto", "JSONCodec", "HTTPCodec", "Tokens", "Wire", "Runtime", "HTTP", "UplinkService"]),
        Module(
            "RouterService",
            ["Base", "Crypto", "Tokens", "Wire", "RouterEngine", "Runtime", "SQLite", "UplinkService"]),
        Module(
            "Client",
            [
                "Base", "Crypto", "JSONCodec", "HTTPCodec", "STUN", "RTP", "Wire", "Runtime", "HTTP",
            ]),
        Module(
            "Deployment",
            [
                "Base", "Crypto", "Tokens", "STUN", "RelayEngine", "ConfigurationFile", "Runtime", "HTTP", "RelayService",
                "MediaService", "MediaWorkerService", "ConnectionService", "RouterService", "UplinkService", "AdminService",
            ]),
    ]),
    Floor("Apps", [  // configuration to services
        Module.app("media-worker", ["WorkerProtocol", "CFFmpeg", "CWebP", "CSeccomp"]),
        Module.app(
            "edge-node",
            [
                "Base", "Wire", "Runtime", "HTTP", "AdminService", "UplinkService", "RelayService", "MediaWorkerService",
                "MediaService", "ConnectionService", "Deployment",
            ]),
        Module.app(
            "edge-central",
            ["Base", "Crypto", "Runtime", "HTTP", "AdminService", "UplinkService", "RouterService", "Deployment"]),
        Module.app(
            "edgectl",
            [
                "Base", "Crypto", "JSONCodec", "Tokens", "Wire", "Runtime", "HTTP", "ConfigurationFile",
                "UplinkService", "Client", "Deployment", "COpus",
            ]),
    ]),
]

let systemLibraries: [Target] = [
    .systemLibrary(name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSQLite", path: "Sources/System/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CNGHTTP2", path: "Sources/System/CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CYAML", path: "Sources/System/CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CSeccomp", path: "Sources/System/CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CFFmpeg", path: "Sources/System/CFFmpeg", pkgConfig: "libavformat", providers: [.apt(["libavformat-dev", "libswscale-dev"])]),
    .systemLibrary(name: "CWebP", path: "Sources/System/CWebP", pkgConfig: "libwebp", providers: [.apt(["libwebp-dev"])]),
    .systemLibrary(name: "COpus", path: "Sources/System/COpus", pkgConfig: "opus", providers: [.apt(["libopus-dev"])]),
]

/// `Scripts/fuzz` sets SKERRY_FUZZ: everything is then built for libFuzzer, in a scratch path of its own.
let fuzzes = Context.environment["SKERRY_FUZZ"] != nil

let swiftSettings: [SwiftSetting] = (fuzzes ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : []) + [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    // The default is a conservative mode that leaves generic code unspecialised across modules.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

struct Module {
    var name: String
    var dependencies: [String]
    var isApp = false

    init(_ name: String, _ dependencies: [String] = []) {
        self.name = name
        self.dependencies = dependencies
    }

    static func app(_ name: String, _ dependencies: [String]) -> Module {
        var module = Module(name, dependencies)
        module.isApp = true
        return module
    }
}

struct Floor {
    var name: String
    var modules: [Module]

    init(_ name: String, _ modules: [Module]) {
        self.name = name
        self.modules = modules
    }

    var targets: [Target] {
        modules.map { module in
            let dependencies = module.dependencies.map { Target.Dependency(stringLiteral: $0) }
            let path = "Sources/\(name)/\(module.name)"
            return module.isApp
                ? .executableTarget(name: module.name, dependencies: dependencies, path: path, swiftSettings: swiftSettings)
                : .target(name: module.name, dependencies: dependencies, path: path, swiftSettings: swiftSettings)
        }
    }
}

/// One test target per module, named `<Module>Tests`, which may import the module and all that the module imports.
func tests(_ name: String, _ more: [String] = []) -> Target {
    let module = floors.flatMap(\.modules).first { $0.name == name }!
    let dependencies = ([name] + module.dependencies + more).map { Target.Dependency(stringLiteral: $0) }
    return .testTarget(name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", swiftSettings: swiftSettings)
}

/// Programs that measure, and what they need; Scripts/bench builds and runs them.
let benchmarks: [Target] = [
    .target(name: "CLoadGenerator", dependencies: ["COpenSSL"], path: "Benchmarks/CLoadGenerator"),
    .target(
        name: "BenchmarkSupport", dependencies: ["CLoadGenerator"], path: "Benchmarks/BenchmarkSupport",
        swiftSettings: swiftSettings),
    .executableTarget(
        name: "relay-bench",
        dependencies: [
            "Base", "RelayEngine", "Runtime", "RelayService", "TURNTesting", "CLoadGenerator", "BenchmarkSupport",
        ],
        path: "Benchmarks/relay-bench", swiftSettings: swiftSettings),
    .executableTarget(
        name: "runtime-bench",
        dependencies: ["Base", "Crypto", "HTTPCodec", "Runtime", "HTTP", "TURNTesting", "CLoadGenerator", "BenchmarkSupport"],
        path: "Benchmarks/runtime-bench", swiftSettings: swiftSettings),
]

/// The decoders as the fuzzer sees them, which the tests feed with its seeds and its finds, and the fuzzer itself.
let fuzzing: [Target] = [
    .target(
        name: "FuzzTargets",
        dependencies: [
            "Base", "Crypto", "JSONCodec", "HTTPCodec", "WebSocketCodec", "STUN", "RTP", "Tokens", "Wire", "WorkerProtocol",
            "MediaEngine", "HTTP", "ConfigurationFile", "Client", "CodecTesting",
        ],
        path: "FuzzTesting/Targets", swiftSettings: swiftSettings),
    .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/FuzzTests", swiftSettings: swiftSettings),
] + (fuzzes ? [
    // ld.gold, which the toolchain would choose, cannot link the two sanitizers.
    .executableTarget(
        name: "skerry-fuzz", dependencies: ["FuzzTargets"], path: "FuzzTesting/Driver", swiftSettings: swiftSettings,
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
] : [])

let package = Package(
    name: "skerry",
    targets: systemLibraries
        + [.target(name: "CShims", dependencies: ["COpenSSL"], path: "Sources/System/CShims")]
        + floors.flatMap(\.targets)
        + benchmarks
        + fuzzing
        + [
            .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
            // Shared by the tests of codecs: one decoder fed in every way that a stream may arrive.
            .target(name: "CodecTesting", path: "Tests/CodecTesting", swiftSettings: swiftSettings),
            // What the clients of Tests/Interop talk to.
            .executableTarget(
                name: "echo-server", dependencies: ["Base", "HTTPCodec", "HTTP", "Runtime"], path: "Tests/EchoServer",
                swiftSettings: swiftSettings),
            .executableTarget(
                name: "dtls-echo-server", dependencies: ["Base", "Runtime"], path: "Tests/DTLSEchoServer",
                swiftSettings: swiftSettings),
            // Shared by tests and benchmarks: a TURN client over blocking sockets.
            .target(
                name: "TURNTesting", dependencies: ["Base", "STUN"], path: "Tests/TURNTesting", swiftSettings: swiftSettings),
            tests("Base"),
            tests("HTTPCodec", ["CodecTesting"]),
            tests("HTTP", ["CAllocationCounter", "Crypto"]),
            tests("WebSocketCodec", ["CodecTesting"]),
            tests("Crypto"),
            tests("Runtime", ["CAllocationCounter"]),
            tests("SQLite"),
            tests("RouterEngine"),
            tests("RouterService"),
            tests("STUN", ["CAllocationCounter"]),
            tests("RelayEngine"),
            tests("RelayService", ["CAllocationCounter", "Client", "TURNTesting"]),
            tests("RTP"),
            tests("MediaEngine"),
            tests("MediaService"),
            tests("JSONCodec"),
            tests("Tokens"),
            tests("Wire"),
            tests("ConfigurationFile", ["Base"]),
            tests("AdminService"),
            tests("Deployment"),
            tests("WorkerProtocol"),
            tests("UplinkService"),
            tests("ConnectionService"),
            tests("MediaWorkerService", ["CAllocationCounter", "media-worker"]),
            tests("Client"),
            tests("edgectl"),
        ]
)
