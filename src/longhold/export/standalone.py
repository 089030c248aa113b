"""Write text with the recurrent network that lies beside this file.

    python write.py --length 500 --temperature 0.8 --seed 1

It needs torch and safetensors and nothing else. From Python:

    from write import load
    model, tokenizer = load(".")
    logits, state = model(torch.tensor(tokenizer.encode(text))[:, None])      # (T, 1, V)

The weights in model.safetensors have the names of torch.nn.Embedding, torch.nn.RNN, GRU or LSTM, and torch.nn.Linear.
"""

import argparse
import codecs
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

LAYERS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
WORDS = re.compile(rf" ?[^\W{IDEOGRAPHS}]+| ?[{IDEOGRAPHS}]| ?[^\w\s]|\s+(?= \S)|\s+")
BYTE_PAIR_PIECES = re.compile(
    r"'(?:[smtd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", flags=re.ASCII
)


# UTF-8: state, the bytes that may come there, from .. to, and the state after them; 0 lies between two characters.
UTF8 = [
    (0, 0x00, 0x7F, 0),
    (0, 0xC2, 0xDF, 1),
    (0, 0xE0, 0xE0, 4),
    (0, 0xE1, 0xEC, 2),
    (0, 0xED, 0xED, 5),
    (0, 0xEE, 0xEF, 2),
    (0, 0xF0, 0xF0, 6),
    (0, 0xF1, 0xF3, 3),
    (0, 0xF4, 0xF4, 7),
    (1, 0x80, 0xBF, 0),
    (2, 0x80, 0xBF, 1),
    (3, 0x80, 0xBF, 2),
    (4, 0xA0, 0xBF, 1),
    (5, 0x80, 0x9F, 1),
    (6, 0x90, 0xBF, 2),
    (7, 0x80, 0x8F, 2),
]
STATES = 8
AFTER_BYTE = {(state, byte): after for state, a, b, after in UTF8 for byte in range(a, b + 1)}


class LanguageModel(nn.Module):
    """Token ids (T, B) to the logits (T, B, V) of the token after each of them, and the state after the last."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        vocab_size, embedding_size = config["vocab_size"], config["embedding_size"]
        self.vocab_size = vocab_size
        self.embedding = None if embedding_size is None else nn.Embedding(vocab_size, embedding_size)
        width = vocab_size if embedding_size is None else embedding_size
        self.layer = LAYERS[config["cell"]](width, config["hidden_size"], config["num_layers"], **config["options"])
        self.output = nn.Linear(config["output_features"], vocab_size)
        if self.embedding is not None and config["tie_weights"]:
            self.embedding.weight = self.output.weight
        for name, shape in config["initial_state"].items():
            self.register_buffer(name, torch.zeros(shape))  # (L, H), learned

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if self.embedding is None:
            features = nn.functional.one_hot(ids, self.vocab_size).to(self.output.weight.dtype)
        else:
            features = self.embedding(ids)
        features, state = self.layer(features, self.initial_state(ids.shape[1]) if state is None else state)
        return self.output(features), state

    def initial_state(self, batch: int) -> Any:
        """What was learned, for each of `batch` rows; None, which torch.nn reads as zeros, if nothing was."""
        learned = [state[:, None].repeat(1, batch, 1) for _, state in sorted(self.named_buffers(), reverse=True)]
        if not learned:
            return None
        return tuple(learned) if len(learned) == 2 else learned[0]


class Tokenizer:
    """Text to ids and back: pieces of text that have an id, and bytes for what has none."""

    def __init__(self, data: dict[str, Any]) -> None:
        every_byte = [bytes([value]) for value in range(256)]
        self.kind: str = data["kind"]
        self.ranks: dict[tuple[bytes, bytes], int] = {}
        if self.kind == "char":
            self.tokens = [c.encode() for c in data["characters"]] + (every_byte if data["fallback"] else [])
        elif self.kind == "byte":
            self.tokens = every_byte
        elif self.kind == "word":
            self.tokens = every_byte + [word.encode() for word in data["words"]]
        else:
            self._read_byte_pairs(json.loads(data["model"])["model"])
        self.ids = {token: index for index, token in reversed(list(enumerate(self.tokens)))}
        self.first_byte = len(data["characters"]) if self.kind == "char" else 0

    def _read_byte_pairs(self, model: dict[str, Any]) -> None:
        shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        hidden = [value for value in range(256) if value not in shown]
        byte_of = {chr(value): value for value in shown} | {chr(256 + i): value for i, value in enumerate(hidden)}

        def to_bytes(name: str) -> bytes:
            return bytes(byte_of[character] for character in name)

        self.tokens = [to_bytes(name) for name, _ in sorted(model["vocab"].items(), key=lambda entry: entry[1])]
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        self.ranks = {(to_bytes(left), to_bytes(right)): rank for rank, (left, right) in enumerate(pairs)}

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; ValueError for a character that a closed vocabulary does not have."""
        if self.kind == "bpe":
            return [self.ids[token] for piece in byte_pair_pieces(text) for token in self._merged(piece.encode())]
        pieces = WORDS.findall(text) if self.kind == "word" else text
        return [token for piece in pieces for token in self._of_piece(piece)]

    def _of_piece(self, piece: str) -> list[int]:
        raw = piece.encode()
        single = None if self.kind == "byte" else self.ids.get(raw)
        if single is not None:
            return [single]
        if self.first_byte + 256 > len(self.tokens):
            raise ValueError(f"not in the vocabulary: {piece!r}")
        return [self.first_byte + value for value in raw]

    def _merged(self, raw: bytes) -> list[bytes]:
        parts = [bytes([value]) for value in raw]
        while len(parts) > 1:
            rank, at = min((self.ranks.get((parts[i], parts[i + 1]), sys.maxsize), i) for i in range(len(parts) - 1))
            if rank == sys.maxsize:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts

    def continuations(self) -> list[list[int]]:
        """For each state of UTF-8 the state after each id; -1 where the id may not come there.

        It may if its bytes are valid there and some ids after it can complete the character that it leaves open.
        """
        table = [[_after(state, token) for token in self.tokens] for state in range(STATES)]
        alive = {0}
        for _ in range(STATES):
            alive |= {state for state, row in enumerate(table) if not alive.isdisjoint(row)}
        return [[after if after in alive else -1 for after in row] for row in table]

    def start(self) -> int:
        """What a text begins after: the newline, else the space, else id 0."""
        for text in ("\n", " "):
            if self.kind != "char" or text.encode() in self.tokens[: self.first_byte]:
                return self.encode(text)[-1]
        return 0


def _after(state: int, token: bytes) -> int:
    for byte in token:
        state = AFTER_BYTE.get((state, byte), -1)
    return state


def byte_pair_pieces(text: str) -> Iterator[str]:
    """`text` cut as byte-level byte pairs cut it: words, numbers, punctuation, each with the space before it."""
    alike = "".join(map(_ascii_of_its_kind, text))
    return (text[match.start() : match.end()] for match in BYTE_PAIR_PIECES.finditer(alike))


def _ascii_of_its_kind(character: str) -> str:
    if character < "\x80":
        return character
    kind = unicodedata.category(character)[0]
    return {"L": "a", "N": "0"}.get(kind, "\t" if character.isspace() else ".")


def load(folder: str | Path) -> tuple[LanguageModel, Tokenizer]:
    """The model, in evaluation mode, and its tokenizer."""
    place = Path(folder)
    model = LanguageModel(json.loads((place / "config.json").read_text(encoding="utf-8")))
    weights = load_file(place / "model.safetensors")
    if model.embedding is not None and "embedding.weight" not in weights:
        weights["embedding.weight"] = weights["output.weight"]
    model.load_state_dict(weights)
    return model.eval(), Tokenizer(json.loads((place / "tokenizer.json").read_text(encoding="utf-8")))


@torch.inference_mode()
def write(
    model: LanguageModel, tokenizer: Tokenizer, prime: str, length: int, temperature: float, seed: int | None
) -> Iterator[str]:
    """The continuation of `prime`, in pieces of whole characters; of the tokens only those that keep it UTF-8."""
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    prime = prime.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")  # as the model's training read it
    ids, state = torch.tensor(tokenizer.encode(prime) or [tokenizer.start()])[:, None], None
    following, place = torch.tensor(tokenizer.continuations()), 0
    for _ in range(length):
        logits, state = model(ids, state)
        allowed = logits[-1, 0].masked_fill(following[place] < 0, -torch.inf)
        if temperature == 0:
            token = int(allowed.argmax())
        else:
            odds = torch.softmax(allowed.double() / temperature, -1)
            token = int(torch.multinomial(odds, 1, generator=generator))
        yield decoder.decode(tokenizer.tokens[token])
        ids, place = torch.tensor([[token]]), int(following[place, token])


def shown(text: str) -> str:
    """`text` with control characters escaped where a terminal would obey them."""
    if not sys.stdout.isatty():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write text with the recurrent network beside this file.")
    parser.add_argument("--prime", default="", help="text to begin with")
    parser.add_argument("--length", type=int, default=500, help="tokens to write")
    parser.add_argument("--temperature", type=float, default=0.8, help="lower: more predictable, higher: more varied")
    parser.add_argument("--seed", type=int, help="the same seed writes the same text")
    options = parser.parse_args()
    if options.length < 0 or not 0 <= options.temperature < float("inf"):
        parser.error("--length and --temperature must be 0 or more")
    model, tokenizer = load(Path(__file__).parent)
    try:
        pieces = write(model, tokenizer, options.prime, options.length, options.temperature, options.seed)
        print(shown(options.prime), end="", flush=True)
        for piece in pieces:
            print(shown(piece), end="", flush=True)
    except ValueError as error:
        parser.error(str(error))
    print()


if __name__ == "__main__":
    main()
