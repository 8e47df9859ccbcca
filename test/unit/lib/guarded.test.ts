/** A library that throws where it reads from a socket, as kafkajs does on an answer without octets. */
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { ANSWER_MAX, guarded } from "#core/lib/guarded.ts";

it.each(["data", "readable"])(
  "a reader that throws at '%s' breaks its socket, which says why",
  async (event) => {
    const socket = guarded(new PassThrough());
    socket.on(event, () => {
      throw new RangeError("outside of the buffer");
    });
    const broken = new Promise((resolve) => socket.on("error", resolve));
    socket.write("rubbish");
    expect(await broken).toMatchObject({ message: "what it answers cannot be read: outside of the buffer" });
    expect(socket.destroyed).toBe(true);
  },
);

it("breaks a socket at which more comes than anybody answers to one question", async () => {
  const socket = guarded(Object.assign(new PassThrough(), { bytesWritten: 0 }));
  socket.on("data", () => {});
  const broken = new Promise((resolve) => socket.on("error", resolve));
  const part = Buffer.alloc(ANSWER_MAX / 4);
  for (let count = 0; count < 4; count++) await new Promise((taken) => socket.write(part, taken));
  // Asked for more, it may answer as much again.
  socket.bytesWritten = 1;
  for (let count = 0; count < 4; count++) await new Promise((taken) => socket.write(part, taken));
  expect(socket.destroyed).toBe(false);
  socket.write(Buffer.alloc(1));
  expect(await broken).toMatchObject({ message: "it answers without an end" });
});

it("what else throws is thrown", () => {
  const socket = guarded(new PassThrough());
  socket.on("other", () => {
    throw new TypeError("x");
  });
  expect(() => socket.emit("other")).toThrow(TypeError);
});
