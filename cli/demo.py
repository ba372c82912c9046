"""`keras-transformer demo`: a web page that runs files in the browser."""

import contextlib
from pathlib import Path

import click

from keras_transformer.cli import kinds


@click.command()
@click.argument(
    "files", metavar="FILE.tflite [OTHER.tflite]", nargs=-1, required=True,
    type=kinds.EXISTING_FILE,
)
@click.option(
    "--export", type=click.Path(path_type=Path), metavar="DIR",
    help="Write the page to a new folder, for any web server, instead of serving it.",
)
@click.option(
    "--port", type=kinds.IntegerRange(min=0, max=65535), default=8000, show_default=True,
    help="Port on this machine; 0 for any free one.",
)
@click.option(
    "--litert", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="FOLDER",
    help="Folder in which `npm install @litertjs/core` was run.  [default: fetched once by npm]",
)
def demo(files: tuple[Path, ...], export: Path | None, port: int, litert: Path | None) -> None:
    """Show .tflite files in a web page that runs them in the browser.

    The page runs a file with LiteRT.js and the file's own tokenizer, and shows labels with their
    probabilities, entities or the answer marked in the text, or the generated text, and the
    latency. Models of images read files and the camera, those of sounds files and the microphone.
    Two files of one model, such as float32 and int8, are shown side by side. The page
    loads nothing from other servers, and no input leaves the browser. Ctrl-C stops the server.

    Example: keras-transformer demo float32.tflite int8.tflite

    As a folder: keras-transformer demo my_model.tflite --export site
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.demo import demo as edge_demo
    from keras_transformer.edge.demo.litertjs import find_litertjs
    from keras_transformer.zoo.storage.temporary import temporary_folder

    edge_demo.check_files(files)
    litertjs = find_litertjs(litert, display.note)
    if export is not None:
        edge_demo.write_demo(files, litertjs, export)
        display.say(f"Wrote {export / edge_demo.PAGE}")
        return
    with temporary_folder() as temporary:
        folder = temporary / "demo"
        edge_demo.write_demo(files, litertjs, folder)
        with edge_demo.server(folder, port) as server:
            with contextlib.suppress(KeyboardInterrupt):
                display.say(f"The demo is at http://127.0.0.1:{server.server_port} until Ctrl-C.")
                server.serve_forever()
