# Sourced by Scripts/test for --asan and --tsan, which stand in $sanitizer. Sets how to build (sanitize), the environment of what
# is built (sanitized), where it lies (scratch), and how to show what a sanitizer reported (show_reports).
# shellcheck shell=bash

scratch=.build/$sanitizer
reports=$root/$scratch/reports
rm -rf "$reports"
mkdir -p "$reports"

# Swift's own report of a crash would wait for a debugger; the sanitizer's is as good.
sanitized=(SWIFT_BACKTRACE=enable=no)
case $sanitizer in
    asan)
        sanitize=(--sanitize=address --scratch-path "$scratch")
        # LeakSanitizer looks for pointers as they are; Swift keeps those of weak references and of some enumerations shifted or
        # marked, and whatever hangs on them would count as leaked.
        sanitized+=("ASAN_OPTIONS=log_path=$reports/report:detect_leaks=0")
        ;;
    tsan)
        sanitize=(--sanitize=thread --scratch-path "$scratch")
        clang -shared -fPIC -O1 -o "$scratch/libtsan_swift.so" Scripts/lib/tsan_swift.c
        sanitized+=(
            "LD_PRELOAD=$root/$scratch/libtsan_swift.so"
            "TSAN_OPTIONS=log_path=$reports/report:second_deadlock_stack=1"
        )
        ;;
esac

# Of every process, whatever became of it.
show_reports() {
    local report
    for report in "$reports"/*; do
        [[ -f $report ]] || continue
        say "--- $report"
        head -n 60 "$report"
    done
    [[ -z $(ls -A "$reports") ]]
}
