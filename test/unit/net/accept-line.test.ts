import { createConnection, Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Note } from "#core/contract/note.ts";
import { type Duration, milliseconds, ZERO } from "#core/lib/time.ts";
import { A_TURN, A_TURN_OF_HANDSHAKES, AcceptLine } from "#core/net/accept-line.ts";
import { listenStream } from "#core/net/listen.ts";
import type { Listening, StreamListenerOptions } from "#core/net/transport.ts";
import { Recorder, streamOptions } from "./support.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** A listener with a rate that the test decides. */
async function listener(changes: Partial<StreamListenerOptions> = {}) {
  const recorder = new Recorder();
  const notes: Note[] = [];
  const rate = { room: 0 };
  const roomIn = (): Duration => (rate.room > 0 ? ZERO : milliseconds(1));
  const accept = (connection: Parameters<Recorder["accept"]>[0]) => {
    rate.room--;
    return recorder.accept(connection);
  };
  const options = streamOptions({ handshakeTimeout: milliseconds(60_000), roomIn, ...changes });
  const listening: Listening = await listenStream(options, accept, (note) => notes.push(note));
  open.push(listening);
  const dial = (from = "127.0.0.1"): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = createConnection({ port: listening.port, host: "127.0.0.1", localAddress: from });
      socket.on("error", () => {});
      socket.on("connect", () => resolve(socket));
      open.push({ close: () => socket.destroy() });
    });
  return { recorder, notes, rate, dial };
}

const until = async (true_: () => boolean): Promise<void> => {
  while (!true_()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test("connections of a burst wait until the rate has room, with what they have sent, and it is said once", async () => {
  const { recorder, notes, rate, dial } = await listener();
  const sockets = await Promise.all(Array.from({ length: 50 }, () => dial()));
  for (const socket of sockets) socket.write("x");
  await until(() => notes.length > 0);
  expect(recorder.connections.length).toBe(0);
  rate.room = 20;
  await until(() => recorder.connections.length === 20);
  rate.room = 1_000;
  await until(() => recorder.connections.length === 50 && recorder.bytes.length === 50);
  expect(recorder.closes).toEqual([]);
  expect(notes.map(({ event }) => event)).toEqual(["connections-wait"]);
});

test("those of one address make no other wait for more than its turn", async () => {
  const rate = { room: 0 };
  const accepted: (string | undefined)[] = [];
  const roomIn = (): Duration => (rate.room > 0 ? ZERO : milliseconds(1));
  const line = new AcceptLine(
    { places: 100, patience: 60_000, roomIn, aTurn: A_TURN },
    ({ remoteAddress }) => {
      rate.room--;
      accepted.push(remoteAddress);
    },
    () => {},
  );
  open.push(line);
  const offer = (address: string) =>
    line.offer(Object.defineProperty(new Socket(), "remoteAddress", { value: address }));
  for (let count = 0; count < 50; count++) offer("127.0.0.2");
  offer("127.0.0.3");
  rate.room = 2;
  await until(() => accepted.length === 2);
  expect([accepted.sort(), line.length]).toEqual([["127.0.0.2", "127.0.0.3"], 49]);
});

test.each([
  ["sixteen are taken in each turn of the event loop", A_TURN, [16, 32, 40, 40]],
  ["four are where each begins a handshake", A_TURN_OF_HANDSHAKES, [4, 8, 12, 16]],
])("of a burst within the rate, %s, and nobody is told that they wait (17.4)", async (_, aTurn, turns) => {
  const accepted: Socket[] = [];
  const notes: Note[] = [];
  const line = new AcceptLine(
    { places: 100, patience: 60_000, roomIn: () => ZERO, aTurn },
    (socket: Socket) => accepted.push(socket),
    (note) => notes.push(note),
  );
  open.push(line);
  const sockets = Array.from({ length: 40 }, () => new Socket());
  for (const socket of sockets) line.offer(socket);
  const seen = [accepted.length];
  while (seen.length < turns.length) {
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(accepted.length);
  }
  expect([seen, notes]).toEqual([turns, []]);
  while (accepted.length < sockets.length) await new Promise((resolve) => setImmediate(resolve));
  expect(accepted).toEqual(sockets);
  // A turn of which nothing was taken.
  await new Promise((resolve) => setImmediate(resolve));
  // The next is alone, and taken at once.
  line.offer(new Socket());
  expect(accepted.length).toBe(41);
});

test("where so many may be under way at a time, the others are taken as those are done", async () => {
  const accepted: Socket[] = [];
  const line = new AcceptLine(
    { places: 100, patience: 60_000, roomIn: () => ZERO, aTurn: A_TURN_OF_HANDSHAKES, parallel: 6 },
    (socket: Socket) => accepted.push(socket),
    () => {},
  );
  open.push(line);
  const sockets = Array.from({ length: 12 }, () => new Socket());
  for (const socket of sockets) line.offer(socket);
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
    return accepted.length;
  };
  const seen = [await turns(10)];
  line.done();
  line.done();
  seen.push(await turns(10));
  for (let done = 0; done < 6; done++) line.done();
  seen.push(await turns(10));
  expect([seen, line.length]).toEqual([[6, 8, 12], 0]);
  expect(accepted).toEqual(sockets);
});

test("what is one too many is refused, of the address that has most, and that is said once", async () => {
  const { recorder, notes, rate, dial } = await listener({ waiting: 10 });
  const many = await Promise.all(Array.from({ length: 30 }, () => dial("127.0.0.2")));
  let refused = 0;
  for (const socket of many) socket.on("close", () => refused++).resume();
  await until(() => refused === 20);
  await dial("127.0.0.3");
  await until(() => refused === 21);
  rate.room = 1_000;
  await until(() => recorder.connections.length === 10);
  expect(recorder.connections.some(({ peer }) => peer.address === "127.0.0.3")).toBe(true);
  expect(notes.map(({ event }) => event)).toEqual(["connections-wait", "connections-refused"]);
});
