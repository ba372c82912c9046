/** Byte-pair encoding: symbols of a word are merged in the order of a table. */

/**
 * Merges neighbouring symbols, the least rank first and of equal ranks the leftmost, until none
 * has a rank.
 * @param {string[]} symbols of a word
 * @param {function(string, string): (number|undefined)} rank of two neighbours
 * @return {string[]} the merged symbols
 */
export function merge(symbols, rank) {
  const parts = [...symbols];
  const following = parts.map((_, place) => (place + 1 < parts.length ? place + 1 : -1));
  const preceding = parts.map((_, place) => place - 1);
  const waiting = new Heap();
  const offer = (left) => {
    const right = following[left];
    if (right < 0) return;
    const value = rank(parts[left], parts[right]);
    if (value !== undefined) waiting.push({ value, left, joined: parts[left] + parts[right] });
  };
  for (let place = 0; place + 1 < parts.length; place++) offer(place);
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const { value, left, joined } = one;
    const right = following[left];
    // A symbol that was merged since is empty, or another pair is there.
    if (!parts[left] || right < 0 || parts[left] + parts[right] !== joined) continue;
    if (rank(parts[left], parts[right]) !== value) continue;
    parts[left] = joined;
    parts[right] = "";
    following[left] = following[right];
    if (following[right] >= 0) preceding[following[right]] = left;
    if (preceding[left] >= 0) offer(preceding[left]);
    offer(left);
  }
  return parts.filter((part) => part);
}

/** What waits to be merged, the first to merge on top. */
class Heap {
  #items = [];

  push(item) {
    const items = this.#items;
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!isBefore(item, items[above])) break;
      items[place] = items[above];
      place = above;
    }
    items[place] = item;
  }

  /** Returns the first item, which is removed; undefined where none is left. */
  pop() {
    const items = this.#items;
    const top = items[0];
    const item = items.pop();
    if (!items.length) return top;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && isBefore(items[below + 1], items[below])) below++;
      if (!isBefore(items[below], item)) break;
      items[place] = items[below];
      place = below;
    }
    items[place] = item;
    return top;
  }
}

function isBefore(one, other) {
  return one.value < other.value || (one.value === other.value && one.left < other.left);
}
