/* The tokenizer of a model: words of a text, and their pieces by the longest match, as
   keras_transformer.zoo.tokenizers reads them. C99; no allocation, no recursion, no library. */

#include "model_tokenizer.h"

/* What is read in the place of a character: in runs of those of which the same is read. */
enum { ITSELF, ALONE, SPACE, NOTHING, UNKNOWN, UNKNOWN_ALONE, SYLLABLE, FIRST_DELTA };
/* Stands for characters of which no piece has one: no byte of UTF-8 is this. */
#define NO_PIECE 0xff
#define REPLACEMENT 0xfffd

@tables@

/* A place in a text: `next` is the byte behind the character whose reading is `held`. */
typedef struct {
  const uint8_t *next, *end;
  uint8_t held[MOST_HELD], size, place;
} reader;

/* The next character of a text that has one. */
static uint32_t decode(reader* from) {
  uint32_t code = *from->next++, low = 0x80, high = 0xbf;
  int more;
  if (code < 0x80) return code;
  if (code < 0xc2 || code > 0xf4) return REPLACEMENT;
  more = code < 0xe0 ? 1 : code < 0xf0 ? 2 : 3;
  /* Neither longer than need be, nor half of a surrogate pair, nor past the last character. */
  if (code == 0xe0) low = 0xa0;
  if (code == 0xed) high = 0x9f;
  if (code == 0xf0) low = 0x90;
  if (code == 0xf4) high = 0x8f;
  code &= 0x3fu >> more;
  while (more-- > 0) {
    if (from->next == from->end || *from->next < low || *from->next > high) return REPLACEMENT;
    code = code << 6 | (*from->next++ & 0x3fu);
    low = 0x80;
    high = 0xbf;
  }
  return code;
}

static void hold(reader* at, uint32_t byte) { at->held[at->size++] = (uint8_t)byte; }

static void hold_character(reader* at, uint32_t code) {
  if (code < 0x80) {
    hold(at, code);
    return;
  }
  if (code < 0x800) {
    hold(at, 0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      hold(at, 0xe0 | code >> 12);
    } else {
      hold(at, 0xf0 | code >> 18);
      hold(at, 0x80 | (code >> 12 & 0x3f));
    }
    hold(at, 0x80 | (code >> 6 & 0x3f));
  }
  hold(at, 0x80 | (code & 0x3f));
}

/* What is read in the place of a character. */
static int reading_of(uint32_t code) {
  uint32_t plane = code >> 16, low = planes[plane], high = planes[plane + 1];
  /* The last run that does not begin behind the character; each plane begins one. */
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (run_starts[middle] <= (code & 0xffff)) low = middle;
    else high = middle;
  }
  return run_readings[low];
}

static void hold_reading(reader* at, uint32_t code) {
  int reading = reading_of(code);
  at->size = at->place = 0;
  if (reading >= FIRST_TEXT) {
    const uint8_t* text = texts + text_starts[reading - FIRST_TEXT];
    while (*text) hold(at, *text++);
  } else if (reading >= FIRST_DELTA) {
    hold_character(at, (uint32_t)((int32_t)code + deltas[reading - FIRST_DELTA]));
  } else if (reading == SYLLABLE) {
    /* The letters of a Korean syllable (Unicode, 3.12). */
    uint32_t place = code - 0xac00;
    hold_character(at, 0x1100 + place / 588);
    hold_character(at, 0x1161 + place % 588 / 28);
    if (place % 28) hold_character(at, 0x11a7 + place % 28);
  } else if (reading != NOTHING) {
    int is_alone = reading == ALONE || reading == UNKNOWN_ALONE;
    if (reading == SPACE || is_alone) hold(at, ' ');
    if (reading == ITSELF || reading == ALONE) hold_character(at, code);
    if (reading == UNKNOWN || reading == UNKNOWN_ALONE) hold(at, NO_PIECE);
    if (is_alone) hold(at, ' ');
  }
}

/* The next byte of the words, with a space between each two; 0 at the end. */
static uint8_t next_byte(reader* at) {
  while (at->place == at->size) {
    if (at->next == at->end) return 0;
    hold_reading(at, decode(at));
  }
  return at->held[at->place++];
}

static uint32_t length_of(uint32_t piece) { return starts[piece + 1] - starts[piece]; }

/* The first of the pieces from `low` up to `high`, all of which begin with the same `depth` bytes,
   whose next byte is `least` or higher; a piece without one is lower than all. */
static uint32_t first_from(uint32_t low, uint32_t high, uint32_t depth, unsigned least) {
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (length_of(middle) <= depth || pieces[starts[middle] + depth] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Writes the pieces of a word of `rest` bytes behind the first `count` ids, as far as there is room
   for `room` in all, and returns how many there are then. Without ids they are counted alone. */
static int add_word(reader at, size_t rest, int32_t* ids, int count, int room) {
  uint32_t first = 0, last = FIRST_CONTINUATION;
  int before = count;
  while (rest > 0) {
    uint32_t low = first, high = last, depth = 0, longest = 0, piece = 0;
    reader here = at;
    while (depth < rest) {
      unsigned byte = next_byte(&here);
      low = first_from(low, high, depth, byte);
      high = first_from(low, high, depth, byte + 1);
      if (low == high) break;
      depth++;
      if (length_of(low) == depth) {
        longest = depth;
        piece = low;
        at = here;
      }
    }
    if (longest == 0) {
      if (ids) ids[before] = UNKNOWN_ID;
      return before + 1;
    }
    if (count < room) {
      if (ids) ids[count] = piece_ids[piece];
      count++;
    }
    rest -= longest;
    first = FIRST_CONTINUATION;
    last = PIECES;
  }
  return count;
}

/* Writes the pieces of a text as far as there is room, and returns how many. */
static int add_text(const char* utf8, size_t bytes, int32_t* ids, int room) {
  reader at, word;
  int count = 0;
  at.next = (const uint8_t*)utf8;
  at.end = bytes ? at.next + bytes : at.next;
  at.size = at.place = 0;
  while (count < room) {
    size_t size = 0, counted = 0;
    int is_known = 1;
    uint8_t byte;
    do {
      word = at;
      byte = next_byte(&at);
    } while (byte == ' ');
    if (!byte) break;
    for (; byte && byte != ' '; byte = next_byte(&at)) {
      size++;
      counted += COUNTED(byte);
      if (byte == NO_PIECE) is_known = 0;
    }
    if (is_known && counted <= MOST_PER_WORD) {
      count = add_word(word, size, ids, count, room);
    } else {
      if (ids) ids[count] = UNKNOWN_ID;
      count++;
    }
  }
  return count;
}

static int copy(const uint32_t* from, int count, int32_t* ids) {
  int place;
  for (place = 0; place < count; place++) ids[place] = (int32_t)from[place];
  return count;
}

static void pad(int32_t* values, int from, int length) {
  while (from < length) values[from++] = 0;
}

int model_tokenize(const char* utf8, size_t bytes, int32_t* ids, int length) {
  int count;
  if (length <= BEFORE + BEHIND) return -1;
  count = copy(special, BEFORE, ids);
  count += add_text(utf8, bytes, ids + count, length - BEFORE - BEHIND);
  count += copy(special + BEFORE, BEHIND, ids + count);
  pad(ids, count, length);
  return count;
}
@pair@
