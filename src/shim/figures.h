/* What an attempt used, as the kernel counted it. Numbers below zero are what nobody told, and written as null. */

/* The number behind a name at the start of a line. */
static long read_field(const char *path, const char *name) {
  char text[1024], *line = text;
  if (read_text(AT_FDCWD, path, text, sizeof text) < 0) return -1;
  while (*line) {
    if (starts_with(line, name)) return parse_number(line + length(name));
    while (*line && *line != '\n') line++;
    if (*line) line++;
  }
  return -1;
}

static long read_number(const char *path) {
  char text[32];
  return read_text(AT_FDCWD, path, text, sizeof text) <= 0 || *text < '0' || *text > '9' ? -1 : parse_number(text);
}

/*
 * The cgroup that is mounted is this very container's only as PID 1. Version 1 has a folder for each controller, and
 * counts CPU time in nanoseconds.
 */
#define CGROUP(name) "/sys/fs/cgroup/" name

static long cgroup_field(const char *first, const char *second, const char *name) {
  if (!is_init) return -1;
  long value = read_field(first, name);
  return value < 0 ? read_field(second, name) : value;
}

static long cgroup_number(const char *first, const char *second) {
  if (!is_init) return -1;
  long value = read_number(first);
  return value < 0 ? read_number(second) : value;
}

static long cpu_us(const char *first, const char *second) {
  if (!is_init) return -1;
  long ns = read_number(first);
  return ns < 0 ? read_field(CGROUP("cpu.stat"), second) : ns / 1000;
}

/* Counters that only grow. In a container they are not at zero when the step begins: what made it was in it, too. */
struct counters { long cpu, user, system, read, written, received, sent; };

static struct counters before = {-1, -1, -1, -1, -1, -1, -1};

static char *skip_spaces(char *c) {
  while (*c == ' ') c++;
  return c;
}

/* Bytes over all interfaces but the loopback; unknown outside of a container, whose network is not the attempt's. */
static void read_traffic(struct counters *now) {
  char text[4096], *line = text;
  now->received = now->sent = -1;
  if (!is_init || read_text(AT_FDCWD, "/proc/self/net/dev", text, sizeof text) <= 0) return;
  now->received = now->sent = 0;
  while (*line) {
    char *c = skip_spaces(line), *name = c;
    while (*c && *c != ':' && *c != '\n') c++;
    if (*c == ':' && !starts_with(name, "lo:")) {
      /* Received bytes are the first of sixteen fields, sent ones the ninth. */
      for (int field = 0; field < 9; field++) {
        c = skip_spaces(c + 1);
        if (field == 0) now->received += parse_number(c);
        if (field == 8) now->sent += parse_number(c);
        while (*c >= '0' && *c <= '9') c++;
        if (*c != ' ') break;
      }
    }
    while (*line && *line != '\n') line++;
    if (*line) line++;
  }
}

static struct counters read_counters(void) {
  struct counters now;
  now.cpu = cpu_us(CGROUP("cpuacct/cpuacct.usage"), "usage_usec ");
  now.user = cpu_us(CGROUP("cpuacct/cpuacct.usage_user"), "user_usec ");
  now.system = cpu_us(CGROUP("cpuacct/cpuacct.usage_sys"), "system_usec ");
  /* Of this process and of all that were reaped: at the end, of every process of the attempt. */
  now.read = read_field("/proc/self/io", "read_bytes: ");
  now.written = read_field("/proc/self/io", "write_bytes: ");
  read_traffic(&now);
  return now;
}

static long since(long start, long now) { return start < 0 || now < start ? -1 : now - start; }

static long larger(long a, long b) { return a > b ? a : b; }

static char *append_named(char *end, const char *name, long value) {
  return append_number(append(append(append(end, ",\""), name), "\":"), value);
}

static char *append_figures(char *end) {
  struct counters now = read_counters();
  /* What the step's processes used is in rusage too, but without those that nobody waited for. */
  struct rusage children = {{0, 0}, {0, 0}, 0, {0}};
  sys2(SYS_getrusage, RUSAGE_CHILDREN, &children);
  long user = children.user.sec * 1000000 + children.user.usec;
  long system = children.system.sec * 1000000 + children.system.usec;
  end = append_named(end, "oomKills",
                     cgroup_field(CGROUP("memory/memory.oom_control"), CGROUP("memory.events"), "oom_kill "));
  end = append_named(end, "memoryPeakBytes",
                     cgroup_number(CGROUP("memory/memory.max_usage_in_bytes"), CGROUP("memory.peak")));
  end = append_named(end, "cpuUs", larger(since(before.cpu, now.cpu), user + system));
  end = append_named(end, "userUs", larger(since(before.user, now.user), user));
  end = append_named(end, "systemUs", larger(since(before.system, now.system), system));
  end = append_named(end, "maxRssKib", children.max_rss_kib);
  end = append_named(end, "readBytes", since(before.read, now.read));
  end = append_named(end, "writtenBytes", since(before.written, now.written));
  end = append_named(end, "pidsRefused", cgroup_field(CGROUP("pids/pids.events"), CGROUP("pids.events"), "max "));
  end = append_named(end, "receivedBytes", since(before.received, now.received));
  return append_named(end, "sentBytes", since(before.sent, now.sent));
}
