/*
 * `berth-shim --launch`: starts shims on request, and tells of their ends. What a fork costs grows with the memory of
 * the process that forks: from this one it is a fraction of what it is from an agent. Specified in launcher.ts.
 */

/* The descriptors are above those that the shim opens before. */
enum { REQUEST_MAX = 4 << 20, ARGS_MAX = 1 << 16, REQUESTS_FD = 10, ANSWERS_FD = 11 };

/* `word number number\n` in one write: the pipe keeps lines whole. */
static void answer(const char *word, long a, long b) {
  char line[64], *end = append(append(line, word), " ");
  end = append_number(append(append_number(end, a), " "), b);
  *end++ = '\n';
  write_all(ANSWERS_FD, line, (ulong)(end - line));
}

static char *next_word(char *word) { return word + length(word) + 1; }

/* Becomes the shim. What stopped it goes into `report`, which closes itself when the shim's program begins. */
static _Noreturn void become_shim(int report, const char *folder, char **argv, char **envp) {
  ulong none = 0;
  sys0(SYS_setsid);
  long error = sys1(SYS_chdir, folder);
  if (error == 0) {
    sys4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    error = sys3(SYS_execve, "/proc/self/exe", argv, envp);
  }
  int code = (int)-error;
  write_all(report, (const char *)&code, sizeof code);
  quit(127);
}

/* The words of a request: id, folder, number of arguments, arguments…, environment…; `end` is behind the last. */
static void launch(char *request, char *end) {
  static char *words[ARGS_MAX + 2];
  char *folder = next_word(request), *count = next_word(folder), *word = next_word(count);
  long id = parse_number(request), args = parse_number(count), used = 0;
  for (; word < end && used < ARGS_MAX; word = next_word(word)) {
    if (used == args) words[used++] = 0;
    words[used++] = word;
  }
  if (used == args) words[used++] = 0;
  words[used] = 0;
  if (word < end) {
    answer("failed", id, E2BIG);
    return;
  }
  int ends[2], code = 0;
  long error = sys2(SYS_pipe2, ends, O_CLOEXEC), pid = error;
  if (error == 0) {
    pid = sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) become_shim(ends[1], folder, words, words + args + 1);
    sys1(SYS_close, ends[1]);
    long got = pid < 0 ? 0 : 1;
    if (pid > 0) do got = sys3(SYS_read, ends[0], &code, sizeof code); while (got == -EINTR);
    sys1(SYS_close, ends[0]);
    if (got == sizeof code) sys4(SYS_wait4, pid, 0, 0, 0);
  }
  if (pid < 0) code = (int)-pid;
  if (code != 0) answer("failed", id, code);
  else answer("started", id, pid);
}

static void tell_ends(void) {
  while (next_signal() != 0) {}
  long pid;
  while ((pid = sys4(SYS_wait4, -1, 0, WNOHANG, 0)) > 0) answer("ended", pid, 0);
}

/* A request is its length in four bytes (little-endian), and so many bytes of words that each end in a zero. */
static _Noreturn void launch_on_request(void) {
  static char buffer[REQUEST_MAX + 4];
  ulong filled = 0;
  sys3(SYS_dup3, 0, REQUESTS_FD, O_CLOEXEC);
  sys3(SYS_dup3, 1, ANSWERS_FD, O_CLOEXEC);
  long null = sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  for (int fd = 0; fd < 3; fd++) sys3(SYS_dup3, null, fd, 0);
  for (;;) {
    struct pollfd fds[2] = {{signals, POLLIN, 0}, {REQUESTS_FD, POLLIN, 0}};
    sys5(SYS_ppoll, fds, 2, 0, 0, 8);
    if (fds[0].revents) tell_ends();
    if (!fds[1].revents) continue;
    long count = sys3(SYS_read, REQUESTS_FD, buffer + filled, sizeof buffer - filled);
    if (count == -EINTR) continue;
    /* The agent is gone. What was launched goes on. */
    if (count <= 0) quit(0);
    filled += (ulong)count;
    for (;;) {
      unsigned size;
      if (filled < 4) break;
      memcpy(&size, buffer, 4);
      if (size > REQUEST_MAX) give_up("a request is too long");
      if (filled < size + 4) break;
      launch(buffer + 4, buffer + 4 + size);
      filled -= size + 4;
      char *rest = buffer + 4 + size;
      for (ulong at = 0; at < filled; at++) buffer[at] = rest[at];
    }
  }
}
