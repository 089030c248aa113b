"""The command line: `python -m benchmarks [SECTION ...] [--quick] [--output FILE]`."""

from benchmarks.main import main

if __name__ == "__main__":
    raise SystemExit(main())
