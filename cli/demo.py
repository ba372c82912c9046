"""`keras-transformer demo`: a page that runs files in the browser."""

import contextlib
from pathlib import Path

import click

from keras_transformer.cli import options


@click.command()
@click.argument(
    "files", metavar="FILE.tflite [OTHER.tflite]", nargs=-1, required=True,
    type=options.EXISTING_FILE,
)
@click.option(
    "--export", type=click.Path(path_type=Path), metavar="DIR",
    help="Write the page into a new folder, for any web server, and serve nothing.",
)
@click.option(
    "--port", type=click.IntRange(min=0, max=65535), default=8000, show_default=True,
    help="Where to serve on this machine; 0 for any free port.",
)
@click.option(
    "--litert", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="FOLDER",
    help="A folder in which `npm install @litertjs/core` was run.  [default: npm fetches it, once]",
)
def demo(files: tuple[Path, ...], export: Path | None, port: int, litert: Path | None) -> None:
    """Show .tflite files in a web page that runs them in the browser.

    The page runs a file with LiteRT.js and reads text with the file's own tokenizer: labels with
    their probabilities, or the text that is written, and the time it takes. Two files of one model,
    such as float32 and int8, stand side by side. Nothing is loaded from elsewhere, and nothing that
    is typed leaves the browser. Ctrl-C ends it.

    Example: keras-transformer demo float32.tflite int8.tflite

    As a folder: keras-transformer demo my_model.tflite --export site
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.demo import demo as edge_demo
    from keras_transformer.edge.demo.litertjs import find_litertjs
    from keras_transformer.zoo.temporary import temporary_folder

    edge_demo.check_files(files)
    litertjs = find_litertjs(litert, display.note)
    if export is not None:
        edge_demo.write_demo(files, litertjs, export)
        click.echo(f"Wrote {export / edge_demo.PAGE}")
        return
    with temporary_folder() as temporary:
        folder = temporary / "demo"
        edge_demo.write_demo(files, litertjs, folder)
        with edge_demo.server(folder, port) as server:
            with contextlib.suppress(KeyboardInterrupt):
                click.echo(f"The demo is at http://127.0.0.1:{server.server_port} until Ctrl-C.")
                server.serve_forever()
