"""`longhold ui`."""

from pathlib import Path
from typing import Annotated

import typer


def ui(
    models: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[MODEL]...", help="Model files to look into, or to compare; none: train one there."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes one that is free.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen at; one that is not loopback needs --expose.")
    ] = "127.0.0.1",
    expose: Annotated[bool, typer.Option("--expose", help="Let other machines in; nothing is encrypted.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    folder: Annotated[
        Path | None, typer.Option(help="Keep models trained in the page here; default: until the server ends.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps ...")] = "cpu",
) -> None:
    """Look inside models in the browser: surprise, odds, gates and units over any text; train one there on a text of
    your own. Works offline."""
    from longhold.cli.output import say
    from longhold.errors import InputError
    from longhold.text import load

    try:
        from longhold.web.serve import ServeConfig, serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise InputError(f'the page needs {error.name}: pip install "longhold[web]"') from None
    config = ServeConfig(host=host, port=port, expose=expose, browser=browser, folder=folder, device=device)
    serve([(path.stem, load(path, device=device)) for path in models or []], config, say)
