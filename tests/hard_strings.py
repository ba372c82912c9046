"""Texts that tokenizers of different hosts are likely to read differently."""

HARD = [
    # Nothing, and kinds of nothing.
    "",
    " \t\r\n\u00a0\u2003\u3000\u2028\u2029",
    "\x1c\x1d\x1e\x1f\x85 file\x1cgroup\x1dunit\x85next\x0bline\x0c",
    "\ufeffbyte order\ufeff mark\u180e and\u200b zero\u2060 width\u00ad",
    "\x00null\x00 bell\x07 escape\x1b[0m delete\x7f control\x9f",
    # Accents, composed and not.
    "naïve café Åse élève crème brûlée",
    "nai\u0308ve cafe\u0301 A\u030ase bru\u0302le\u0301e",
    "\u0301 \u0301\u0302 a\u0323\u0307 a\u0307\u0323 \u1e69 s\u0323\u0307",
    "Việt Nam Đặng Ơ ơ Ư ữ",
    "Z̶̛͓a̴͝l̷̈́g̵̛o̶͒ t̸e̷x̵t̶",
    # Case.
    "Straße STRASSE ẞ weiß",
    "İstanbul ısı IĞDIR i̇",
    "Σίσυφος ΣΊΣΥΦΟΣ ς σ ΐ ΰ",
    "ǅ ǆ Ǆ ŉ ǰ ẖ ᾳ ᾼ ﬓ",
    "Ꭰꭰ Ꮿ Ᏸ ᏸ Ა ა",
    "ЙОД ёлка Ёж и\u0306",
    # Compatibility forms.
    "ﬁne ﬀ ﬃ ﬆ Ĳ ﷺ ㎏ ℡ №",
    "ＦＵＬＬ ｗｉｄｔｈ ｶﾞｷﾞ ﾊﾟ １２３，．！",
    "½ ² ³ Ⅷ ⅷ ① ⑳ ㋿ Å Ω K µ",
    "𝐛𝐨𝐥𝐝 𝒮𝒸𝓇𝒾𝓅𝓉 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝟘𝟙𝟚 Ⓐⓑ",
    # Scripts.
    "我爱自然语言处理。我爱ML自然语言𠀀𫠝豈 々〆〇",
    "カタカナ ひらがな が か\u3099 パ ハ\u309a 東京タワー",
    "한국어 처리 \u1112\u1161\u11ab \u1100\u1161 ㅎㅏㄴ 〮각",
    "हिन्दी भाषा क़ क\u093c ड़ ড় ਸ਼",
    "ไทย ภาษา น้ำ ลาว ຳ ខ្មែរ မြန်မာ",
    "العربية مُحَمَّد لا ﻻ ـــ آ ٱ",
    "עברית שָׁלוֹם שּׁ יִ ־ ״",
    "ข้าว ข่าว ขาว パン バン ハン ﾊﾟﾝ की के को कि ב בּ ܡܠܟܐ \u0f40\u0f72 ದ ದೆ",
    "தமிழ் కొ ಕೊ കൊ සිංහල ქართული አማርኛ",
    "བོད་ཡིག ༄༅ ཱི ᠮᠣᠩᠭᠣᠯ ߒߞߏ 𞤀𞤣𞤤𞤢𞤥",
    "ελληνικά άέή ἄνθρωπος ᾧ ῼ",
    # Symbols.
    "👩‍👧 🙂🙂 🏳️‍🌈 👍🏽 ❤️ 5️⃣ 🇩🇪 ☔️",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "«¿—…» „“ ‚‘ ‹› ‐‑‒–― ‽ ⁂ ※ 、。「」 ۔ ؟ ।",
    "= ≠ =\u0338 x\u20d7 m² m2 ，,？? 「。」\u3000ﾊ\u00a0! a\u202f; a  b ",
    "€ £ ¥ © ® ™ ° ± × ÷ ← ↑ ∑ √ ∞ ≠ ≤",
    "don't e-mail me@example.org #tag $5.00 50% a/b (c) [d] {e}",
    "https://example.org/path?q=1&r=%20#top C:\\dir\\file.txt",
    "[CLS] [SEP] [PAD] [UNK] [MASK] [cls] <s> </s> <0x41> ##er ## ### ▁ ▁a▁▁b",
    # What has no meaning, or got one after some of the hosts were made.
    "\ufffd \U000e0001tag\U000e007f \uffff \U0010ffff \u0378 \ue000 \U000f0000",
    "\ud800 half \udfff pair \udc00\ud800",
    "\u0870 \u1c89 \U0001e5ee \U00010d6a \U0001fae8 \U00016d67 \u2427 \ua7cb",
    "\U0001fa70 \u0898\u08a0 \U00011f02a\U00011f34 \U00016121\U0001611e\U0001611f",
    "a\u0897b \u1acf \U00011f5a c\u1ac0\u0301",
    # Length.
    "a" * 3000,
    "Donaudampfschifffahrtsgesellschaftskapitän" * 40,
    "the newest tower, " * 300,
    "low" * 33 + "e",
    "low" * 33 + "er",
    "я" * 51,
    "я" * 100 + " " + "я" * 101 + " b " + "ภาษา" * 26 + " c",
    "🙂" * 26 + " " + "é" * 50,
    "1234567890 3.14159 1,000,000 1e-5 0x1F 12:30 2024-02-29 +49 30 1234",
    "The quick brown fox jumps over the lazy dog.",
    "  leading and   inner  and trailing  ",
    "tab\tseparated\tvalues\nand\r\nlines\rof text\n",
]
# Half of a surrogate pair is no UTF-8, which tensors and other programs want.
UTF8 = [text.encode(errors="replace").decode() for text in HARD]
