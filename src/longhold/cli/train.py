"""`longhold train`."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, folder, glob pattern, known name, or - for standard input; with --more also a model file."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The model file; default: the source's name.safetensors.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time to train, such as 90s or 10m.")] = None,
    more: Annotated[str | None, typer.Option(help="Go on with the model that is there, for 10m or so.")] = None,
    cell: Annotated[str, typer.Option(help="rnn, gru or lstm.")] = "lstm",
    tokenizer: Annotated[str, typer.Option(help="char, byte, word or bpe.")] = "char",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="standard, or awd: the dropouts, tied and averaged weights of AWD-LSTM; default: by text and budget."
        ),
    ] = None,
    vocab_size: Annotated[int | None, typer.Option(help="Largest vocabulary, for char, word and bpe.")] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Units in a layer.")] = None,
    num_layers: Annotated[int | None, typer.Option(help="Layers.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Dropout rate after each layer.")] = None,
    init: Annotated[str | None, typer.Option(help="uniform, tutorial, forget:1, chrono:512, orthogonal ...")] = None,
    held_out: Annotated[float, typer.Option(help="Share of the text, at its end, never trained on.")] = 0.1,
    encoding: Annotated[str | None, typer.Option(help="Of the text; default: UTF-8, else detected.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed trains the same model.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps ...")] = "cpu",
    config: Annotated[Path | None, typer.Option(help="TOML file with settings as --set takes them.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="One setting of the training or the model, as lr=0.01 or weight_dropout=0.3; may be repeated."
        ),
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write event files.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that longhold did not write, but never over the text.")
    ] = False,
) -> None:
    """Train a model on a text, with no settings if you like. The same command again goes on where a stopped run stood;
    --more goes on with a model that is done."""
    from longhold.cli.output import progress_display, say
    from longhold.cli.settings import model_path, read_settings, require_apart, split_settings
    from longhold.cli.trained import tell
    from longhold.text import train as train_on
    from longhold.training.recipe import TrainedText
    from longhold.training.run import run_folder

    path = model_path(source, output)
    require_apart(path, config)
    chosen = split_settings(read_settings(config, settings or []))
    ended: list[TrainedText] = []
    with progress_display() as display:
        train_on(
            source,
            budget=budget,
            more=more,
            cell=cell,  # type: ignore[arg-type]
            tokenizer=tokenizer,  # type: ignore[arg-type]
            recipe=recipe,  # type: ignore[arg-type]
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            init=init,
            held_out=held_out,
            encoding=encoding,
            seed=seed,
            device=device,
            output=path,
            folder=run_folder(path),
            overwrite=force,
            tensorboard=tensorboard,
            model=chosen.model,
            training=chosen.training,
            on_progress=display,
            on_note=say,
            on_trained=ended.append,
        )
    tell(ended[0], source, path, {"--encoding": encoding, "--held-out": held_out, "--device": device})
