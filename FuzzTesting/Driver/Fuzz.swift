import FuzzTargets
import Glibc

/// libFuzzer's own entry, for programs that have a `main`.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

private let target = {
    let name = getenv("SKERRY_FUZZ_TARGET").map { String(cString: $0) }
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        let names = FuzzTarget.all.map(\.name).joined(separator: " ")
        print("SKERRY_FUZZ_TARGET has to be one of: \(names)")
        exit(2)
    }
    return target
}()

/// One program for all targets, which the environment chooses among: the arguments belong to libFuzzer, which hands them
/// on to the processes that it starts. A program for each would be linked twenty times, with the sanitizers.
@main enum Fuzz {
    static func main() {
        _ = target
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(
            runFuzzer(&count, &arguments) { bytes, count in
                do throws(BrokenProperty) {
                    try target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
                } catch {
                    fatalError("\(target.name): does not hold: \(error)")
                }
                return 0
            })
    }
}
