#ifndef MODEL_TOKENIZER_H_
#define MODEL_TOKENIZER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

@sizes@

/* Writes the ids of a text in UTF-8 with the special tokens around it and 0, padding, behind them:
   `length` in all, of which it returns how many are not padding. The end of a longer text is cut.
   Bytes that are no UTF-8 are read as U+FFFD, one for each longest beginning of a character, as
   Python's `bytes.decode(errors="replace")` does; a byte 0 does not end the text. -1, and nothing is
   written, where `length` has no room for a piece between the special tokens. */
int model_tokenize(const char* utf8, size_t bytes, int32_t* ids, int length);
@pair@
#ifdef __cplusplus
}
#endif

#endif /* MODEL_TOKENIZER_H_ */
