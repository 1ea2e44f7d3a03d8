"""Proves the floors: what each module declares (swift package describe) and what its files import.

A module uses modules of lower floors, or of its own floor that stand before it in Package.swift. Engines and Runtime stand
side by side and never use each other. The compiler checks imports of our own modules; it does not check those of C libraries
and of the platform, and it does not know floors.
"""

import json
import pathlib
import re
import subprocess
import sys

HEIGHTS = {"System": 0, "Base": 1, "Codecs": 2, "Engines": 3, "Runtime": 3, "Services": 4, "Apps": 5}
# Values in, values out: no I/O, no clock, no C library.
PURE_FLOORS = {"Base", "Codecs", "Engines"}
# libcrypto only computes.
C_IN_PURE_FLOORS = {"Crypto": {"COpenSSL", "CShims"}}
STANDARD_LIBRARY = {"Swift", "Synchronization"}
PLATFORM = {"Glibc"}
# Every object of a C library has its owner in one of these modules.
C_OWNERS = {
    "COpenSSL": {"Crypto", "Runtime", "CShims"},
    "CShims": {"Crypto", "Runtime", "MediaWorkerService", "media-worker"},
    "CSQLite": {"SQLite"},
    "CNGHTTP2": {"HTTP"},
    "CYAML": {"ConfigurationFile"},
    "CFFmpeg": {"media-worker"},
    "CWebP": {"media-worker"},
    "CSeccomp": {"media-worker"},
    "COpus": {"edgectl"},
}
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)"
)


def imports(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = IMPORT.match(line)
        if match:
            yield number, match.group(1)


def may_use(user, used, floor_of, position):
    mine, theirs = floor_of[user], floor_of[used]
    if {mine, theirs} == {"Engines", "Runtime"}:
        return False
    if HEIGHTS[theirs] != HEIGHTS[mine]:
        return HEIGHTS[theirs] < HEIGHTS[mine]
    return mine == "System" or position[used] < position[user]


def main():
    description = json.loads(
        subprocess.run(["swift", "package", "describe", "--type", "json"], check=True, stdout=subprocess.PIPE).stdout
    )
    manifest = pathlib.Path("Package.swift").read_text(encoding="utf-8")
    order = re.findall(r'Module(?:\.app)?\(\s*"([^"]+)"', manifest)
    position = {name: index for index, name in enumerate(order)}
    targets = {target["name"]: target for target in description["targets"]}
    floor_of = {}
    problems = []
    for name, target in targets.items():
        parts = pathlib.PurePath(target["path"]).parts
        if parts[0] != "Sources":
            continue
        if len(parts) != 3 or parts[1] not in HEIGHTS or parts[2] != name:
            problems.append(f"{target['path']}: a module lies in Sources/<floor>/<module>")
            continue
        floor_of[name] = parts[1]

    for name, target in targets.items():
        declared = set(target.get("target_dependencies", []))
        is_test = name not in floor_of
        if not is_test:
            problems += check_declared(name, declared, floor_of, position)
        used = set()
        for path in sorted(pathlib.Path(target["path"]).rglob("*.swift")):
            for number, module in imports(path):
                used.add(module)
                message = judge_import(name, module, declared, is_test, floor_of)
                if message:
                    problems.append(f"{path}:{number}: {message}")
        if not is_test and floor_of[name] != "System":
            for module in sorted(declared - used):
                problems.append(f"Package.swift: {name} declares {module} and never imports it")

    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def check_declared(name, declared, floor_of, position):
    problems = []
    for used in sorted(declared):
        if used not in floor_of:
            problems.append(f"Package.swift: {name} depends on {used}, which is no module of a floor")
        elif not may_use(name, used, floor_of, position):
            problems.append(
                f"Package.swift: {name} ({floor_of[name]}) must not use {used} ({floor_of[used]}): "
                "only lower floors, or a neighbour to its left"
            )
        elif used in C_OWNERS and name not in C_OWNERS[used]:
            problems.append(f"Package.swift: {used} belongs to {', '.join(sorted(C_OWNERS[used]))}, not to {name}")
    return problems


def judge_import(name, module, declared, is_test, floor_of):
    if module in STANDARD_LIBRARY or module in declared:
        floor = floor_of.get(name)
        if module in C_OWNERS and floor in PURE_FLOORS and module not in C_IN_PURE_FLOORS.get(name, set()):
            return f"{floor} imports no C library ({module})"
        return None
    if module in PLATFORM:
        if is_test or floor_of[name] not in PURE_FLOORS:
            return None
        return f"{floor_of[name]} does no I/O and imports no {module}"
    if is_test and module == "Testing":
        return None
    if module in floor_of:
        return f"imports {module}, which Package.swift does not declare for {name}"
    return f"imports {module}, which nothing here may"


main()
