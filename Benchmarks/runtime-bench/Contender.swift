import Base
import BenchmarkSupport
import Glibc

/// The servers that are compared.
enum Contender: String, CaseIterable {
    case skerry
    case nginx

    /// What the figures are about.
    var title: String {
        get throws {
            switch self {
            case .skerry: "Skerry: EdgeListener and HTTPServer, one event loop (`runtime-bench --serve`)"
            case .nginx:
                """
                \(try Self.nginxVersion()): one worker without a master, sendfile on, open_file_cache off, access_log off; \
                TLS 1.3 with session tickets, OpenSSL of the same version
                """
            }
        }
    }

    /// Starts the server on one processor, and waits until it listens.
    ///
    /// - Parameter directory: holds `www`, `certificate.pem` and `key.pem`.
    func start(processor: Int32, directory: String) throws -> RunningContender {
        switch self {
        case .skerry:
            let process = try ServerProcess(
                [ServerProcess.ownPath, "--serve", directory], processor: processor, showsErrors: true)
            guard let port = process.firstLine().flatMap({ UInt16($0) }) else {
                throw BenchError("the server did not start")
            }
            return RunningContender(process: process, plainPort: port, tlsPort: port)
        case .nginx:
            let ports = try freePorts(2)
            let configuration = "\(directory)/nginx.conf"
            try write(Self.nginxConfiguration(directory, plain: ports[0], tls: ports[1]), to: configuration)
            let process = try ServerProcess(
                ["nginx", "-p", directory, "-c", configuration], processor: processor, showsErrors: true)
            let running = RunningContender(process: process, plainPort: ports[0], tlsPort: ports[1])
            let deadline = ContinuousClock.now + .seconds(10)
            while !isListening(on: ports[1]) {
                guard ContinuousClock.now < deadline else { throw BenchError("nginx did not start") }
                usleep(10_000)
            }
            return running
        }
    }

    private static func nginxVersion() throws -> String {
        // It writes its version to standard error.
        let (output, _) = try ServerProcess(["sh", "-c", "nginx -v 2>&1"], processor: nil).finish()
        guard let version = output.split(separator: " ").last(where: { $0.hasPrefix("nginx/") }) else {
            throw BenchError("nginx is not installed (Scripts/deps installs it)")
        }
        return String(version.prefix { $0 != "\n" })
    }

    /// Nothing of Debian's configuration, and no master: the process that we start is the one that serves.
    private static func nginxConfiguration(_ directory: String, plain: UInt16, tls: UInt16) -> String {
        """
        daemon off;
        master_process off;
        worker_processes 1;
        worker_rlimit_nofile \(descriptorLimit());
        error_log stderr crit;
        pid \(directory)/nginx.pid;
        events {
            use epoll;
            worker_connections \(descriptorLimit());
        }
        http {
            access_log off;
            sendfile on;
            open_file_cache off;
            keepalive_requests 1000000000;
            keepalive_timeout 3600s;
            client_header_timeout 3600s;
            default_type application/octet-stream;
            client_body_temp_path \(directory)/body;
            proxy_temp_path \(directory)/proxy;
            fastcgi_temp_path \(directory)/fastcgi;
            uwsgi_temp_path \(directory)/uwsgi;
            scgi_temp_path \(directory)/scgi;
            ssl_certificate \(directory)/certificate.pem;
            ssl_certificate_key \(directory)/key.pem;
            ssl_protocols TLSv1.3;
            ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
            ssl_session_tickets on;
            server {
                listen 127.0.0.1:\(plain) backlog=4096;
                listen 127.0.0.1:\(tls) ssl http2 backlog=4096;
                root \(directory)/www;
            }
        }
        """
    }
}

/// A server that is ready for the load.
struct RunningContender {
    let process: ServerProcess
    let plainPort: UInt16
    let tlsPort: UInt16

    func url(_ path: String, isTLS: Bool) -> String {
        isTLS ? "https://127.0.0.1:\(tlsPort)\(path)" : "http://127.0.0.1:\(plainPort)\(path)"
    }
}
