/* More of the step's environment, out of a file that only its user can read: what an engine is told, it keeps. */

enum {
  /* The kernel takes no more of arguments and environment together than this, at the usual size of a stack. */
  VARIABLES_BYTES_MAX = 2 * 1024 * 1024,
  VARIABLES_MAX = 16384
};

static const char *variables_file; /* null for none */

/* Up to and with the '='. */
static ulong name_length(const char *pair) {
  ulong count = 0;
  while (pair[count] && pair[count] != '=') count++;
  return count + 1;
}

static int is_replaced(const char *pair, char **by) {
  ulong count = name_length(pair);
  for (; *by; by++) {
    ulong at = 0;
    while (at < count && pair[at] == (*by)[at]) at++;
    if (at == count) return 1;
  }
  return 0;
}

/*
 * The environment with what the file holds, NAME=VALUE each ended by a zero byte, in place of what has the same names.
 * Returns a negative errno where it cannot be had.
 */
static long add_variables(char ***envp) {
  static char bytes[VARIABLES_BYTES_MAX];
  static char *joined[VARIABLES_MAX];
  ulong size = 0, count = 0;
  if (!variables_file) return 0;
  long fd = sys4(SYS_openat, AT_FDCWD, variables_file, O_RDONLY | O_CLOEXEC, 0), got;
  if (fd < 0) return fd;
  while ((got = sys3(SYS_read, fd, bytes + size, sizeof bytes - size)) > 0) size += (ulong)got;
  sys1(SYS_close, fd);
  if (got < 0) return got;
  if (size == sizeof bytes || (size > 0 && bytes[size - 1])) return -E2BIG;
  for (char *pair = bytes; pair < bytes + size && count < VARIABLES_MAX; pair += length(pair) + 1) joined[count++] = pair;
  char **added = joined;
  for (char **pair = *envp; *pair && count < VARIABLES_MAX - 1; pair++) {
    joined[count] = 0;
    if (!is_replaced(*pair, added)) joined[count++] = *pair;
  }
  if (count >= VARIABLES_MAX - 1) return -E2BIG;
  joined[count] = 0;
  *envp = joined;
  return 0;
}
