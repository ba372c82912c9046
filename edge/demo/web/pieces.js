/** What cuts text into ids and puts it together again, but for the unigram model. */

export const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const UNKNOWN = "[UNK]";
const CONTINUATION = "##";
const UTF8 = new TextEncoder();

/** Returns the text of UTF-8 bytes; those that are none become U+FFFD. */
export function decodeBytes(bytes) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/** Returns each piece's id. */
export function idsOf(pieces) {
  return new Map(pieces.map((piece, id) => [piece, id]));
}

/** Pieces of words, matched greedily, longest first (BERT). */
export class WordPieces {
  constructor(pieces, folding, settings) {
    this.names = pieces;
    this.ids = idsOf(pieces);
    this.folding = folding;
    // A file has one of the two; once there was none in characters.
    this.mostCharacters = settings.max_characters_per_word ?? Infinity;
    this.mostBytes = settings.max_bytes_per_word ?? Infinity;
    this.longest = pieces.reduce((most, piece) => Math.max(most, Array.from(piece).length), 1);
  }

  encode(text) {
    return this.folding.words(text).flatMap((word) => this.#match(word));
  }

  decode(ids) {
    const words = [];
    for (const id of ids) {
      const piece = this.names[id];
      if (!this.continues(id)) words.push(piece);
      else words.push((words.pop() ?? "") + piece.slice(CONTINUATION.length));
    }
    return words
      .join(" ")
      .replace(/ (?=[.,!?;:)\]}%])/g, "")
      .replace(/(?<=[([{]) /g, "")
      .replace(/ ?([-'/]) ?/g, "$1");
  }

  /** Whether a piece holds a line break. */
  breaksLine(id) {
    return /[\n\r\x85]/.test(this.names[id]);
  }

  /** Whether a piece goes on with a word. */
  continues(id) {
    const piece = this.names[id];
    return piece.startsWith(CONTINUATION) && piece.length > CONTINUATION.length;
  }

  #match(word) {
    const unknown = [this.ids.get(UNKNOWN)];
    const characters = Array.from(word);
    if (characters.length > this.mostCharacters) return unknown;
    if (UTF8.encode(word).length > this.mostBytes) return unknown;
    const found = [];
    for (let start = 0; start < characters.length; ) {
      const prefix = start ? CONTINUATION : "";
      let end = Math.min(characters.length, start + this.longest);
      let id;
      for (; end > start; end--) {
        id = this.ids.get(prefix + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown;
      found.push(id);
      start = end;
    }
    return found;
  }
}

/** The 256 bytes of UTF-8, after the special tokens. */
export class Bytes {
  constructor(folding) {
    const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
    this.names = [...SPECIAL_TOKENS, ...bytes];
    this.ids = idsOf(SPECIAL_TOKENS);
    this.folding = folding;
  }

  encode(text) {
    return Array.from(UTF8.encode(this.folding.fold(text)), (byte) => SPECIAL_TOKENS.length + byte);
  }

  decode(ids) {
    return decodeBytes(ids.map((id) => id - SPECIAL_TOKENS.length));
  }
}

/** Every character is a piece; one that is not in the list is unknown. */
export class Characters {
  constructor(pieces, folding) {
    this.names = pieces;
    this.ids = idsOf(pieces);
    this.folding = folding;
  }

  encode(text) {
    const unknown = this.ids.get(UNKNOWN);
    return Array.from(this.folding.fold(text), (character) => this.ids.get(character) ?? unknown);
  }

  decode(ids) {
    return ids.map((id) => this.names[id]).join("");
  }
}
