/* Counts lines, words and bytes of the input, of any length. */
#include "../kapsule.h"

KAPSULE_MODULE

static uint8_t page[4096];

/* Writes a number in decimal, and one character behind it. */
static void put(uint64_t number, char after) {
  char text[21];
  size_t at = sizeof text;
  text[--at] = after;
  do {
    text[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  kapsule_output_write(text + at, (uint32_t)(sizeof text - at));
}

static int is_space(uint8_t byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

KAPSULE_ENTRY(run) {
  uint64_t lines = 0, words = 0, bytes = 0;
  int in_word = 0;
  int32_t count;
  while ((count = kapsule_input_read((int64_t)bytes, page, sizeof page)) > 0) {
    for (int32_t at = 0; at < count; at++) {
      lines += page[at] == '\n';
      words += !in_word && !is_space(page[at]);
      in_word = !is_space(page[at]);
    }
    bytes += (uint64_t)count;
  }
  put(lines, ' ');
  put(words, ' ');
  put(bytes, '\n');
  return 0;
}
