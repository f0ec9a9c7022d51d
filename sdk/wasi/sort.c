/* Sorts the lines of its input; ends inside the comparison, called by qsort, if a line says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *one, const void *other) {
  const char *a = *(char *const *)one, *b = *(char *const *)other;
  if (strcmp(a, "stop\n") == 0 || strcmp(b, "stop\n") == 0) {
    fprintf(stderr, "told to stop\n");
    exit(7);
  }
  return strcmp(a, b);
}

int main(int argc, char **argv) {
  static char *lines[1000];
  static char line[200];
  size_t count = 0;
  while (count < 1000 && fgets(line, sizeof line, stdin)) lines[count++] = strdup(line);
  qsort(lines, count, sizeof *lines, compare);
  for (size_t at = 0; at < count; at++) {
    if (argc > 1) printf("%s %s", argv[1], lines[at]);
    else fputs(lines[at], stdout);
  }
  return 0;
}
