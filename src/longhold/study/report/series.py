"""Signs: each architecture has a colour and a shape of its own, so that colour is never the only difference."""

from typing import Final, Literal, TypeAlias

from markupsafe import Markup

Kind: TypeAlias = Literal["solved", "unsolved", "failed", "skipped", "control"]
"""What became of a run, by how its sign is drawn."""

_KNOWN: Final = ("rnn", "gru", "lstm")
_OTHERS = 6

_SHAPES: Final = {
    "rnn": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
    "gru": "M0,-6L5.8,4.4L-5.8,4.4Z",
    "lstm": "M-4.6,-4.6H4.6V4.6H-4.6Z",
    "other0": "M0,-6L6,0L0,6L-6,0Z",
    "other1": "M0,6L5.8,-4.4L-5.8,-4.4Z",
    "other2": "M0,-6L5.7,-1.9L3.5,4.9H-3.5L-5.7,-1.9Z",
    "other3": "M-2,-5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z",
    "other4": "M-5.5,-3H5.5V3H-5.5Z",
    "other5": "M-3,-5.5H3V5.5H-3Z",
    "neutral": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
    "baseline": "M0,-6L6,0L0,6L-6,0Z",
    "failed": "M-4.5,-4.5L4.5,4.5M-4.5,4.5L4.5,-4.5",
    "skipped": "M0,-3.5V3.5",
}


class Series:
    """Which style each architecture of a report has, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._styles: dict[str, str] = {}

    def style(self, cell: str) -> str:
        """The class of an architecture; beyond six others than RNN, GRU and LSTM they repeat, and names tell."""
        if cell in _KNOWN:
            return cell
        return self._styles.setdefault(cell, f"other{len(self._styles) % _OTHERS}")


def path(style: str, kind: Kind = "solved") -> Markup:
    """The sign at the origin."""
    shape = _SHAPES[kind if kind in ("failed", "skipped") else style]
    return Markup('<path class="mark {0} {1}" d="{2}"/>').format(style, kind, shape)


def key(style: str, kind: Kind = "solved") -> Markup:
    """The sign alone, for legends and headings."""
    return Markup('<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">{0}</svg>').format(path(style, kind))
