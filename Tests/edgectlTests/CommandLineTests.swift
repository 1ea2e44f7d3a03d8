import Testing

@testable import edgectl

struct CommandLineTests {
    private static let size = Parameter<Int>.option("--size", .count(in: 1...10), "how large", default: 3, shownAs: "3")
    private static let name = Parameter<String>.required("--name", .text("NAME"), "what it is called")
    private static let loud = Parameter<Bool>.flag("--loud", "say more")
    private static let tags = Parameter<String>.repeated("--tag", .text("TAG"), "a tag")
    private static let life = Parameter<Duration>.optional("--life", .duration, "how long")
    private static let file = Parameter<String>.positional("FILE", .path, "what to read")

    private static let tree = Command.group(
        "tool", "A tool.",
        [
            Command(
                name: "make", summary: "Make a thing.",
                parameters: [
                    size.declaration, name.declaration, loud.declaration, tags.declaration, life.declaration,
                    file.declaration,
                ],
                run: { _, _ in }),
            .group("group", "A group.", [Command(name: "leaf", summary: "A leaf.", run: { _, _ in })]),
        ])

    private func parse(_ line: String) throws -> Invocation {
        guard
            case .run(_, let invocation) = try CommandParser(root: Self.tree).parse(
                line.split(separator: " ").map(String.init))
        else { throw UsageError(message: "help", path: []) }
        return invocation
    }

    private func refusal(_ line: String) -> String? {
        do {
            _ = try parse(line)
            return nil
        } catch {
            return (error as? UsageError)?.message
        }
    }

    @Test func valuesAreReadAsTheirTypes() throws {
        let invocation = try parse("make --size 7 --name=x=y a.txt --loud --tag one --tag two --life 5m")
        #expect(invocation[Self.size] == 7)
        #expect(invocation[Self.name] == "x=y")
        #expect(invocation[Self.loud])
        #expect(invocation[Self.tags] == ["one", "two"])
        #expect(invocation[Self.life] == .seconds(300))
        #expect(invocation[Self.file] == "a.txt")
        #expect(invocation.path == ["tool", "make"])
    }

    @Test func defaultsStandForWhatIsNotSaid() throws {
        let invocation = try parse("make --name x a")
        #expect(invocation[Self.size] == 3)
        #expect(!invocation[Self.loud])
        #expect(invocation[Self.tags] == [])
        #expect(invocation[Self.life] == nil)
    }

    @Test func twoDashesEndTheOptions() throws {
        let invocation = try parse("make --name x -- --odd")
        #expect(invocation[Self.file] == "--odd")
    }

    @Test(arguments: [
        ("mke", "unknown command 'mke'; did you mean 'make'?"),
        ("zebra", "unknown command 'zebra'"),
        ("make --nam x a", "unknown option '--nam'; did you mean '--name'?"),
        ("make --name", "--name needs a value: NAME"),
        ("make a", "--name is missing"),
        ("make --name x", "FILE is missing"),
        ("make --name x a b", "unexpected argument 'b'"),
        ("make --name x --name y a", "--name is given twice"),
        ("make --name x --loud=1 a", "--loud takes no value"),
        ("make --name x --size 11 a", "--size '11' is not a whole number from 1 to 10"),
        ("group leav", "unknown command 'leav'; did you mean 'leaf'?"),
    ])
    func mistakesAreExplained(line: String, message: String) {
        #expect(refusal(line) == message)
    }

    @Test(
        arguments: [
            ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), ("30d", 2_592_000_000), ("7", 7000),
        ] as [(String, Int64)])
    func durations(text: String, milliseconds: Int64) {
        #expect(ValueForm<Duration>.duration.parse(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "s", "-5s", "5x", "1.5s", "99999999999999999999d", "9223372036854775807d"])
    func textsThatAreNoDurations(text: String) {
        #expect(ValueForm<Duration>.duration.parse(text) == nil)
    }

    @Test func helpNamesEveryDeclaration() throws {
        let outcome = try CommandParser(root: Self.tree).parse(["make", "--help"])
        guard case .help(let command, let path) = outcome else {
            Issue.record("no help")
            return
        }
        let text = HelpText(command: command, path: path).render()
        for word in [
            "usage: tool make --name NAME [options] FILE", "--size N", "(default 3)", "--loud", "--tag TAG",
            "--life DURATION",
        ] {
            #expect(text.contains(word))
        }
    }

    @Test func everyCommandHasHelpAndNoNameTwice() {
        func check(_ command: Command, _ path: [String]) {
            #expect(!command.summary.isEmpty && command.summary.hasSuffix("."), "\(path)")
            #expect(command.subcommands.isEmpty != (command.run == nil), "\(path)")
            for names in [command.subcommands.map(\.name), command.parameters.map(\.name)] {
                #expect(Set(names).count == names.count, "\(path)")
            }
            for next in command.subcommands { check(next, path + [next.name]) }
        }
        check(edgeControl, [edgeControl.name])
    }
}
