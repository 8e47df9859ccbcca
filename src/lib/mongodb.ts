/** The driver of MongoDB, loaded when it is used. */
import { FrameWatch, type Framing } from "./frames.ts";

type Library = typeof import("mongodb");

/** MongoDB's wire protocol: a length with its own four octets, a header of sixteen. */
const MESSAGES: Framing = {
  head: 4,
  lengthOf(head) {
    const length = head.readInt32LE(0);
    return length >= HEADER && length <= MESSAGE_MAX ? length : undefined;
  },
};
const HEADER = 16;
/** A server's `maxMessageSizeBytes`, and more than the documents of one answer. */
const MESSAGE_MAX = 48_000_000 + 16_384;

/** What of the driver divides a stream into messages. */
interface Divider {
  _transform(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error) => void): void;
}

let loading: Promise<Library> | undefined;

/**
 * Version 6.20 divides what comes by its lengths alone: a length of 0 it reads for ever, and it waits for all that a long
 * one promises. So lengths are looked at before.
 */
export function loadMongodb(): Promise<Library> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Library> {
  const library = await import("mongodb");
  // What it does not export has no types either.
  const path: string = "mongodb/lib/cmap/connection.js";
  const inner = (await import(path)) as { readonly SizedMessageTransform: { readonly prototype: Divider } };
  const divider = inner.SizedMessageTransform.prototype;
  const usual = divider._transform;
  const watches = new WeakMap<Divider, FrameWatch>();
  divider._transform = function (chunk, encoding, done) {
    const watch = watches.get(this) ?? new FrameWatch(MESSAGES);
    watches.set(this, watch);
    if (watch.passes(chunk)) usual.call(this, chunk, encoding, done);
    else done(new library.MongoParseError("what it answers is no message of MongoDB"));
  };
  return library;
}
