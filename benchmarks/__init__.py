"""What longhold's speed and memory are held to, and the programs that measure it.

    python -m benchmarks                       every section, about half an hour; continues where it was interrupted
    python -m benchmarks grid --quick          one section, in a small form that stores nothing
    python -m benchmarks tables                Markdown tables from the stored figures
    python -m benchmarks plots                 docs/benchmarks/*.svg from the stored figures
    python -m benchmarks quality --help        text quality in a given time, beside torch.nn on a known recipe
    python -m benchmarks compression           compression by a model, beside xz, zstd and bzip2; about ten minutes
    python -m benchmarks page                  an exported page in Chromium, beside Python
    python -m benchmarks recording             the first five minutes, for docs/five-minutes.md

How it is timed: everything that is compared runs in one process, in turn, round after round (`timing`), and medians are
compared. A short call is repeated within a sample. Inputs and the gradients from behind are random and made beforehand;
gradients are set to None inside the call. Forward runs without a graph. torch.nn has the same weights, and a case whose
outputs differ is an error. Where users of torch must do something in each call (make one-hot vectors, pack, gather the
last state, clip), it is done inside.

A section is a module with `SECTION`: rows that are measured one after another, a line for each and a summary that is
computed from the rows alone. `results/NAME.json` holds the rows of every section for one machine.
"""
