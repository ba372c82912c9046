import json

from tests.cli.calls import call, error_of


def test_what_a_file_holds(file):
    result = call("inspect", file)
    assert result.exit_code == 0
    for line in ("Signature predict", "Attached files", "built-in kernels", "XNNPACK"):
        assert line in result.stdout
    assert "validation.tsv" in result.stdout
    assert "0.00% of the tokens, in 0.00% of the rows" in result.stdout
    assert str(file.parent.parent) not in result.stdout.replace(str(file), "")
    assert result.stdout.endswith(f"\n{file} is whole.\n")
    more = call("inspect", file, "--tensors").stdout.splitlines()
    assert len(more) > len(result.stdout.splitlines())


def test_as_json(file):
    found = json.loads(call("inspect", file, "--json").stdout)
    assert found["description"]["target"] == "plain"
    assert {"labels.txt", "vocab.txt", "tokenizer.json"} == set(found["files"])
    roles = [tensor["role"] for tensor in found["signatures"]["predict"]]
    assert roles[:2] == ["input", "output"]


def test_a_file_that_was_cut_short(file, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(file.read_bytes()[:-10])
    code, line = error_of(call("inspect", path))
    assert (code, "cut short or changed" in line) == (2, True)


def test_no_such_file(tmp_path):
    assert error_of(call("inspect", tmp_path / "no.tflite"))[0] == 2
