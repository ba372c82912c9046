"""A model of images and texts, from training to labels that are texts and image search."""

import json

import pytest

from tests.cli.calls import call, error_of
from tests.matching import CAPTIONS, OPTIONS, write_pictures


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The folder of a checkpoint and of its file, with pictures and labels."""
    folder = tmp_path_factory.mktemp("clip")
    table, validation = write_pictures(folder, 240), write_pictures(folder, 40, 1)
    write_pictures(folder / "test", 12, 2)
    (folder / "labels.txt").write_text("\n".join(CAPTIONS), encoding="utf-8")
    settings = [
        word for name, value in OPTIONS["settings"].items() for word in ("--set", f"{name}={value}")
    ]
    result = call(
        "train", OPTIONS["model"], "--task", "contrastive", "--train", table, "--validation",
        validation, "--image", "picture", "--text", "caption", "--vector-dim", "16",
        "--learning-rate", "0.01", "--batch-tokens", "512", "--epochs", "6", *settings,
        "--out", folder / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    result = call("convert", folder / "model", "--out", folder / "model.tflite")
    assert result.exit_code == 0, result.output
    return folder


def pictured(path):
    """The caption in a picture's name."""
    return path.stem.split("_", 2)[2].replace("_", " ")


@pytest.mark.parametrize("name", ["model", "model.tflite"])
def test_labels_of_images(clip, name):
    paths = sorted((clip / "test" / "pictures").iterdir())
    result = call("run", clip / name, *paths, "--labels", clip / "labels.txt", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["predictions"]
    right = [one["label"] == pictured(path) for one, path in zip(found, paths, strict=True)]
    assert sum(right) >= 11 and found[0]["image"] == str(paths[0])
    assert set(found[0]["scores"]) == set(CAPTIONS)


def test_search_in_both_directions(clip):
    pictures = clip / "test" / "pictures"
    result = call("run", clip / "model.tflite", CAPTIONS[3], "--nearest", pictures, "--json")
    assert result.exit_code == 0, result.output
    [found] = json.loads(result.stdout)["predictions"]
    assert found["text"] == CAPTIONS[3] and len(found["nearest"]) == 5
    path = next(one for one in sorted(pictures.iterdir()) if pictured(one) == CAPTIONS[3])
    assert pictured(type(path)(found["nearest"][0]["file"])) == CAPTIONS[3]
    result = call("run", clip / "model.tflite", "--image", path, "--nearest", clip / "labels.txt",
                  "--matches", "1")  # fmt: skip
    assert result.stdout.splitlines()[-1].split()[1:] == ["4", *CAPTIONS[3].split()]
    shown = call("run", clip / "model.tflite", path).stdout
    assert shown.splitlines()[0].split() == ["Image", "Width", "Vector"]


def test_evaluation(clip):
    data = clip / "test" / "rows_2.tsv"
    result = call("evaluate", clip / "model.tflite", "--data", data, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["task"], found["rows"]) == ("contrastive", 12)
    assert found["text_to_image_recall_at_1"] > 0.7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a text", "--labels", __file__], "Expected --labels for image files, got 'a text'."),
        (["a text", "a.png"], "Expected arguments of one kind, got 'a text', which is text, and "
         "'a.png', which is image."),
        (["a text", "--image", "a.png"], "Expected rows of one kind, as arguments or by --image or "
         "--text, got 'a text' and --image."),
        (["a text", "--audio", "a.wav"], "Expected rows of one kind, as arguments or by --image or "
         "--text, got 'a text' and --audio."),
        ([" ", "--nearest", "FOLDER/labels.txt"], "Expected a text in each row, got ' ' in place "
         "1."),
        (["FOLDER/test"], "Expected a text, or a file that ends in .jpg, .jpeg, .png, .webp, got "
         "the folder 'FOLDER/test'; --nearest ranks the files of a folder, and --text reads its "
         "name as a text."),
        (["FOLDER/labels.txt"], "Expected a text, or a file that ends in .jpg, .jpeg, .png, .webp, "
         "got the file 'FOLDER/labels.txt', and --text reads its name as a text."),
        (["a text", "--stream"], "Expected a model that classifies sounds to read a stream, got "
         "one of contrastive that reads rows of image and text."),
        (["a text", "--nearest", "FOLDER/model"], "Expected files that end in .jpg, .jpeg, .png, "
         ".webp in FOLDER/model, got none."),
    ],
)  # fmt: skip
def test_what_does_not_fit(clip, arguments, sentence):
    arguments = [one.replace("FOLDER", str(clip)) for one in arguments]
    result = call("run", clip / "model.tflite", *arguments)
    assert error_of(result) == (2, f"Error: {sentence.replace('FOLDER', str(clip))}")


def test_an_image_that_is_missing(clip):
    code, line = error_of(call("run", clip / "model.tflite", "missing.png"))
    assert code == 2 and "missing.png" in line


def test_labels_are_of_images(file):
    result = call("run", file, "a", "--labels", __file__)
    assert error_of(result) == (2, "Error: Expected --labels only for a model of rows of two kinds "
                                "that match, got one of classification.")  # fmt: skip
