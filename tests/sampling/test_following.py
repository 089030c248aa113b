"""The places of a batch under a rule, against the tokenizer's own decoder."""

import numpy as np
import torch

from longhold.data.tokenizers import BPETokenizer, ByteTokenizer
from longhold.sampling.following import Following


def test_rows_stand_where_their_prompts_end() -> None:
    rule = ByteTokenizer().continuations
    assert rule is not None
    ends = ["中".encode(), "é中".encode()[:-1] + b"", b"abc\xf0", b"\xff\x80\xe4"]
    prompts = torch.tensor([list((b"....." + end)[-6:]) for end in ends]).T
    allowed = Following(rule, prompts).allowed()
    pieces = ["中".encode(), b"\xe4\xb8", b"\xf0", b"\xe4"]
    for row, piece in zip(allowed.tolist(), pieces, strict=True):
        expected = []
        for value in range(256):
            tails = [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\x90\x80\x80", b"\xa0\x80", b"\x90\x80"]
            expected.append(any(is_text(piece + bytes([value]) + tail) for tail in tails))
        assert row == expected


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_rows_go_on_on_their_own() -> None:
    tokenizer = BPETokenizer.train("我能吞下玻璃而不伤身体 né 😀 " * 30, 330)
    rule, generator = tokenizer.continuations, np.random.default_rng(2)
    assert rule is not None
    following = Following(rule, torch.zeros(1, 4, dtype=torch.int64))
    rows: list[list[int]] = [[], [], [], []]
    for _ in range(500):
        drawn = [int(generator.choice(np.flatnonzero(row))) for row in following.allowed().numpy()]
        following.take(torch.tensor(drawn))
        for row, token in zip(rows, drawn, strict=True):
            row.append(token)
    for row in rows:
        text = b"".join(map(tokenizer.token_bytes, row)).decode("utf-8", errors="ignore")
        stream = tokenizer.stream()
        assert text == "".join(map(stream.push, row))
        assert "\ufffd" not in text
