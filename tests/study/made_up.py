"""A comparison whose every number is different, for tests of what shows it."""

from dataclasses import replace

from longhold.study.baselines import Baseline
from longhold.study.comparison import CellRow, Comparison, CurvePoint, Source
from longhold.study.machine import Machine
from longhold.study.recall import RecallConfig, RecallRow

SIZES = {"rnn": (289, 217_999), "gru": (183, 217_549), "lstm": (160, 217_990)}


def recall_rows() -> tuple[RecallRow, ...]:
    rows = [
        RecallRow(run, 6_900 + len(run.arm.cell), 40 + 7 * i, 0.11 + 0.0161 * i, None, 1.0)
        for i, run in enumerate(RecallConfig(steps=1234).runs())
    ]
    rows[5] = replace(rows[5], accuracy=None, failure="the loss became non-finite in step 12")
    return tuple(rows)


def cell_rows() -> tuple[CellRow, ...]:
    return tuple(
        CellRow(
            cell=cell,
            init="uniform",
            hidden_size=hidden,
            parameters=parameters,
            lr=5e-3,
            steps=1480 + i,
            best_step=1401 + i,
            tokens=1_515_520 + i,
            seconds=24.6 + i,
            tokens_per_second=61_234.4 + 1000 * i,
            held_out_bits=2.413 - 0.1 * i,
            train_perplexity=4.12 + i,
            sample=f"thing number {i}\nand more",
            curve=(CurvePoint(740, 12.1 + i, 3.071 + 0.1 * i), CurvePoint(1480 + i, 23.9, 2.517 + 0.1 * i)),
        )
        for i, (cell, (hidden, parameters)) in enumerate(SIZES.items())
    )


def comparison(**changes: object) -> Comparison:
    made = Comparison(
        source=Source("timemachine", ("read as latin-1",), "char", 326, 152_134, 8_947, 17_898),
        machine=Machine("Linux x86_64", "Some Processor 9000", 2, "3.11.7", "2.13.0+cpu", "0.1.0"),
        date="2026-11-23",
        command="longhold compare timemachine --budget 180s",
        budget_seconds=180.0,
        seconds=171.3,
        seed=3,
        recipe="adamw, learning rate 0.005",
        prompt="the machine ",
        temperature=0.8,
        cells=cell_rows(),
        baselines=(
            Baseline("token frequencies", "no context", 4.441, 0.1),
            Baseline("n-gram", "order 6", 2.139, 0.1),
            Baseline("xz after training text", "what xz grows by", 2.635, 0.1),
            Baseline("xz alone", "by itself", 3.476, 0.1),
        ),
        recall=recall_rows(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
