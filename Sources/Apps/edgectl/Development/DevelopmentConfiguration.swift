/// The configuration files of a development start: only what differs from the defaults.
struct DevelopmentConfiguration {
    static let cluster = "skerry"
    static let region = "local"
    static let central = "central-1"
    static let host = "127.0.0.1"
    /// What the certificate that clients are shown is issued to; it names the host's loopback addresses, too.
    static let publicName = "localhost"

    let folder: DevelopmentFolder
    let ports: DevelopmentPorts
    let usesTLS: Bool

    static func edge(_ index: Int) -> String { "edge-\(index)" }

    func centralText() -> String {
        """
        \(head)
        name: \(Self.central)
        drain_timeout_ms: 5000
        listen:
          address: \(Self.host):\(ports.central)
          allow_plain_http: true
        admin:
          address: \(Self.host):\(ports.centralAdmin)
        \(certificate(of: Self.central))
        \(identity)
        signed_paths:
          - kid: \(DevelopmentKeys.signedPathKeyID)
            secret_file: \(quoted(folder.signedPathKey))
        enrolment:
          authority_key_file: \(quoted(folder.authorityKey))
          database_path: \(quoted(folder.enrolmentDatabase))
        router:
          database_path: \(quoted(folder.routerDatabase))
          root_key_path: \(quoted(folder.rootKey))
          creates_root_key: true

        """
    }

    func edgeText(_ index: Int) -> String {
        let name = Self.edge(index)
        let edge = ports.edges[index]
        return """
            \(head)
            name: \(name)
            region: \(Self.region)
            drain_timeout_ms: 5000
            listen:
              address: \(Self.host):\(edge.http)
              allow_plain_http: \(!usesTLS)
              sibling_address: \(Self.host):\(edge.http)
            admin:
              address: \(Self.host):\(edge.admin)
            control:
              socket_path: \(quoted(folder.socket(of: name)))
            \(certificate(of: name))
            tls:
              certificates:
                - certificate_file: \(quoted(folder.certificate(of: Self.publicName)))
                  private_key_file: \(quoted(folder.privateKey(of: Self.publicName)))
            \(identity)
            uplink:
              central_address: \(Self.host):\(ports.central)
            media:
              data_directory: \(quoted(folder.media(of: name)))
            relay:
              secret_file: \(quoted(folder.relaySecret))
              listen_addresses: ["\(Self.host):\(edge.turn)"]
              tls_listen_addresses: ["\(Self.host):\(edge.turns)"]
              relay_addresses: [\(Self.host)]
              refused_peer_ports: [\(ports.all.map(String.init).joined(separator: ", "))]
              allow_loopback_peers: true
              # For coturn's test client, which binds channels above 0x4FFF.
              allow_rfc5766_channel_numbers: true
              drain_timeout_ms: 1000

            """
    }

    private var head: String { "# Written by 'edgectl dev' at every start; the defaults hold for the rest." }

    private func certificate(of node: String) -> String {
        """
        certificate:
          certificate_file: \(quoted(folder.certificate(of: node)))
          private_key_file: \(quoted(folder.privateKey(of: node)))
          authority_file: \(quoted(folder.authorityCertificate))
        """
    }

    private var identity: String {
        """
        identity:
          keys:
            - kid: \(DevelopmentKeys.signingKeyID)
              algorithm: EdDSA
              file: \(quoted(folder.verificationKey))
        """
    }

    /// A double-quoted scalar of YAML.
    private func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
