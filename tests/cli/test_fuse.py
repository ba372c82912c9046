"""`fuse` on the tiny model and one that decides as it does."""

import json

from tests.cli.calls import call, error_of
from tests.cli.weights import changed


def test_fuse_writes_a_checkpoint_that_is_evaluated(tmp_path, checkpoint, data):
    def double(weights):
        for name in ("kernel", "bias"):
            weights[f"head/{name}"][:] *= 2.0

    out, other = tmp_path / "fused", changed(checkpoint, tmp_path / "other", double)
    arguments = ("fuse", checkpoint, other, "--by", "vote", "--out", out)
    result = call(*arguments, "--data", data.validation)
    assert result.exit_code == 0, result.output
    heads, _, *rows = (line.split() for line in result.stdout.splitlines()[:5])
    assert heads == ["Model", "Weight", "accuracy"]
    assert [row[0] for row in rows] == [str(checkpoint), str(other), str(out)]
    assert [row[1] for row in rows] == ["0.5000", "0.5000", "-"]
    assert result.stdout.endswith(f"Wrote {out}\n")
    alone, both = (
        json.loads(call("evaluate", one, "--data", data.validation, "--json").stdout)["accuracy"]
        for one in (checkpoint, out)
    )
    assert alone == both
    code, message = error_of(call(*arguments))
    assert code == 2 and str(out) in message


def test_one_checkpoint_is_refused(tmp_path, checkpoint):
    code, message = error_of(call("fuse", checkpoint, "--out", tmp_path / "fused"))
    assert (code, message) == (2, "Error: Expected at least two checkpoints to fuse, got 1.")
