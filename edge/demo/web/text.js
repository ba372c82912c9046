/**
 * Folds and splits text exactly as the model's Python does.
 *
 * Browsers differ in the version of Unicode that they know, and none has case folding. So what
 * depends on it comes in a table that Python wrote; only decompositions, which never change once a
 * character has one, are the browser's.
 */

const REPLACEMENT = "\ufffd";
const OTHER_CLASS = "!";
// What Python's `str.split` takes for white space.
const WHITE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

/** What Python knows of characters: `unicode.json`. */
export class UnicodeTable {
  constructor(known) {
    const { casefold, lowercase, marks, accents, spaces, alone, unassigned } = known;
    this.casefold = new Map(Object.entries(casefold));
    this.lowercase = new Map(Object.entries(lowercase));
    this.isMark = within(marks);
    this.isEuropeanAccent = within(accents);
    this.isSpace = within(spaces);
    this.standsAlone = within(alone);
    this.isUnassigned = within(unassigned);
    this.isBetweenWords = within(known.between);
    this.isDigit = within(known.digits);
    this.isErased = within(known.erased);
    this.isBlank = within(known.blank);
    this.isIsolated = within(known.isolated);
    this.classes = Object.entries(known.classes).map(([name, bounds]) => [name, within(bounds)]);
  }

  /** Returns the class of a character outside ASCII, of those that splitters tell apart. */
  classOf(character) {
    return this.classes.find(([, holds]) => holds(character))?.[0] ?? OTHER_CLASS;
  }

  /** Returns a normal form of a text; characters without a meaning yet stay as they are. */
  normalize(text, form = "NFKC") {
    let result = "";
    let run = "";
    for (const character of text) {
      if (this.isUnassigned(character)) {
        result += run.normalize(form) + character;
        run = "";
      } else {
        run += character;
      }
    }
    return result + run.normalize(form);
  }
}

/** Folds case and removes accents, character by character, as its settings ask. */
export class Folding {
  /**
   * @param {UnicodeTable} table
   * @param {{lowercase: boolean, strip_accents: boolean, accents: string}} settings of the
   *   tokenizer; a file without `accents` means all of them
   */
  constructor(table, { lowercase, strip_accents: stripAccents, accents }) {
    this.table = table;
    this.lowercase = lowercase;
    this.stripAccents = stripAccents;
    this.isAccent = accents === "european" ? table.isEuropeanAccent : table.isMark;
    this.folded = new Map();
    this.spaced = new Map();
  }

  /** Returns the text folded; it always has a UTF-8 form. */
  fold(text) {
    return translate(text, this.folded, (character) => this.#fold(character));
  }

  /** Returns the words, as BERT's basic tokenizer splits them. */
  words(text) {
    const spaced = translate(text, this.spaced, (character) =>
      Array.from(this.#fold(character), (folded) => this.#space(folded)).join(""),
    );
    return split(spaced);
  }

  #fold(character) {
    const code = character.codePointAt(0);
    // Half of a surrogate pair has no UTF-8 form.
    if (code >= 0xd800 && code <= 0xdfff) return REPLACEMENT;
    const cased = this.lowercase ? (this.table.casefold.get(character) ?? character) : character;
    if (!this.stripAccents) return cased;
    const decomposed = this.table.isUnassigned(character) ? cased : cased.normalize("NFD");
    return Array.from(decomposed)
      .filter((one) => !this.isAccent(one))
      .join("");
  }

  #space(character) {
    if (this.table.isSpace(character)) return " ";
    return this.table.standsAlone(character) ? ` ${character} ` : character;
  }
}

/** Returns a text with U+FFFD for each half of a surrogate pair, which has no UTF-8 form. */
export function wholeText(text) {
  return text.replace(/[\ud800-\udfff]/gu, REPLACEMENT);
}

/** Returns a text with each character changed; what is known of one is kept in a map. */
export function translate(text, known, change) {
  let result = "";
  for (const character of text) {
    let changed = known.get(character);
    if (changed === undefined) {
      changed = change(character);
      known.set(character, changed);
    }
    result += changed;
  }
  return result;
}

/** Returns the parts between white space, as Python's `str.split` does. */
export function split(text) {
  return text.split(WHITE).filter((part) => part);
}

/** Returns what says whether a character is within [first, past its last, first, ...]. */
function within(bounds) {
  return (character) => {
    const code = character.codePointAt(0);
    let [low, high] = [0, bounds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle] <= code) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  };
}
