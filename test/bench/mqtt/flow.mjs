/**
 * One flow: some publishers, some subscribers, and a window that keeps the broker busy without flooding it.
 *
 * A publisher may have `window` messages unacknowledged (QoS 1 and 2). The flow as a whole may have `ahead`
 * messages sent and not yet delivered to every subscriber; at QoS 0 that is the window itself, at QoS 1 and 2 it
 * is twice the window and only keeps a broker that acknowledges faster than it delivers from growing its queues.
 * A window of one is a ping-pong: the next message waits for both the delivery and the acknowledgement.
 */
import { Frames, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL } from "./wire.mjs";

/** At QoS 0 with one window for many publishers, a publisher sends at most this many in its turn. */
const TURN = 10;

/** Window of one message: every round trip is timed, up to this many. */
const TIMES_KEPT = 1_000_000;

export class Flow {
  /**
   * @param {object} how
   * @param {0 | 1 | 2} how.qos
   * @param {import("./connections.mjs").Connection[]} how.publishers
   * @param {import("./wire.mjs").PublishRing[]} how.rings   one for each publisher
   * @param {import("./connections.mjs").Connection[]} how.subscribers
   * @param {number} how.window   of each publisher; at QoS 0 of the flow
   */
  constructor(how) {
    this.qos = how.qos;
    this.publishers = how.publishers;
    this.rings = how.rings;
    this.nobody = how.subscribers.length === 0;
    this.fan = Math.max(1, how.subscribers.length);
    this.timing = how.window === 1 && how.publishers.length === 1 && how.subscribers.length === 1;
    this.ahead = how.qos === 0 || this.timing ? how.window : how.window * how.publishers.length * 2;
    this.window = how.qos === 0 ? Number.POSITIVE_INFINITY : how.window;
    this.sent = 0;
    this.acknowledged = 0;
    this.delivered = 0;
    this.turn = 0;
    this.running = false;
    /** @type {number[]} unacknowledged messages of each publisher */
    this.inFlight = how.publishers.map(() => 0);
    /** @type {number[]} publishers that may send but for `ahead`, in order */
    this.ready = how.publishers.map((_, i) => i);
    this.isReady = how.publishers.map(() => true);
    this.frameLength = how.rings[0]?.frameLength ?? 0;
    this.times = new Float64Array(this.timing ? TIMES_KEPT : 0);
    this.timed = 0;
    this.sentAt = 0;
    how.publishers.forEach((publisher, i) => {
      const frames = new Frames((bytes, at) => this.#acknowledge(i, bytes, at));
      publisher.onChunk = (chunk, end) => {
        if (this.qos === 2) this.answer.start(end);
        frames.feed(chunk, end);
        if (this.qos === 2) this.answer.flush(publisher.socket);
        this.pump();
      };
    });
    for (const subscriber of how.subscribers) this.#listen(subscriber);
    this.answer = new Answers();
  }

  /** @param {import("./connections.mjs").Connection} subscriber */
  #listen(subscriber) {
    if (this.qos === 0) {
      // Deliveries are all of one length, so octets are counted, and one header in each chunk is looked at.
      let odd = 0;
      subscriber.onChunk = (chunk, end) => {
        const head = odd === 0 ? 0 : this.frameLength - odd;
        if (head < end && chunk[head] !== PUBLISH) throw new Error("a delivery is not the expected PUBLISH");
        const all = odd + end;
        const count = Math.floor(all / this.frameLength);
        odd = all - count * this.frameLength;
        this.#count(count);
        this.pump();
      };
      return;
    }
    const frames = new Frames((bytes, at, length) => this.#delivery(bytes, at, length));
    subscriber.onChunk = (chunk, end) => {
      this.answer.start(end);
      frames.feed(chunk, end);
      this.answer.flush(subscriber.socket);
      this.pump();
    };
  }

  /** @param {number} count */
  #count(count) {
    this.delivered += count;
    if (this.timing && count > 0 && this.timed < TIMES_KEPT) {
      this.times[this.timed++] = performance.now() - this.sentAt;
    }
  }

  /**
   * @param {Buffer} bytes
   * @param {number} at
   * @param {number} length
   */
  #delivery(bytes, at, length) {
    const kind = bytes[at] ?? 0;
    if ((kind & 0xf0) === PUBLISH) {
      // Frames differ from ours in the packet id only, which follows the topic.
      const topicAt = at + (length > 129 ? 3 : 2);
      const idAt = topicAt + 2 + (bytes.readUInt16BE(topicAt) | 0);
      this.answer.add(this.qos === 1 ? PUBACK : PUBREC, bytes[idAt] ?? 0, bytes[idAt + 1] ?? 0);
      this.#count(1);
    } else if (kind === PUBREL) {
      this.answer.add(PUBCOMP, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0);
    } else {
      throw new Error(`a subscriber got a packet of type ${kind}`);
    }
  }

  /**
   * @param {number} publisher
   * @param {Buffer} bytes
   * @param {number} at
   */
  #acknowledge(publisher, bytes, at) {
    const kind = bytes[at] ?? 0;
    if (kind === PUBREC) {
      this.answer.add(PUBREL, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0);
      return;
    }
    if (kind !== PUBACK && kind !== PUBCOMP) throw new Error(`a publisher got a packet of type ${kind}`);
    this.acknowledged += 1;
    // Where nobody is delivered to, the acknowledgement is what comes of a message.
    if (this.nobody) this.#count(1);
    this.inFlight[publisher] = (this.inFlight[publisher] ?? 0) - 1;
    this.#makeReady(publisher);
  }

  /** @param {number} publisher */
  #makeReady(publisher) {
    if (this.isReady[publisher]) return;
    this.isReady[publisher] = true;
    this.ready.push(publisher);
  }

  start() {
    this.running = true;
    this.pump();
  }

  /** Sends what the windows allow. */
  pump() {
    if (!this.running) return;
    let room = this.ahead - (this.sent - Math.floor(this.delivered / this.fan));
    while (room > 0 && this.ready.length > 0) {
      const publisher = /** @type {number} */ (this.ready.shift());
      const own = this.window - (this.inFlight[publisher] ?? 0);
      const turn = this.publishers.length > 1 && this.qos === 0 ? TURN : room;
      const count = Math.min(room, own, turn);
      this.isReady[publisher] = false;
      if (this.timing) this.sentAt = performance.now();
      this.rings[publisher]?.send(/** @type {any} */ (this.publishers[publisher]).socket, count);
      this.sent += count;
      room -= count;
      if (this.qos !== 0) this.inFlight[publisher] = (this.inFlight[publisher] ?? 0) + count;
      if (count < own) this.#makeReady(publisher);
    }
  }

  /** Deliveries that were due and have not come. */
  missing() {
    return this.sent * this.fan - this.delivered;
  }
}

/** Collects the four-octet answers to one chunk, for one write. */
class Answers {
  constructor() {
    this.bytes = Buffer.allocUnsafe(0);
    this.length = 0;
  }

  /** @param {number} chunkLength   no chunk asks for more octets than it has, plus a frame that was cut */
  start(chunkLength) {
    this.bytes = Buffer.allocUnsafe(chunkLength + 4);
    this.length = 0;
  }

  /**
   * @param {number} kind
   * @param {number} high
   * @param {number} low
   */
  add(kind, high, low) {
    const { bytes, length } = this;
    bytes[length] = kind;
    bytes[length + 1] = 2;
    bytes[length + 2] = high;
    bytes[length + 3] = low;
    this.length = length + 4;
  }

  /** @param {import("./connections.mjs").ConnectionSocket} socket */
  flush(socket) {
    if (this.length > 0) socket.write(this.bytes.subarray(0, this.length));
  }
}
