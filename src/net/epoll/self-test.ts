import { getSystemErrorName } from "node:util";
import { Descriptor, sockaddrOf } from "../system/descriptor.ts";
import {
  ACCEPTED_SOCKET,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLLIN,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCKADDR_BYTES,
  STREAM_SOCKET,
} from "../system/linux.ts";
import { type SystemCalls, systemCalls } from "../system/system-calls.ts";
import { EpollSet, EVENT_DATA, EVENT_WORDS } from "./set.ts";

const LOCALHOST = "127.0.0.1";
const MARK = 0x12345678;
const BYTES = Uint8Array.of(1, 2, 3);

let made: EpollSet | Error | undefined;

/** The set of this thread, once it was tried. An error says why there is none. */
export function epollSet(): EpollSet | Error {
  made ??= makeSet(systemCalls());
  return made;
}

function makeSet(calls: SystemCalls | Error): EpollSet | Error {
  if (calls instanceof Error) return calls;
  try {
    const problem = tryLoopback(calls);
    return problem === undefined ? new EpollSet(calls) : new Error(`the test of epoll failed: ${problem}`);
  } catch (error) {
    return error as Error;
  }
}

/** Connects to itself. A layout that is another than this system's shows here, where nothing depends on it. */
function tryLoopback(calls: SystemCalls): string | undefined {
  const open: number[] = [];
  const failed = (call: string): string => `${call} ${getSystemErrorName(-calls.error())}`;
  const kept = (descriptor: number): number => {
    if (descriptor >= 0) open.push(descriptor);
    return descriptor;
  };
  try {
    const listener = Descriptor.open(calls, false, STREAM_SOCKET);
    kept(listener.number);
    listener.bind(LOCALHOST, 0, {});
    listener.listen(1);
    const set = kept(calls.epoll_create1(EPOLL_CLOEXEC));
    const event = new Uint32Array(new ArrayBuffer(4 * EVENT_WORDS));
    event[0] = EPOLLIN;
    event[EVENT_DATA] = listener.number;
    event[EVENT_DATA + 1] = MARK;
    if (calls.epoll_ctl(set, EPOLL_CTL_ADD, listener.number, event) !== 0) return failed("epoll_ctl");
    const client = Descriptor.open(calls, false, STREAM_SOCKET);
    kept(client.number);
    const to = sockaddrOf(LOCALHOST, listener.name().port);
    // It does not block, and says that it goes on.
    calls.connect(client.number, to, to.length);
    const told = new Uint32Array(new ArrayBuffer(4 * EVENT_WORDS * 2));
    if (calls.epoll_wait(set, told, 2, 1000) !== 1) return "epoll_wait tells of nothing";
    const [ready = 0] = told;
    const right = told[EVENT_DATA] === listener.number && told[EVENT_DATA + 1] === MARK;
    if ((ready & EPOLLIN) === 0 || !right) return "epoll_wait tells of something else";
    const name = new Uint8Array(SOCKADDR_BYTES);
    const length = new Uint32Array([name.length]);
    const accepted = kept(calls.accept4(listener.number, name, length, ACCEPTED_SOCKET));
    if (accepted < 0) return failed("accept4");
    const sent = calls.send(client.number, BYTES, BYTES.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent !== BYTES.length) return failed("send");
    const received = new Uint8Array(new ArrayBuffer(16));
    const count = calls.recv(accepted, received, received.length, MSG_DONTWAIT);
    return count === BYTES.length && BYTES.every((byte, at) => received[at] === byte)
      ? undefined
      : "other bytes were received than sent";
  } finally {
    for (const descriptor of open) calls.close(descriptor);
  }
}
