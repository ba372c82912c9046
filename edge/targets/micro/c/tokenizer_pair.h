
/* The same of two texts. The second one has half of the room at least, the first one the rest.
   Writes `length` segment ids too, 0 or 1, unless `segment_ids` is NULL. */
int model_tokenize_pair(
    const char* first, size_t first_bytes, const char* second, size_t second_bytes, int32_t* ids,
    int32_t* segment_ids, int length);
