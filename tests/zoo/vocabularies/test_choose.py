"""The kind of tokenizer that training texts select."""

import pytest

from keras_transformer.zoo.tokenizers.normalizers.scripts import script_shares, unspaced_share
from keras_transformer.zoo.vocabularies.choose import choose_kind


@pytest.mark.parametrize(
    "texts",
    [
        ["อาหารอร่อยมากบริการดี"],
        ["ອາຫານແຊບຫຼາຍ"],
        ["အစားအစာအရသာရှိတယ်"],
        ["អាហារឆ្ងាញ់ណាស់"],
        ["这家餐厅的菜很好吃。"],
        ["この店の料理はとても美味しいです。"],
        ["カタカナ"],
        ["ｶﾀｶﾅ"],
        ["iPhone 15 Pro ดีมากๆ แนะนำเลยครับ"],
    ],
)
def test_scripts_without_spaces(texts):
    assert choose_kind(texts, 8000) == "sentencepiece"
    assert choose_kind(texts, 300) == "characters"
    assert unspaced_share(texts) > 0.2


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", " \n"],
        ["a good film"],
        ["это хороший фильм", "μια καλή ταινία", "סרט טוב", "فيلم جيد", "अच्छी फिल्म", "좋은 영화"],
        ["བོད་ཡིག་གི་སྐད།", "ጥሩ ፊልም"],
        ["The sign said 東京 and nothing else, so we drove on until nightfall."],
    ],
)
def test_scripts_with_spaces(texts):
    assert choose_kind(texts, 8000) == "wordpiece"


def test_shares_of_scripts():
    shares = script_shares(["東京タワー ab", "한글 กขคง"])
    assert shares == {"han": 2 / 13, "kana": 3 / 13, "hangul": 2 / 13, "unspaced": 4 / 13}
