/*
 * berth-shim: the interface and the order of what it does are specified in shim.ts.
 *
 * No C library: raw system calls only, so that one small static binary runs in any image.
 */
#include "kernel.h"
#include "text.h"

enum {
  EXIT_SHIM_FAILED = 125,
  /* Watching may be unavailable (128 instances per user) or silent (some shared folders): then this is the latency. */
  HOLD_POLL_MS = 20,
  HOLD_POLL_WATCHED_MS = 250,
  /* A cancel normally comes with a TERM; this finds one that came without. */
  CANCEL_POLL_MS = 500,
  REASON_MAX = 32,
  /* As many as most systems let a program ask for. */
  RLIMIT_NOFILE = 7,
  OPEN_FILES_MAX = 65536
};

/* What the record will say. Numbers below zero are written as null. */
struct record {
  int started;
  long exit, signal, error;
  const char *failed;
  int cancelled, stopped;
};

static int ctl;        /* the control folder */
static int end_folder; /* its folder for what the shim tells */
static int signals;    /* signalfd */
static int is_init;    /* PID 1 of a namespace of its own */
static int watch = -1; /* inotify, while it is of use */
static long main_child;
static char cancel_reason[REASON_MAX + 1];
static struct record record = {0, -1, -1, 0, 0, 0, 0};

/* ---- files and time ---- */

static long now_ms(void) {
  struct timespec now;
  sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.sec * 1000 + now.nsec / 1000000;
}

static int exists(const char *name) { return sys3(SYS_faccessat, ctl, name, 0) == 0; }

static void write_all(int fd, const char *bytes, ulong count) {
  while (count > 0) {
    long written = sys3(SYS_write, fd, bytes, count);
    if (written == -EINTR) continue;
    if (written <= 0) return;
    bytes += written;
    count -= (ulong)written;
  }
}

/* Reads a small file as text; returns its length, or a negative errno. */
static long read_text(int folder, const char *name, char *buffer, ulong size) {
  long fd = sys4(SYS_openat, folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd < 0) return fd;
  long count = sys3(SYS_read, fd, buffer, size - 1);
  sys1(SYS_close, fd);
  buffer[count < 0 ? 0 : count] = 0;
  return count;
}

static void tell(const char *name, const char *text, ulong count) {
  long fd = sys4(SYS_openat, end_folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return;
  write_all((int)fd, text, count);
  sys1(SYS_close, fd);
}

static _Noreturn void quit(int code) {
  for (;;) sys1(SYS_exit_group, code);
}

static _Noreturn void give_up(const char *what) {
  char message[256], *end = append(append(append(message, "berth-shim: "), what), "\n");
  write_all(2, message, (ulong)(end - message));
  quit(EXIT_SHIM_FAILED);
}

#include "figures.h"

/* ---- the record ---- */

static const char *boolean(int value) { return value ? "true" : "false"; }

static char *append_quoted(char *end, const char *text) {
  return text ? append(append(append(end, "\""), text), "\"") : append(end, "null");
}

static void write_record(void) {
  static char text[1024];
  char *end = text;
  end = append(append(end, "{\"started\":"), boolean(record.started));
  end = append_number(append(end, ",\"exit\":"), record.exit);
  end = append_number(append(end, ",\"signal\":"), record.signal);
  end = append_quoted(append(end, ",\"failed\":"), record.failed);
  end = append_number(append(end, ",\"errno\":"), record.error);
  end = append_quoted(append(end, ",\"cancel\":"), record.cancelled ? cancel_reason : 0);
  end = append(append(end, ",\"stopped\":"), boolean(record.stopped));
  end = append(append_figures(end), "}\n");
  tell("result.json.tmp", text, (ulong)(end - text));
  sys4(SYS_renameat, end_folder, "result.json.tmp", end_folder, "result.json");
}

static _Noreturn void finish(int code) {
  write_record();
  quit(code);
}

static _Noreturn void finish_unstarted(const char *failed, long error) {
  record.failed = failed;
  record.error = error;
  finish(EXIT_SHIM_FAILED);
}

/* ---- cancelling ---- */

/* The grace in milliseconds, or -1 when nobody cancelled. Keeps the reason that was seen first. */
static long read_cancel(void) {
  char text[128], *reason = text;
  if (read_text(ctl, "cancel", text, sizeof text) < 0) return -1;
  while (*reason && *reason != ' ') reason++;
  while (*reason == ' ') reason++;
  if (!record.cancelled) {
    int count = 0;
    while (count < REASON_MAX && ((reason[count] >= 'a' && reason[count] <= 'z') || reason[count] == '-')) {
      cancel_reason[count] = reason[count];
      count++;
    }
    cancel_reason[count] = 0;
    record.cancelled = 1;
  }
  return parse_number(text);
}

/* ---- held: until the word to go ---- */

/* Whoever creates the file is the one that runs this attempt, or decides that it never runs. */
static void claim(void) {
  long fd = sys4(SYS_openat, ctl, "claim", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd == -EEXIST) give_up("this attempt was run before");
  if (fd < 0) give_up("cannot write to the control folder");
  sys1(SYS_close, fd);
}

static int next_signal(void) {
  unsigned int info[32]; /* struct signalfd_siginfo: 128 bytes, the number first */
  return sys3(SYS_read, signals, info, sizeof info) == sizeof info ? (int)info[0] : 0;
}

/* Waits for a signal, or for a change of the watched folder where asked. Returns 0 when neither came in time. */
static int wait_event(int watched, long timeout_ms) {
  struct pollfd fds[2] = {{signals, POLLIN, 0}, {watched, POLLIN, 0}};
  struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
  return sys5(SYS_ppoll, fds, watched < 0 ? 1 : 2, &timeout, 0, 8) != 0;
}

static void hold(void) {
  int watched = 0, stop = 0;
  for (;;) {
    if (exists("cancel") || exists("go")) break;
    if (!watched) {
      /* Watch first, look again, and only then wait: a file that appears in between is not missed. */
      watched = 1;
      watch = (int)sys1(SYS_inotify_init1, O_CLOEXEC | O_NONBLOCK);
      if (watch >= 0) {
        char path[40], *end = append_number(append(path, "/proc/self/fd/"), ctl);
        *end = 0;
        if (sys3(SYS_inotify_add_watch, watch, path, IN_CREATE | IN_MOVED_TO) < 0) {
          sys1(SYS_close, watch);
          watch = -1;
        }
      }
      continue;
    }
    wait_event(watch, watch < 0 ? HOLD_POLL_MS : HOLD_POLL_WATCHED_MS);
    char events[1024];
    if (watch >= 0) while (sys3(SYS_read, watch, events, sizeof events) > 0) {}
    int signal;
    while ((signal = next_signal()) != 0) if (signal == SIGTERM || signal == SIGINT) stop = signal;
    if (stop) break;
  }
  claim();
  if (read_cancel() >= 0) finish_unstarted(0, 0);
  if (stop) {
    record.signal = stop;
    record.stopped = 1;
    finish_unstarted(0, 0);
  }
}

/* ---- starting ---- */

#include "variables.h"

/* The step finds argv[0] as execvp would, but a file without a known format is an error, never handed to a shell. */
static long exec_by_path(char **argv, char **envp) {
  const char *name = argv[0], *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  long result = -ENOENT;
  for (const char *c = name; *c; c++) if (*c == '/') return sys3(SYS_execve, name, argv, envp);
  if (!*name || length(name) > 255) return -ENOENT;
  for (char **entry = envp; *entry; entry++) if (starts_with(*entry, "PATH=")) { path = *entry + 5; break; }
  for (;;) {
    static char file[4096 + 258];
    ulong count = 0;
    while (path[count] && path[count] != ':') count++;
    if (count < 4096) {
      char *end = file;
      memcpy(end, path, count);
      end += count;
      if (count > 0) *end++ = '/';
      *append(end, name) = 0;
      long error = sys3(SYS_execve, file, argv, envp);
      if (error == -EACCES) result = error;
      else if (error != -ENOENT && error != -ENOTDIR) return error;
    }
    if (!path[count]) return result;
    path += count + 1;
  }
}

/*
 * In a container: an engine can give a program no more than it may have itself, and refuses to start what is asked to
 * have more; lowering is always allowed.
 */
static void limit_open_files(void) {
  ulong limit[2]; /* the soft and the hard one */
  if (!is_init || sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, limit) < 0 || limit[1] <= OPEN_FILES_MAX) return;
  limit[1] = OPEN_FILES_MAX;
  if (limit[0] > limit[1]) limit[0] = limit[1];
  sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, limit, 0);
}

static _Noreturn void become_step(int out, int err, int report, char **argv, char **envp) {
  struct kernel_sigaction ordinary = {0, 0, 0, 0};
  ulong none = 0;
  long error;
  sys0(SYS_setsid);
  limit_open_files();
  for (int number = 1; number <= SIGNALS; number++) {
    if (number != SIGKILL && number != SIGSTOP) sys4(SYS_rt_sigaction, number, &ordinary, 0, 8);
  }
  sys4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
  long null = sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
  error = null;
  if (error >= 0) error = sys3(SYS_dup3, null, 0, 0);
  if (error >= 0) error = sys3(SYS_dup3, out, 1, 0);
  if (error >= 0) error = sys3(SYS_dup3, err, 2, 0);
  int stage = error < 0 ? 'S' : 'E';
  if (error >= 0) error = add_variables(&envp);
  if (error < 0) stage = 'S';
  if (error >= 0) error = exec_by_path(argv, envp);
  int told[2] = {stage, (int)-error};
  write_all(report, (const char *)told, sizeof told);
  quit(127);
}

static int open_log(const char *name) {
  long fd = sys4(SYS_openat, ctl, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) finish_unstarted("setup", -fd);
  return (int)fd;
}

static void start(char **argv, char **envp) {
  int out = open_log("stdout"), err = open_log("stderr"), ends[2], told[2];
  before = read_counters();
  long error = sys2(SYS_pipe2, ends, O_CLOEXEC);
  if (error < 0) finish_unstarted("setup", -error);
  main_child = sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (main_child < 0) finish_unstarted("setup", -main_child);
  if (main_child == 0) become_step(out, err, ends[1], argv, envp);
  sys1(SYS_close, ends[1]);
  sys1(SYS_close, out);
  sys1(SYS_close, err);
  long count;
  do count = sys3(SYS_read, ends[0], told, sizeof told); while (count == -EINTR);
  sys1(SYS_close, ends[0]);
  if (count == sizeof told) {
    sys4(SYS_wait4, main_child, 0, 0, 0);
    finish_unstarted(told[0] == 'S' ? "setup" : "exec", told[1]);
  }
  record.started = 1;
  char text[100], *end = append(append_number(text, main_child), "\n");
  end = append_number(end, before.cpu);
  end = append_number(append(end, " "), before.received);
  end = append(append_number(append(end, " "), before.sent), "\n");
  tell("started", text, (ulong)(end - text));
}

/* ---- running ---- */

/* Returns 1 when the main child is among the dead. */
static int reap(void) {
  int status, ended = 0;
  long pid;
  while ((pid = sys4(SYS_wait4, -1, &status, WNOHANG, 0)) > 0) {
    if (pid != main_child) continue;
    ended = 1;
    if ((status & 0x7f) == 0) record.exit = status >> 8 & 0xff;
    else record.signal = status & 0x7f;
  }
  return ended;
}

/* The parent of a process, out of /proc/PID/stat: the second field after the last ')'. */
static long parent_of(int proc, const char *pid) {
  char path[32], text[512], *after = 0;
  *append(append(path, pid), "/stat") = 0;
  if (length(pid) > 20 || read_text(proc, path, text, sizeof text) <= 0) return -1;
  for (char *c = text; *c; c++) if (*c == ')') after = c;
  return after && after[1] && after[2] && after[3] ? parse_number(after + 4) : -1;
}

/* Kills every direct child; the children of those become direct ones in turn. Returns how many could be told. */
static int kill_children(void) {
  char buffer[4096] __attribute__((aligned(8)));
  long self = sys0(SYS_getpid), count;
  int killed = 0;
  long proc = sys4(SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (proc < 0) return 0;
  while ((count = sys3(SYS_getdents64, proc, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < count; at += ((struct dirent64 *)(buffer + at))->length) {
      const char *name = ((struct dirent64 *)(buffer + at))->name;
      if (*name < '1' || *name > '9' || parent_of((int)proc, name) != self) continue;
      if (sys2(SYS_kill, parse_number(name), SIGKILL) == 0) killed++;
    }
  }
  sys1(SYS_close, proc);
  return killed;
}

/* What the step left behind. A process that became another user's cannot be killed; then there is nothing to wait for. */
static void kill_rest(void) {
  for (;;) {
    long pid = sys4(SYS_wait4, -1, 0, WNOHANG, 0);
    if (pid == -ECHILD) return;
    /* Only when nobody is dead already: a wait for someone who was not killed could be for ever. */
    if (pid != 0) continue;
    if (is_init) sys2(SYS_kill, -1, SIGKILL);
    else if (kill_children() == 0) return;
    sys4(SYS_wait4, -1, 0, 0, 0);
  }
}

static void kill_all(void) {
  if (is_init) {
    sys2(SYS_kill, -1, SIGKILL);
  } else {
    sys2(SYS_kill, -main_child, SIGKILL);
    kill_children();
  }
}

static void hand_on(int number) { sys2(SYS_kill, is_init && number == SIGTERM ? -1 : -main_child, number); }

static void supervise(void) {
  long cancelled_at = -1, deadline = -1;
  int killed = 0;
  for (;;) {
    long wait = CANCEL_POLL_MS, left = deadline - now_ms();
    if (deadline >= 0 && !killed && left < wait) wait = left > 0 ? left : 0;
    if (!wait_event(-1, wait) && watch >= 0) {
      /* Closing waits for the kernel, up to 20 ms: never between the word to go and a short step's end. */
      sys1(SYS_close, watch);
      watch = -1;
    }

    int number, child_died = 0, term = 0;
    while ((number = next_signal()) != 0) {
      if (number == SIGCHLD) child_died = 1;
      else if (number == SIGTERM) term = 1;
      else hand_on(number);
    }
    /* The end is looked at first: a step that ended by itself was not cancelled. */
    if (child_died && reap()) return;

    long grace = read_cancel();
    if (grace >= 0) {
      if (cancelled_at < 0) {
        cancelled_at = now_ms();
        hand_on(SIGTERM);
      }
      if (deadline < 0 || cancelled_at + grace < deadline) deadline = cancelled_at + grace;
    } else if (term) {
      record.stopped = 1;
      hand_on(SIGTERM);
    }
    if (deadline >= 0 && !killed && now_ms() >= deadline) {
      killed = 1;
      kill_all();
    }
  }
}

/* ---- main ---- */

static void take_signals(void) {
  ulong all = ~0UL, wanted = 0;
  static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD};
  for (ulong i = 0; i < sizeof numbers / sizeof *numbers; i++) wanted |= 1UL << (numbers[i] - 1);
  sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
  signals = (int)sys4(SYS_signalfd4, -1, &wanted, 8, O_CLOEXEC | O_NONBLOCK);
  if (signals < 0) give_up("cannot receive signals");
}

static _Noreturn void pause_until_told(void) {
  for (;;) {
    int number;
    wait_event(-1, 3600 * 1000);
    while ((number = next_signal()) != 0) {
      if (number == SIGTERM || number == SIGINT) quit(0);
      if (number == SIGCHLD) while (sys4(SYS_wait4, -1, 0, WNOHANG, 0) > 0) {}
    }
  }
}

#include "fence.h"
#include "launcher.h"

static const char USAGE[] =
  "usage: berth-shim [--fenced] [--variables FILE] (CTL | --exec) -- ARGV… | --hold [DESTINATION…] | --pause | --launch";

/* In place of the shim: for a person, whose terminal it has. */
static _Noreturn void become_program(int is_behind_fence, char **argv, char **envp) {
  ulong none = 0;
  sys4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
  if (is_behind_fence && !wait_for_fence()) give_up("the network of the step has no fence");
  if (add_variables(&envp) < 0) give_up("the secrets of the step cannot be read");
  exec_by_path(argv, envp);
  give_up("the program cannot be started");
}

__attribute__((used)) _Noreturn void shim_start(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
  /* Descriptors 0 to 2 must be taken, or the logs would land there and be overwritten in the child. */
  long fd;
  do fd = sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0); while (fd >= 0 && fd < 2);
  if (fd > 2) sys1(SYS_close, fd);
  is_init = sys0(SYS_getpid) == 1;
  take_signals();
  if (argc == 2 && equal(argv[1], "--pause")) pause_until_told();
  if (argc >= 2 && equal(argv[1], "--hold")) {
    fence(argv + 2);
    pause_until_told();
  }
  if (argc == 2 && equal(argv[1], "--launch")) launch_on_request();
  int is_behind_fence = 0;
  for (; argc > 3; argc--, argv++) {
    if (equal(argv[1], "--fenced")) is_behind_fence = 1;
    else if (equal(argv[1], "--variables")) {
      variables_file = argv[2];
      argc--, argv++;
    } else break;
  }
  if (argc > 3 && equal(argv[1], "--exec") && equal(argv[2], "--")) become_program(is_behind_fence, argv + 3, envp);
  if (argc < 4 || !equal(argv[2], "--")) give_up(USAGE);
  sys1(SYS_umask, 022);
  ctl = (int)sys4(SYS_openat, AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (ctl < 0) give_up("cannot open the control folder");
  sys3(SYS_mkdirat, ctl, "end", 0755);
  end_folder = (int)sys4(SYS_openat, ctl, "end", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (end_folder < 0) give_up("cannot write to the control folder");
  sys2(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
  hold();
  if (is_behind_fence && !wait_for_fence()) finish_unstarted("setup", ENETUNREACH);
  start(argv + 3, envp);
  supervise();
  kill_rest();
  finish(record.exit >= 0 ? (int)record.exit : 128 + (int)record.signal);
}
