"""The tutorial's experiment as a table and a paragraph."""

from rich import box
from rich.table import Table

from longhold.tutorial.experiment import EPOCHS, TutorialReport


def render(report: TutorialReport) -> Table:
    """One row per seed, then the median, then what was published."""
    network = f"{report.cell.upper()} of {report.hidden_size} units"
    table = Table(
        title=f"The tutorial's recipe, {network}, {report.epochs} epochs on 10,000 characters",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("run", no_wrap=True)
    for name in ("training ppl", "held-out ppl", "tokens/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in report.runs:
        table.add_row(
            f"seed {run.seed}",
            f"{run.perplexity:.3f}",
            f"{run.held_out_perplexity:.1f}",
            f"{run.tokens_per_second:,.0f}",
        )
    table.add_section()
    table.add_row(
        f"median of {len(report.runs)}",
        f"{report.median:.3f}",
        f"{report.held_out_median:.1f}",
        f"{report.tokens_per_second:,.0f}",
    )
    published = report.published
    table.add_row(
        f"{published.runs} published, {published.hidden_size} units",
        f"{published.median:.1f}  ({published.perplexities[0]:.1f} to {published.perplexities[-1]:.1f})",
        "never measured",
        f"{published.tokens_per_second:,.0f} (GPU)",
    )
    table.add_row(
        "the tutorial itself",
        f"{published.tutorial_perplexity:.1f}",
        "never measured",
        f"{published.tutorial_tokens_per_second:,.0f} (GPU)",
    )
    return table


def explanation(report: TutorialReport) -> str:
    """What the numbers mean, and whether they lie where the published ones do."""
    low, high = report.published.perplexities[0], report.published.perplexities[-1]
    if report.median_in_published_range is None:
        recipe = f"{EPOCHS} epochs and {report.published.hidden_size} units"
        place = f"The published runs have {recipe}, so these are not to be set beside them."
    elif report.median_in_published_range:
        place = f"The median lies among the published runs ({low:.1f} to {high:.1f})."
    else:
        place = f"The median lies OUTSIDE the published runs ({low:.1f} to {high:.1f})."
    return (
        f"{place} Training perplexity is measured on the 10,000 characters that were memorized. On the rest of "
        f"the same book the median is {report.held_out_median:.1f}; an even guess among its 28 characters has 28."
    )
