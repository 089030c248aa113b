"""Files like MNIST's, with images of noise."""

import gzip
from pathlib import Path

import numpy as np


def write(folder: Path, count: int) -> tuple[np.ndarray, list[int]]:
    """Write so many images and labels, and give them: `(N, 784)` and the labels."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (count, 784), dtype=np.uint8)
    labels = generator.integers(0, 10, count, dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    size, side = count.to_bytes(4, "big"), (28).to_bytes(4, "big")
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(b"\0\0\b\3" + size + side + side + images.tobytes())
    )
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0\0\b\1" + size + labels.tobytes()))
    return images, labels.tolist()
