#!/bin/sh
# Runs the engine as compiled for 64-bit ARM (NEON), under qemu-user, and compares every number with this machine's.
# Needs Debian's g++-aarch64-linux-gnu and qemu-user:  sh tests/kernels/neon.sh
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources="-Isrc/longhold/kernels/cpu tests/kernels/walk.cpp src/longhold/kernels/cpu/memory.cpp"
flags="-std=c++20 -O2 -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -Wno-psabi -static"
g++ $flags $sources -o "$work/here"
aarch64-linux-gnu-g++ $flags $sources -o "$work/there"
"$work/here" > "$work/here.txt"
qemu-aarch64 "$work/there" > "$work/there.txt"
python3 - "$work/here.txt" "$work/there.txt" <<'PYTHON'
import sys

here, there = ([line.split() for line in open(name)] for name in sys.argv[1:])
assert [name for name, _ in here] == [name for name, _ in there]
numbers = [(float(a), float(b)) for (_, a), (_, b) in zip(here, there)]
half = len(numbers) // 2
for kind, part, allowed in (("float", numbers[:half], 1e-5), ("double", numbers[half:], 1e-13)):
    worst = max(abs(a - b) / max(1.0, abs(a)) for a, b in part)
    print(f"{kind}: {len(part)} numbers, largest difference {worst:.2g}, allowed {allowed:.2g}")
    assert worst <= allowed and any(a for a, _ in part)
PYTHON
aarch64-linux-gnu-objdump -d "$work/there" | grep -qE 'fmla[[:space:]]+v[0-9]+\.4s' && echo "NEON: fmla over four floats"
