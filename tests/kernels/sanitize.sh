#!/usr/bin/env bash
# Builds the extension with AddressSanitizer and UndefinedBehaviorSanitizer in a temporary folder (minutes) and runs the
# operators' tests with it. PYTHON is the interpreter (default: the repository's .venv), arguments go to pytest, and
# SANITIZE_DIR names a folder to keep the build in. Memory from malloc starts as 0xff bytes, which are NaN.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
if [[ -n ${SANITIZE_DIR:-} ]]; then  # kept, so that the next run compiles only what changed
  work=$SANITIZE_DIR
  rm -rf "$work/src"
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1"
cmake -S "$root" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DPython_EXECUTABLE="$python" \
  -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_MODULE_LINKER_FLAGS="-fsanitize=address,undefined" > "$work/log" 2>&1 \
  && cmake --build "$work/build" -j "$(nproc)" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }

# The package beside its instrumented extension, in front of the installed one.
mkdir "$work/src"
cp -r "$root/src/longhold" "$work/src/longhold"
rm -f "$work"/src/longhold/kernels/_cpu*.so
cp "$work"/build/_cpu*.so "$work/src/longhold/kernels/"
cat > "$work/src/sitecustomize.py" <<'END'
import sys  # an editable install finds longhold before sys.path is asked

sys.meta_path[:] = [finder for finder in sys.meta_path if "_editable" not in type(finder).__module__]
END

cd "$root"
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so.6)"
export ASAN_OPTIONS=detect_leaks=0:max_malloc_fill_size=1073741824:malloc_fill_byte=255:strict_init_order=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export PYTHONPATH="$work/src" PYTHONDONTWRITEBYTECODE=1
"$python" -P -c "
import longhold, sys
from longhold.kernels.extension import loaded
assert loaded().__file__.startswith('$work'), loaded().__file__
assert 'libasan' in open('/proc/self/maps').read()"
# The sanitizer must see a known overflow: h has room for two steps of three.
cat > "$work/overflow.py" <<'END'
import torch

from longhold.kernels.extension import loaded

x, weight, h, end = (torch.zeros(size, dtype=torch.float64) for size in (12, 16, 8, 4))
order = (x, None, weight, weight, *(None,) * 9, None, None, h, None, end, None)
sizes = [3, 1, 4, 4, 3, 0]  # T, B, I, H, segment, every
loaded().forward_double(0, sizes, False, [0 if t is None else t.data_ptr() for t in order], 1)
END
if "$python" -P "$work/overflow.py" 2> "$work/overflow" || ! grep -q "AddressSanitizer: heap-buffer-overflow" "$work/overflow"; then
  echo "the sanitizer did not see an overflow"; cat "$work/overflow"; exit 1
fi

"$python" -m pytest -p no:cacheprovider tests/kernels/test_operators.py tests/kernels/test_extended.py \
  -k 'not opcheck' --timeout 3000 "$@"
