/**
 * The parts of a text that byte-level BPE merges one by one.
 *
 * As in Python, every character is replaced by an ASCII one of its class, which Python's table
 * names, and an expression over ASCII finds the parts at the same places.
 */

const OTHER = "!";
const [LETTER, MARK] = ["a", "\x02"];
// The one character outside ASCII that equals a contraction's letter but for case.
const LONG_S = "\u017f";
const GPT2 = /'(?:[stmd]|re|ve|ll)| ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+/g;
const LLAMA3 =
  /'(?:[stmdSTMD]|[rRvV][eE]|[lL][lL])|[^\r\na-zA-Z0-9]?[a-zA-Z]+|[0-9]{1,3}| ?[^\sa-zA-Z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/g;
const QWEN2 = new RegExp(LLAMA3.source.replace("{1,3}", ""), "g");
const TEKKEN =
  /[^\r\na-zA-Z0-9\x01]?[A-Z\x01\x02]*[a-z\x01\x02]+|[^\r\na-zA-Z0-9\x01]?[A-Z\x01\x02]+[a-z\x01\x02]*|[0-9]| ?[^\sa-zA-Z0-9\x01]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+/g;
const DIGITS = /[0-9]|[^0-9]+/g;
// The expressions that split a text one after the other, and which classes they tell apart.
const SPLITTERS = {
  gpt2: { patterns: [GPT2] },
  llama3: { patterns: [LLAMA3], folds: true },
  qwen2: { patterns: [QWEN2], folds: true },
  smollm2: { patterns: [DIGITS, GPT2] },
  tekken: { patterns: [TEKKEN], hasCase: true },
};

/**
 * Returns the function that splits a text.
 * @param {string} name of the splitter
 * @param {UnicodeTable} table
 * @return {function(string): string[]}
 */
export function splitter(name, table) {
  if (!Object.hasOwn(SPLITTERS, name)) throw new Error(`This page knows no splitter ${name}.`);
  const { patterns, folds = false, hasCase = false } = SPLITTERS[name];
  const known = new Map();
  const classOf = (character) => {
    let found = known.get(character);
    if (found === undefined) {
      found = characterClass(character, table, folds, hasCase);
      known.set(character, found);
    }
    return found;
  };
  const parts = (text, pattern) => {
    const characters = Array.from(text);
    const found = characters.map(classOf).join("").matchAll(pattern);
    return Array.from(found, ({ index, 0: { length } }) =>
      characters.slice(index, index + length).join(""),
    );
  };
  return (text) =>
    patterns.reduce((runs, pattern) => runs.flatMap((run) => parts(run, pattern)), [text]);
}

function characterClass(character, table, folds, hasCase) {
  if (character === "\x01" || character === "\x02") return OTHER;
  if (character.codePointAt(0) < 128) return character;
  if (folds && character === LONG_S) return "S";
  const found = table.classOf(character);
  if (hasCase) return found;
  if (found === MARK) return OTHER;
  return "aA\x01".includes(found) ? LETTER : found;
}
