/*
 * What a run's network must not reach, said by routes of its namespace: no system call of a step changes those, as it has
 * no capability. Whoever holds the namespace open sets them first, and then gives up all rights.
 */

enum {
  AF_NETLINK = 16, SOCK_RAW = 3, SOCK_CLOEXEC = 02000000, NETLINK_ROUTE = 0, AF_INET = 2, AF_INET6 = 10,
  SIOCGIFINDEX = 0x8933, RTM_NEWROUTE = 24, NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_REPLACE = 0x100, NLM_F_CREATE = 0x400,
  NLMSG_ERROR = 2, RT_TABLE_MAIN = 254, RTPROT_STATIC = 4, RT_SCOPE_UNIVERSE = 0, RT_SCOPE_LINK = 253, RTN_UNICAST = 1,
  RTN_UNREACHABLE = 7, RTA_DST = 1, RTA_OIF = 4, NOBODY = 65534, RTF_UP = 1, RTF_GATEWAY = 2,
  FENCE_WAIT_MS = 10 * 1000, FENCE_POLL_MS = 5, ROUTES_MAX = 16
};

#include "egress.h"

struct route_request {
  struct { unsigned int length; unsigned short type, flags; unsigned int sequence, port; } head;
  struct { unsigned char family, bits, source_bits, tos, table, protocol, scope, type; unsigned int flags; } route;
  char attributes[64];
};

static void add_attribute(struct route_request *request, unsigned short type, const void *data, unsigned short count) {
  char *at = (char *)request + request->head.length;
  unsigned short head[2] = {(unsigned short)(4 + count), type};
  memcpy(at, head, 4);
  memcpy(at + 4, data, count);
  request->head.length += (unsigned int)(4 + ((count + 3) & ~3));
}

/* Replaces a route of the same destination. Returns 0, or a negative errno. */
static long set_route(int netlink, int family, const void *to, unsigned char bits, unsigned char type, unsigned int interface) {
  struct route_request request;
  struct { unsigned int length; unsigned short type, flags; unsigned int sequence, port; int error; char rest[512]; } answer;
  memset(&request, 0, sizeof request);
  request.head.length = sizeof request.head + sizeof request.route;
  request.head.type = RTM_NEWROUTE;
  request.head.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request.route.family = (unsigned char)family;
  request.route.bits = bits;
  request.route.table = RT_TABLE_MAIN;
  request.route.protocol = RTPROT_STATIC;
  request.route.scope = type == RTN_UNICAST ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  request.route.type = type;
  add_attribute(&request, RTA_DST, to, family == AF_INET ? 4 : 16);
  if (interface) add_attribute(&request, RTA_OIF, &interface, 4);
  long sent = sys3(SYS_write, netlink, &request, request.head.length);
  if (sent < 0) return sent;
  long count = sys3(SYS_read, netlink, &answer, sizeof answer);
  if (count < 20 || answer.type != NLMSG_ERROR) return count < 0 ? count : -EPERM;
  return answer.error;
}

/* ---- /proc/net/route: name, destination, gateway, flags, …, the eighth field the mask; numbers as they lie in memory ---- */

struct route { char interface[16]; unsigned int to, gateway, flags, mask; };

static unsigned int parse_hex(const char *text) {
  unsigned int value = 0;
  for (;; text++) {
    if (*text >= '0' && *text <= '9') value = value * 16 + (unsigned int)(*text - '0');
    else if (*text >= 'A' && *text <= 'F') value = value * 16 + (unsigned int)(*text - 'A' + 10);
    else return value;
  }
}

/* Returns how many there are, or -1 where they cannot be read as a whole. */
static int read_routes(struct route *routes) {
  static char text[8192];
  long count = read_text(AT_FDCWD, "/proc/net/route", text, sizeof text);
  int found = 0;
  if (count < 0 || count >= (long)sizeof text - 1) return -1;
  char *line = text;
  while (*line && *line != '\n') line++;
  while (*line && *++line) {
    const char *fields[8];
    int field = 0;
    if (found == ROUTES_MAX) return -1;
    for (char *c = line; field < 8; c++) {
      fields[field++] = c;
      while (*c && *c != '\t' && *c != '\n') c++;
      if (*c != '\t') break;
    }
    if (field < 8) return -1;
    struct route *route = &routes[found++];
    ulong name = (ulong)(fields[1] - fields[0] - 1);
    while (name > 0 && line[name - 1] == ' ') name--;
    if (name >= sizeof route->interface) return -1;
    memset(route->interface, 0, sizeof route->interface);
    memcpy(route->interface, line, name);
    route->to = parse_hex(fields[1]);
    route->gateway = parse_hex(fields[2]);
    route->flags = parse_hex(fields[3]);
    route->mask = parse_hex(fields[7]);
    while (*line && *line != '\n') line++;
  }
  return found;
}

static unsigned int address(unsigned char a, unsigned char b, unsigned char c, unsigned char d) {
  return (unsigned int)a | (unsigned int)b << 8 | (unsigned int)c << 16 | (unsigned int)d << 24;
}

static unsigned char bits_of(unsigned int mask) {
  unsigned char bits = 0;
  for (; mask; mask >>= 1) bits += mask & 1;
  return bits;
}

static unsigned int index_of(int socket, const char *interface) {
  struct { char name[16]; int index; char rest[20]; } request;
  memset(&request, 0, sizeof request);
  memcpy(request.name, interface, sizeof request.name);
  return sys3(SYS_ioctl, socket, SIOCGIFINDEX, &request) < 0 ? 0 : (unsigned int)request.index;
}

static unsigned int gateway_of(const struct route *routes, int count) {
  unsigned int gateway = 0;
  for (int i = 0; i < count; i++) if (routes[i].flags & RTF_GATEWAY && !routes[i].mask) gateway = routes[i].gateway;
  return gateway;
}

/* The others of its own network are other runs, and containers that are none of Berth's; only the way out stays. */
static void fence_neighbours(int netlink, const struct route *routes, int count) {
  unsigned int gateway = gateway_of(routes, count);
  for (int i = 0; i < count; i++) {
    const struct route *route = &routes[i];
    if (route->flags & RTF_GATEWAY || !route->mask || route->interface[0] == '*') continue;
    unsigned int interface = index_of(netlink, route->interface);
    if (!interface) give_up("cannot find a network interface");
    if (gateway && (gateway & route->mask) == route->to && route->mask != ~0U) {
      if (set_route(netlink, AF_INET, &gateway, 32, RTN_UNICAST, interface) < 0) give_up("cannot keep the way to the gateway");
    }
    if (route->mask == ~0U) continue;
    if (set_route(netlink, AF_INET, &route->to, bits_of(route->mask), RTN_UNREACHABLE, 0) < 0) give_up("cannot fence the network");
  }
}

/* By which clouds tell a machine its secrets, and whatever else is link-local. Sets the one that tells steps last. */
static void fence_metadata(int netlink) {
  static const unsigned char ec2[16] = {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
  const unsigned int single[] = {address(100, 100, 100, 200), address(192, 0, 0, 192)}, local = address(169, 254, 0, 0);
  for (ulong i = 0; i < sizeof single / sizeof *single; i++) {
    if (set_route(netlink, AF_INET, &single[i], 32, RTN_UNREACHABLE, 0) < 0) give_up("cannot fence the metadata address");
  }
  /* Where there is no IPv6 there is no such route either. */
  set_route(netlink, AF_INET6, ec2, 128, RTN_UNREACHABLE, 0);
  if (set_route(netlink, AF_INET, &local, 16, RTN_UNREACHABLE, 0) < 0) give_up("cannot fence the metadata address");
}

/*
 * The same once more by policies, which hold for sockets that are bound to an interface too. Where only some destinations are
 * allowed the gateway is none of them by itself, though packets pass it. A kernel without such policies has the routes.
 */
static void fence_by_policies(const struct route *routes, int count, char **allowed) {
  const unsigned int local = address(169, 254, 0, 0), gateway = gateway_of(routes, count);
  const unsigned int single[] = {address(100, 100, 100, 200), address(192, 0, 0, 192)};
  int netlink = (int)sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
  if (netlink < 0) {
    if (*allowed) give_up("this kernel has no xfrm policies (CONFIG_XFRM_USER), by which destinations are allowed");
    return;
  }
  long error = set_policy4(netlink, local, 16, XFRM_BLOCK, ORDER_METADATA);
  for (ulong i = 0; i < sizeof single / sizeof *single && error >= 0; i++) {
    error = set_policy4(netlink, single[i], 32, XFRM_BLOCK, ORDER_METADATA);
  }
  if (error >= 0 && !*allowed && gateway) error = set_policy4(netlink, gateway, 32, XFRM_ALLOW, ORDER_GATEWAY);
  for (int i = 0; i < count && error >= 0; i++) {
    if (routes[i].flags & RTF_GATEWAY || !routes[i].mask || routes[i].mask == ~0U || routes[i].interface[0] == '*') continue;
    error = set_policy4(netlink, routes[i].to, bits_of(routes[i].mask), XFRM_BLOCK, ORDER_NEIGHBOURS);
  }
  if (error < 0) give_up("cannot set the policies of the network");
  if (*allowed) allow_only(netlink, gateway, allowed);
  sys1(SYS_close, netlink);
}

static void become_nobody(void) {
  if (sys2(SYS_setgroups, 0, 0) < 0 || sys1(SYS_setgid, NOBODY) < 0 || sys1(SYS_setuid, NOBODY) < 0) give_up("cannot give up its rights");
}

/* `allowed`: the only destinations, ended by null; all where there is none. */
static void fence(char **allowed) {
  struct route routes[ROUTES_MAX];
  int count = read_routes(routes);
  if (count < 0) give_up("cannot read the routes");
  int netlink = (int)sys3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink < 0) give_up("cannot set routes");
  fence_neighbours(netlink, routes, count);
  fence_by_policies(routes, count, allowed);
  fence_metadata(netlink);
  sys1(SYS_close, netlink);
  become_nobody();
}

/* Whether the fence of this namespace stands. */
static int is_fenced(void) {
  struct route routes[ROUTES_MAX];
  int count = read_routes(routes);
  for (int i = 0; i < count; i++) {
    if (routes[i].interface[0] == '*' && routes[i].to == address(169, 254, 0, 0)) return 1;
  }
  return 0;
}

/* The holder of the namespace sets it a moment after it was started, which is when a step may join. */
static int wait_for_fence(void) {
  long deadline = now_ms() + FENCE_WAIT_MS;
  while (!is_fenced()) {
    struct timespec pause = {0, FENCE_POLL_MS * 1000000};
    if (now_ms() > deadline) return 0;
    sys2(SYS_nanosleep, &pause, 0);
  }
  return 1;
}
