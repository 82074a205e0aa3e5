/*
 * What the shim needs of the kernel, declared here so that the build depends on no installed headers: system calls,
 * constants and structures of Linux on x86-64 and arm64.
 */
typedef unsigned long ulong;

#if defined(__x86_64__)
enum {
  SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_getpid = 39, SYS_ioctl = 16, SYS_nanosleep = 35,
  SYS_socket = 41, SYS_setuid = 105, SYS_setgid = 106, SYS_setgroups = 116,
  SYS_clone = 56, SYS_execve = 59, SYS_wait4 = 61, SYS_kill = 62, SYS_chdir = 80, SYS_umask = 95, SYS_getrusage = 98,
  SYS_setsid = 112, SYS_prctl = 157, SYS_getdents64 = 217, SYS_clock_gettime = 228, SYS_exit_group = 231,
  SYS_inotify_add_watch = 254, SYS_openat = 257, SYS_renameat = 264, SYS_faccessat = 269, SYS_ppoll = 271,
  SYS_mkdirat = 258, SYS_signalfd4 = 289, SYS_dup3 = 292, SYS_pipe2 = 293, SYS_inotify_init1 = 294,
  SYS_prlimit64 = 302
};
enum { O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000 };

static long syscall6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call shim_start\n");
#elif defined(__aarch64__)
enum {
  SYS_dup3 = 24, SYS_inotify_init1 = 26, SYS_inotify_add_watch = 27, SYS_mkdirat = 34, SYS_renameat = 38, SYS_faccessat = 48, SYS_chdir = 49,
  SYS_openat = 56, SYS_close = 57, SYS_pipe2 = 59, SYS_getdents64 = 61, SYS_read = 63, SYS_write = 64,
  SYS_ppoll = 73, SYS_signalfd4 = 74, SYS_exit_group = 94, SYS_clock_gettime = 113, SYS_kill = 129,
  SYS_rt_sigaction = 134, SYS_rt_sigprocmask = 135, SYS_setsid = 157, SYS_getrusage = 165, SYS_umask = 166,
  SYS_prctl = 167, SYS_prlimit64 = 261, SYS_getpid = 172, SYS_ioctl = 29, SYS_nanosleep = 101, SYS_socket = 198, SYS_setuid = 146,
  SYS_setgid = 144, SYS_setgroups = 159, SYS_clone = 220, SYS_execve = 221, SYS_wait4 = 260
};
enum { O_DIRECTORY = 040000, O_NOFOLLOW = 0100000 };

static long syscall6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
  return x0;
}

__asm__(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  and sp, x0, #-16\n  bl shim_start\n");
#else
#error "berth-shim is written for x86-64 and arm64"
#endif

#define sys0(n) syscall6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a) syscall6(n, (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b) syscall6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) syscall6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define sys5(n, a, b, c, d, e) syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

enum {
  O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000, O_APPEND = 02000,
  O_NONBLOCK = 04000, O_CLOEXEC = 02000000, AT_FDCWD = -100
};
enum { ENOENT = 2, EACCES = 13, EEXIST = 17, E2BIG = 7, ENOTDIR = 20, ECHILD = 10, EINTR = 4, EPERM = 1, EAFNOSUPPORT = 97, ENETUNREACH = 101 };
enum {
  SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGUSR1 = 10, SIGUSR2 = 12, SIGTERM = 15, SIGCHLD = 17,
  SIGSTOP = 19, SIGNALS = 64
};
enum { SIG_SETMASK = 2, WNOHANG = 1, POLLIN = 1, RUSAGE_CHILDREN = -1, CLOCK_MONOTONIC = 1 };
enum { PR_SET_CHILD_SUBREAPER = 36, IN_CREATE = 0x100, IN_MOVED_TO = 0x80 };

struct timespec { long sec, nsec; };
struct pollfd { int fd; short events, revents; };
struct rusage { struct { long sec, usec; } user, system; long max_rss_kib; long rest[13]; };
struct dirent64 { ulong ino; long offset; unsigned short length; unsigned char type; char name[]; };
struct kernel_sigaction { void *handler; ulong flags; void *restorer; ulong mask; };
