/* The little of a C library that the shim uses: text, and what the compiler itself calls. */

/* ---- what the compiler expects of a C library ---- */

void *memset(void *to, int value, ulong count) {
  char *bytes = to;
  while (count--) { *bytes++ = (char)value; __asm__ volatile("" ::: "memory"); }
  return to;
}

void *memcpy(void *to, const void *from, ulong count) {
  char *target = to;
  const char *source = from;
  while (count--) { *target++ = *source++; __asm__ volatile("" ::: "memory"); }
  return to;
}

/* ---- text ---- */

static ulong length(const char *text) {
  ulong count = 0;
  while (text[count]) count++;
  return count;
}

static int equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static int starts_with(const char *text, const char *prefix) {
  while (*prefix) if (*text++ != *prefix++) return 0;
  return 1;
}

static long parse_number(const char *text) {
  long value = 0;
  while (*text >= '0' && *text <= '9' && value < 1000000000000000L) value = value * 10 + (*text++ - '0');
  return value;
}

static char *append(char *end, const char *text) {
  while (*text) *end++ = *text++;
  return end;
}

static char *append_number(char *end, long value) {
  char digits[20];
  int count = 0;
  if (value < 0) return append(end, "null");
  do digits[count++] = (char)('0' + value % 10); while ((value /= 10) > 0);
  while (count > 0) *end++ = digits[--count];
  return end;
}
