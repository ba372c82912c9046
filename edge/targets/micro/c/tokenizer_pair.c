
int model_tokenize_pair(
    const char* first, size_t first_bytes, const char* second, size_t second_bytes, int32_t* ids,
    int32_t* segment_ids, int length) {
  int count, most, place, begin, room;
  if (length < PAIR_BEFORE + PAIR_BETWEEN + PAIR_BEHIND + 2) return -1;
  room = length - PAIR_BEFORE - PAIR_BETWEEN - PAIR_BEHIND;
  most = room - add_text(second, second_bytes, NULL, room);
  if (most < room - room / 2) most = room - room / 2;
  count = copy(pair_special, PAIR_BEFORE, ids);
  most = add_text(first, first_bytes, ids + count, most);
  count += most;
  count += copy(pair_special + PAIR_BEFORE, PAIR_BETWEEN, ids + count);
  begin = count;
  count += add_text(second, second_bytes, ids + count, room - most);
  count += copy(pair_special + PAIR_BEFORE + PAIR_BETWEEN, PAIR_BEHIND, ids + count);
  pad(ids, count, length);
  if (segment_ids) {
    for (place = 0; place < length; place++) {
      segment_ids[place] = SECOND_SEGMENT && place >= begin && place < count;
    }
  }
  return count;
}
