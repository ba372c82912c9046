"""Fifty texts on which tokenizers differ."""

HARD_TEXTS = (
    "", " ", "  \t\n ", "the", " the  cab ", "THE Cab!", "a\u00a0b\u2003c", "a\u3000b", "a\u200bb",
    "a\u00adb", "a\x85b\x1cc", "a\u2028b\u2029c", "caf\u00e9", "cafe\u0301", "na\u00efve",
    "nai\u0308ve", "\u212bngstr\u00f6m", "\ufb01ne \u2167 \u00bd", "\uff21\uff22\uff23\uff01",
    "\u2460\u2461", "1\u00bd2", "x\u00b2+y\u00b3", "\u1e9b\u0323", "q\u0323\u0307", "\u0130stanbul",
    "stra\u00dfe", "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u0416\u0443\u043a \u0439",
    "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\u6211\u7231ab", "\u3082\u3057\u3082\u3057",
    "\u30ab\u3099 \uff76\uff9e", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e44\u0e17\u0e22",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \ufdfa", "\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd",
    "\U0001f642\U0001f642", "\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "a\ufe0fb",
    "\U000e0001a", "\U0010ffff", "\ufffd", "\u2581a\u2581\u2581b \u2581", "<0x41> <s> </s>",
    "[CLS] [UNK] [PAD]", "a\x1bb\x7fc", "...!!!\u2026", "don't \u2018quote\u2019 \u201cab\u201d",
    "ab" * 400,
)  # fmt: skip
