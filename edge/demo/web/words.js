/** Words of a text, with the places where they stand in it, as the model's Python finds them. */

const [LETTER, DIGIT, WHITE, ALONE] = ["a", "0", " ", "!"];
// Over the classes of characters: `U.S`, `3.5` and `1,000` are one word each.
const WORD = /(?:[a0]|(?<=[a0])\.(?=[a0])|(?<=0),(?=0))+|[!.,]/g;

/**
 * Returns the characters of a text, and the ranges of them that are words.
 * @param {string} text
 * @param {UnicodeTable} table
 * @return {{characters: string[], places: number[][], words: string[]}}
 */
export function wordsOf(text, table) {
  const characters = Array.from(text);
  const classes = characters.map((one) => classOf(one, table)).join("");
  const places = Array.from(classes.matchAll(WORD), (match) => [
    match.index,
    match.index + match[0].length,
  ]);
  const words = places.map(([start, end]) => characters.slice(start, end).join(""));
  return { characters, places, words };
}

function classOf(character, table) {
  if (table.isBetweenWords(character)) return WHITE;
  if (character === "." || character === ",") return character;
  if (table.standsAlone(character)) return ALONE;
  return table.isDigit(character) ? DIGIT : LETTER;
}
