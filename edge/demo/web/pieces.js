/** What cuts text into ids and puts it together again: word pieces, bytes, characters. */

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

/** Returns the ids of the pieces of bytes, by byte. */
export function byteIdsOf(ids) {
  return Array.from({ length: 256 }, (_, byte) => {
    const name = byte.toString(16).toUpperCase().padStart(2, "0");
    return ids.get(`<0x${name}>`);
  });
}

/** Returns the bytes that each piece adds to a text. */
export function pieceBytes(pieces, byteIds) {
  const found = pieces.map((piece) => Array.from(UTF8.encode(piece)));
  for (const [byte, id] of (byteIds ?? []).entries()) found[id] = [byte];
  return found;
}

/** Returns the expression that splits a text around pieces, the longest first, keeping them. */
export function splitAround(pieces) {
  if (!pieces.length) return null;
  const longestFirst = pieces.toSorted((one, other) => other.length - one.length);
  const escaped = longestFirst.map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`(${escaped.join("|")})`);
}

/** Returns the function that ranks two neighbouring pieces by the merges, given as ids. */
export function pieceRank(ids, merges) {
  const ranks = new Map(merges.map(([left, right], rank) => [left * ids.size + right, rank]));
  return (left, right) => ranks.get(ids.get(left) * ids.size + ids.get(right));
}

/** Pieces of words, matched greedily, longest first (BERT). */
export class WordPieces {
  /**
   * @param {Vocabulary} vocabulary
   * @param {Folding|BertFolding} folding
   * @param {object} settings of the tokenizer
   */
  constructor({ pieces }, folding, settings) {
    this.size = pieces.length;
    this.names = pieces;
    this.ids = idsOf(pieces);
    this.folding = folding;
    this.unknown = [this.ids.get(settings.special.unknown)];
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

  name(id) {
    return this.names[id];
  }

  /** Whether a piece goes on with a word. */
  continues(id) {
    const piece = this.names[id];
    return piece.startsWith(CONTINUATION) && piece.length > CONTINUATION.length;
  }

  #match(word) {
    const characters = Array.from(word);
    if (characters.length > this.mostCharacters) return this.unknown;
    if (UTF8.encode(word).length > this.mostBytes) return this.unknown;
    const found = [];
    for (let start = 0; start < characters.length; ) {
      const prefix = start ? CONTINUATION : "";
      let end = Math.min(characters.length, start + this.longest);
      let id;
      for (; end > start; end--) {
        id = this.ids.get(prefix + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return this.unknown;
      found.push(id);
      start = end;
    }
    return found;
  }
}

/** The 256 bytes of UTF-8, after the special tokens. */
export class Bytes {
  constructor(folding, { special }) {
    this.special = special.names;
    this.first = this.special.length;
    this.size = this.first + 256;
    this.ids = idsOf(this.special);
    this.folding = folding;
  }

  encode(text) {
    return Array.from(UTF8.encode(this.folding.fold(text)), (byte) => this.first + byte);
  }

  decode(ids) {
    return decodeBytes(ids.map((id) => id - this.first));
  }

  name(id) {
    return this.special[id] ?? (id - this.first).toString(16).padStart(2, "0");
  }
}

/** Every character is a piece; one that is not in the list is unknown. */
export class Characters {
  constructor({ pieces }, folding, { special }) {
    this.size = pieces.length;
    this.names = pieces;
    this.ids = idsOf(pieces);
    this.folding = folding;
    this.unknown = this.ids.get(special.unknown);
  }

  encode(text) {
    const characters = Array.from(this.folding.fold(text));
    return characters.map((character) => this.ids.get(character) ?? this.unknown);
  }

  decode(ids) {
    return ids.map((id) => this.names[id]).join("");
  }

  name(id) {
    return this.names[id];
  }
}
