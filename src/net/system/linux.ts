/** Numbers of Linux on x64 and arm64, from its headers. */

export const AF_INET = 2;
export const AF_INET6 = 10;
/** SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC */
export const DATAGRAM_SOCKET = 2 | 0o4000 | 0o2000000;

/** SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC */
export const STREAM_SOCKET = 1 | 0o4000 | 0o2000000;
/** SOCK_NONBLOCK | SOCK_CLOEXEC, of what `accept4` gives. */
export const ACCEPTED_SOCKET = 0o4000 | 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_REUSEPORT = 15;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
/** Which socket of those that share a port gets a datagram: a program of classic BPF says. */
export const SO_ATTACH_REUSEPORT_CBPF = 51;

export const IPPROTO_IP = 0;
export const IP_PKTINFO = 8;
export const IP_ADD_MEMBERSHIP = 35;
/** 0: what comes to a group that only others have joined is not for this socket. */
export const IP_MULTICAST_ALL = 49;

export const IPPROTO_IPV6 = 41;
export const IPV6_JOIN_GROUP = 20;
export const IPV6_V6ONLY = 26;
export const IPV6_MULTICAST_ALL = 29;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;

export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
/** Seconds of silence after which the kernel asks. */
export const TCP_KEEPIDLE = 4;
/** Seconds between its questions, and after how many of them without an answer the peer is gone. */
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;

export const SHUT_WR = 1;

export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

export const F_DUPFD_CLOEXEC = 1030;

export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
/** The datagram was longer than its place. */
export const MSG_TRUNC = 0x20;

export const EPERM = 1;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const EINVAL = 22;
export const EPROTO = 71;
export const ENOTSOCK = 88;
export const ECONNABORTED = 103;

/** struct sockaddr_in6, the longer of the two. */
export const SOCKADDR_BYTES = 28;
export const SOCKADDR_IN_BYTES = 16;
