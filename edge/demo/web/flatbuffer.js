/** Reads tables of a flatbuffer that nobody vouches for: every offset and size is checked first. */

/** A flatbuffer that is not what it should be; the message ends a sentence, without its stop. */
export class Damaged extends Error {}

const SCALARS = {
  bool: [1, (view, place) => view.getUint8(place) !== 0],
  int8: [1, (view, place) => view.getInt8(place)],
  uint8: [1, (view, place) => view.getUint8(place)],
  int32: [4, (view, place) => view.getInt32(place, true)],
  uint32: [4, (view, place) => view.getUint32(place, true)],
  float32: [4, (view, place) => view.getFloat32(place, true)],
  int64: [8, (view, place) => Number(view.getBigInt64(place, true))],
  uint64: [8, (view, place) => Number(view.getBigUint64(place, true))],
};

/** A table, whose fields are read by their number in the schema. */
export class Table {
  #view;
  #fields;
  #count;
  #size;

  /**
   * @param {DataView} view of the flatbuffer
   * @param {number} place of the table
   */
  constructor(view, place) {
    const end = view.byteLength;
    if (!(place >= 0 && place <= end - 4)) {
      throw new Damaged(`a table at ${place} lies outside its ${end} bytes`);
    }
    const fields = place - view.getInt32(place, true);
    if (!(fields >= 0 && fields <= end - 4)) {
      throw new Damaged(`the fields of a table at ${place} lie outside its ${end} bytes`);
    }
    const [span, size] = [view.getUint16(fields, true), view.getUint16(fields + 2, true)];
    if (span < 4 || span % 2 || fields + span > end || size < 4 || place + size > end) {
      throw new Damaged(`a table at ${place} is cut short`);
    }
    [this.#view, this.place, this.#fields] = [view, place, fields];
    [this.#count, this.#size] = [(span - 4) / 2, size];
  }

  /** Returns where a field of so many bytes stands, null if it is absent. */
  #placeOf(number, size) {
    if (number >= this.#count) return null;
    const offset = this.#view.getUint16(this.#fields + 4 + 2 * number, true);
    if (!offset) return null;
    if (offset < 4 || offset + size > this.#size) {
      throw new Damaged(`a field of the table at ${this.place} lies outside it`);
    }
    return this.place + offset;
  }

  /** Returns whether a field is there. */
  has(number) {
    return this.#placeOf(number, 1) !== null;
  }

  /** Returns a number, 0 if it is absent. */
  scalar(number, kind) {
    const [size, read] = SCALARS[kind];
    const place = this.#placeOf(number, size);
    return place === null ? 0 : read(this.#view, place);
  }

  #target(number) {
    const place = this.#placeOf(number, 4);
    return place === null ? null : place + this.#view.getUint32(place, true);
  }

  /** Returns the table that a field refers to, null if it is absent. */
  table(number) {
    const place = this.#target(number);
    return place === null ? null : new Table(this.#view, place);
  }

  /** Returns where the items of a vector begin and how many there are, null if it is absent. */
  #span(number, item) {
    const place = this.#target(number);
    if (place === null) return null;
    if (place > this.#view.byteLength - 4) {
      throw new Damaged(`a list of the table at ${this.place} lies outside the flatbuffer`);
    }
    const count = this.#view.getUint32(place, true);
    if (place + 4 + count * item > this.#view.byteLength) {
      throw new Damaged(`a list of ${count} items at ${place} is cut short`);
    }
    return [place + 4, count];
  }

  /** Returns a list of numbers, empty if it is absent. */
  numbers(number, kind = "int32") {
    const [size, read] = SCALARS[kind];
    const [start, count] = this.#span(number, size) ?? [0, 0];
    return Array.from({ length: count }, (_, i) => read(this.#view, start + size * i));
  }

  /** Returns the bytes of a list, empty if it is absent. */
  bytes(number) {
    const [start, count] = this.#span(number, 1) ?? [0, 0];
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, count);
  }

  /** Returns a string, empty if it is absent. */
  text(number) {
    const bytes = this.bytes(number);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Damaged(`a name at ${bytes.byteOffset - this.#view.byteOffset} is not UTF-8`);
    }
  }

  /** Returns a list of at most so many tables, empty if it is absent. */
  tables(number, most) {
    const [start, count] = this.#span(number, 4) ?? [0, 0];
    if (count > most) throw new Damaged(`it has ${count} tables in a list of at most ${most}`);
    return Array.from({ length: count }, (_, i) => {
      const place = start + 4 * i;
      return new Table(this.#view, place + this.#view.getUint32(place, true));
    });
  }
}

/** Returns the table that a flatbuffer begins with. */
export function root(data) {
  if (data.length < 8) throw new Damaged(`it has ${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return new Table(view, view.getUint32(0, true));
}
