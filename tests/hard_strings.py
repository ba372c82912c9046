"""Fifty texts on which tokenizers come apart."""

HARD_STRINGS = [
    "", " ", "\t\n\r", "rain", "RAIN Cloud", "some rain and more wind today", "rain,wind;storm",
    "rain...wind!?", "\u2014 \u00abrain\u00bb \u2026", "naïve café Åse", "nai\u0308ve cafe\u0301",
    "Ünïcödé", "İstanbul ısı", "straße STRASSE", "ﬁne ﬃ", "Ǆ ǅ ǆ", "Σίσυφος ΣΙΣΥΦΟΣ", "ΌΣΟΣ",
    "天気 雨 storm", "雨cloud雨", "한국어 날씨", "ひらがなカタカナ", "ｈａｌｆ ｗｉｄｔｈ ﾊﾝｶｸ",
    "שלום", "שָׁלוֹם", "مَرْحَبًا بالعالم", "हिन्दी में मौसम", "ภาษาไทย", "Việt Nam", "łódź Żubr",
    "cloud☔️rain 👩\u200d🍳", "🌧rain🌧", "½ ² Ⅷ ①", "rain\u200bcloud\u200dwind\u2060storm",
    "\ufeffrain", "rain\u00a0cloud\u2003wind", "\x00\x07rain\x7fcloud", "rain\u0085cloud",
    "rain\u2028cloud", "a" * 300, "rain" * 40, "rain " * 60, "[CLS] [SEP] [PAD] [UNK] [MASK]",
    "##rain ## #", "$5.00 + 3% = <b>&amp;</b>", "e\u0301\u0302\u0303 x\u20dd", "\u0301rain",
    "don't can\u2019t o'clock", "user@example.com/path?q=1&r=2", "rain\u00adcloud \u2116 ™ ©",
]  # fmt: skip
