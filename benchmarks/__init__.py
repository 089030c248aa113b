"""What longhold's speed and memory are held to, and the programs that measure it.

    python -m benchmarks                       every section, about half an hour; goes on where it was interrupted
    python -m benchmarks grid --quick          one section, in a small form that stores nothing
    python -m benchmarks tables                Markdown tables from the stored figures
    python -m benchmarks plots                 docs/benchmarks/*.svg from the stored figures

A section is a module with `SECTION`: rows that are measured one after another, a line for each and a summary that is
computed from the rows alone. `results/NAME.json` holds the rows of every section for one machine.
"""
