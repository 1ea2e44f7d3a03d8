import BenchmarkSupport
import Glibc

/// nginx with a configuration of our own, and nothing of Debian's.
enum Nginx {
    static func start(processor: Int32, directory: String) throws -> RunningContender {
        let ports = try freePorts(2)
        let path = "\(directory)/nginx.conf"
        try write(configuration(directory, plain: ports[0], tls: ports[1]), to: path)
        let process = try ServerProcess(
            ["nginx", "-p", directory, "-c", path], processor: processor, showsErrors: true)
        let deadline = ContinuousClock.now + .seconds(10)
        while !isListening(on: ports[1]) {
            guard ContinuousClock.now < deadline else { throw BenchError("nginx did not start") }
            usleep(10_000)
        }
        return RunningContender(process: process, ports: (ports[0], ports[1]))
    }

    /// No master: the process that we start is the one that serves.
    private static func configuration(_ directory: String, plain: UInt16, tls: UInt16) -> String {
        """
        daemon off;
        master_process off;
        worker_processes 1;
        worker_rlimit_nofile \(descriptorLimit());
        error_log stderr crit;
        pid \(directory)/nginx.pid;
        events {
            use epoll;
            worker_connections \(min(descriptorLimit(), 100_000));
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
            ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
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
