/** Special tokens: the pieces that no text is read as, their roles and templates. */

const [FIRST, SECOND] = ["$A", "$B"];
// Those of vocabularies that were learned here, which are BERT's.
const DEFAULT = {
  pad: "[PAD]",
  unk: "[UNK]",
  begin: "[CLS]",
  end: "[SEP]",
  mask: "[MASK]",
  more: [],
  single: ["[CLS]", FIRST, "[SEP]"],
  pair: ["[CLS]", FIRST, "[SEP]", SECOND, "[SEP]"],
  segments: true,
};

export class SpecialTokens {
  /** @param {?object} settings of the tokenizer's `special`; a file without them has BERT's */
  constructor(settings) {
    const all = { ...DEFAULT, ...settings };
    Object.assign(this, all);
    const roles = [all.pad, all.unk, all.begin, all.end, all.mask];
    this.names = [...new Set([...roles, ...all.more].filter((name) => name !== null))];
    // Where nothing is unknown no token is.
    this.unknown = all.unk ?? all.pad;
  }

  /** Returns the ids before, between and after texts: of one, or of the two of a pair. */
  frame(ids, isPair) {
    const template = isPair ? this.pair : this.single;
    const last = template.indexOf(isPair ? SECOND : FIRST);
    const first = template.indexOf(FIRST);
    const parts = [template.slice(0, first), template.slice(first + 1, last), template.slice(last + 1)];
    return parts.map((part) => part.map((name) => ids.get(name)));
  }
}
