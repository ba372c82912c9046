"""Published models that cannot be ours, and what their other files say."""

import json
import re
import shutil

import numpy as np
import pytest
import safetensors.numpy

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.families.published import PublishedConfig
from keras_transformer.zoo.pretrained.checkpoints import published_checkpoint
from keras_transformer.zoo.pretrained.load import load_pretrained
from tests.zoo.pretrained.tiny import REFERENCES, WORDPIECE


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(REFERENCES / "bert", tmp_path / "bert")
    return tmp_path / "bert"


def change(path, **changes):
    values = json.loads(path.read_text())
    values = {name: value for name, value in {**values, **changes}.items() if value != "none"}
    path.write_text(json.dumps(values))


def refused(*parts):
    return pytest.raises(InputError, match=".*".join(map(re.escape, map(str, parts))))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "mamba"}, "to be one of albert, bart, bert, camembert, distilbert"),
        ({"model_type": "none"}, "got None."),
        ({"architectures": 3}, "Expected architectures of {} to be a list of names, got 3."),
        ({"architectures": [[]]}, "Expected architectures of {} to be a list of names, got [[]]."),
        ({"hidden_act": "mish"}, "Expected hidden_act of {} to be one of gelu, gelu_new"),
        ({"is_decoder": True}, "to be False, got is_decoder=True."),
        ({"position_embedding_type": "relative_key"}, "to be 'absolute', got position_emb"),
        ({"hidden_size": "none"}, "Expected {} to have hidden_size, got none."),
        ({"hidden_size": 16.0}, "to be a positive integer, got hidden_size=16.0."),
        ({"hidden_size": 15}, "{} is of no model of ours: Expected num_heads to divide"),
        ({"hidden_dropout_prob": 1}, "to be a number from 0 to below 1, got hidden_dropout_prob=1"),
        ({"windows": 7}, "Expected {} to have keys whose meaning is known, got 'windows': 7; rem"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "with auto_map in config.json: code of a"),
        ({"vocab_size": 65}, "to have the 65 rows that the config says, got shape (64, 16)."),
        ({"num_hidden_layers": 3}, "to be of a model with at most the"),
        ({"num_hidden_layers": 1}, "Expected tensors that the model has in .*got encoder.layer.1"),
        ({"intermediate_size": 20}, "to make a weight of shape (16, 20) as the config says, got"),
        ({"intermediate_size": 10**6}, "to be of a model with at most the"),
    ],
)
def test_configs_that_are_of_another_model(folder, changes, sentence):
    path = folder / "config.json"
    change(path, **changes)
    with refused(*sentence.replace("{}", str(path)).split(".*")):
        load_pretrained(folder).build()


def test_values_of_a_config():
    config = PublishedConfig({"a": True, "b": 0, "c": "x", "d": None, "e": False, "f": 3}, "file")
    assert (config.flag("a", False), config.flag("none", True)) == (True, True)
    assert config.number("f", 1.0) == 3.0 and config.get("d", 5) == 5
    assert config.choice("c", "y", {"x": 7}) == 7
    for call, sentence in (
        (lambda: config.flag("b", True), "Expected b of file to be true or false, got b=0."),
        (lambda: config.number("b", 1.0), "Expected b of file to be a positive number, got b=0."),
        (lambda: config.expect("a", 1, 2), "Expected a of file to be 1 or 2, got a=True."),
    ):
        with refused(sentence):
            call()
    config.check_read()  # what is false, or null, changes nothing


def test_a_tokenizer_of_another_size_than_the_table(folder):
    (folder / "vocab.txt").write_text("\n".join([*WORDPIECE, "one", "two"]) + "\n")
    with refused("Expected a tokenizer of at most the 64 rows in", "got one of 66 tokens."):
        load_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDPIECE[:60]) + "\n")
    assert load_pretrained(folder).config.vocab_size == 60


def test_damaged_json(folder):
    (folder / "config.json").write_text("{")
    with refused(f"Expected {folder / 'config.json'} to hold JSON, got an error"):
        load_pretrained(folder)
    (folder / "config.json").write_text("[]")
    with refused(f"Expected {folder / 'config.json'} to hold an object, got list."):
        load_pretrained(folder)


def sentence_modules(folder, *kinds, pooling=None, **more):
    places = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": i, "path": places.get(kind, kind), "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    flags = {f"pooling_mode_{name}": name in (pooling or ()) for name in
             ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}  # fmt: skip
    (folder / "1_Pooling/config.json").write_text(json.dumps({**flags, **more}))


def test_sentence_modules(folder):
    for modes, pooling in (
        (("cls_token",), "first"), (("mean_tokens",), "mean"), (("max_tokens",), "max"),
    ):  # fmt: skip
        sentence_modules(folder, "Transformer", "Pooling", pooling=modes)
        found = load_pretrained(folder)
        assert (found.config.pooling, found.config.pooler, found.normalize) == (
            pooling, "none", False
        )  # fmt: skip
        # The pooler in the file is not a part of the model.
        assert "pooler/kernel" not in found.weights(found.build())
    sentence_modules(folder, "Transformer", "Pooling", "Normalize", pooling_mode="mean")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    found = load_pretrained(folder)
    assert (found.normalize, found.max_length, found.config.max_length) == (True, 8, 12)
    # The folder's tokenizer lowercases, until it does not.
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    load_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    with refused("Expected a tokenizer that lowercases in", "has do_lower_case=True"):
        load_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 0}')
    with refused("Expected max_seq_length in", "to be positive, got 0."):
        load_pretrained(folder)


def test_sentence_modules_that_we_lack(folder):
    for modes in (("mean_sqrt_len_tokens",), ("cls_token", "mean_tokens"), ()):
        sentence_modules(folder, "Transformer", "Pooling", pooling=modes)
        with refused("to be one of cls, mean, max, got"):
            load_pretrained(folder)
    sentence_modules(folder, "Transformer", "Pooling", pooling=("mean_tokens",))
    path = folder / "modules.json"
    path.write_text(path.read_text().replace("sentence_transformers.", "my_code.", 1))
    with refused("Expected modules of sentence_transformers in", "'my_code.models.Transformer'"):
        load_pretrained(folder)
    sentence_modules(folder, "Transformer", "Pooling", "Dense", pooling=("mean_tokens",))
    with refused("Expected the modules Transformer, Pooling and perhaps Normalize", "Dense."):
        load_pretrained(folder)
    sentence_modules(folder, "Transformer", "Pooling", pooling=("mean_tokens",))
    (folder / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')
    with refused("without a default prompt in", "got default_prompt_name='query'."):
        load_pretrained(folder)
    for text, sentence in (
        ("{", "to hold JSON"), ("{}", "to hold a list of modules"),
        ('[{"path": "../x"}]', "Expected modules inside the folder in"),
    ):  # fmt: skip
        (folder / "modules.json").write_text(text)
        with refused(sentence):
            load_pretrained(folder)


def test_without_a_pooler_the_mean_is_taken(folder):
    path = folder / "model.safetensors"
    arrays = safetensors.numpy.load_file(path)
    for name in ("pooler.dense.weight", "pooler.dense.bias"):
        del arrays[name]
    safetensors.numpy.save_file(arrays, path)
    found = load_pretrained(folder)
    assert found.config.pooling == "mean"
    assert found.parameters == sum(array.size for array in arrays.values())


def test_a_config_of_another_form(tmp_path):
    shutil.copytree(REFERENCES / "llama3", tmp_path / "llama3")
    change(tmp_path / "llama3" / "config.json", rope_parameters=3)
    with refused("Expected a config as `transformers` writes it in ", ": 'int' object is not a"):
        load_pretrained(tmp_path / "llama3")


def test_the_licence_of_the_readme(folder):
    assert load_pretrained(folder).licence == ""
    for text, licence in (
        ("---\nlanguage: en\nlicense: mit\n---\n# Model", "mit"),
        ("# Model\nlicense: mit\n", ""),
        ("---\nlanguage: en\n---\nlicense: mit\n", ""),
    ):
        (folder / "README.md").write_text(text)
        assert load_pretrained(folder).licence == licence


def test_weights_are_one_array_at_a_time(folder):
    found = load_pretrained(folder)
    model = found.build()
    weights = found.weights(model)
    assert set(weights) == {weight.path for weight in model.weights}
    for weight in model.weights:
        np.testing.assert_array_equal(weights[weight.path], weight.numpy())
    named = load_pretrained(folder / "model.safetensors")
    assert named.provenance["sha256"] == found.provenance["sha256"]


def test_the_table_of_the_vocabulary_is_not_copied_where_it_is_read(folder):
    model = load_pretrained(folder).build()
    [table] = [one for one in model.weights if one.path == "token_embedding/embeddings"]
    read = [np.asarray(memoryview(table.value.read_value())) for _ in range(2)]
    assert np.shares_memory(*read)


def test_a_family_that_is_only_trained_is_not_used_as_it_is():
    with pytest.raises(InputError, match="bart, which reads sources between .* train it with"):
        published_checkpoint(REFERENCES / "bart")
