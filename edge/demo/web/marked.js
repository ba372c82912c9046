/** SentencePiece's normalization: a table of characters, and "▁" for spaces. */

import { Charsmap } from "./charsmap.js";
import { wholeText } from "./text.js";

export const SPACE = "\u2581";

export class Marker {
  /**
   * @param {?Uint8Array} charsmap table of characters, if there is one
   * @param {{prefix_space: boolean, single_spaces: boolean}} settings of the tokenizer
   */
  constructor(charsmap, settings) {
    this.charsmap = charsmap && new Charsmap(charsmap);
    this.hasPrefix = settings.prefix_space;
    this.hasSingleSpaces = settings.single_spaces;
  }

  /** Returns the normalized text with its spaces marked; "" if nothing is left of it. */
  mark(text) {
    let normal = wholeText(text);
    if (this.charsmap) normal = this.charsmap.normalize(normal);
    if (this.hasSingleSpaces) normal = normal.replace(/ +/g, " ").replace(/^ | $/g, "");
    if (!normal) return "";
    const marked = (this.hasPrefix ? SPACE : "") + normal.replaceAll(" ", SPACE);
    return this.hasSingleSpaces ? withoutSpacesBehind(marked) : marked;
  }
}

function withoutSpacesBehind(marked) {
  let end = marked.length;
  while (marked[end - 1] === SPACE) end--;
  return marked.slice(0, end);
}
