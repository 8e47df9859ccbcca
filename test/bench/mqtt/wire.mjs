/** Just enough MQTT to load a broker: packets encoded once, frames counted and never decoded. */

export const CONNACK = 0x20;
export const PUBLISH = 0x30;
export const PUBACK = 0x40;
export const PUBREC = 0x50;
export const PUBREL = 0x62;
export const PUBCOMP = 0x70;
export const SUBACK = 0x90;

/** What every connection announces, in seconds, as a device would; longer than any cell. */
const KEEP_ALIVE = 600;

/** Packet ids of one publisher go round in this many; must exceed every window. */
export const ID_ROUND = 8192;

/** @param {number} length */
function remainingLength(length) {
  const bytes = [];
  do {
    bytes.push((length % 128) + (length >= 128 ? 128 : 0));
    length = Math.floor(length / 128);
  } while (length > 0);
  return Buffer.from(bytes);
}

/** @param {string} text */
function utf8(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/**
 * @param {number} first
 * @param {Buffer[]} parts
 */
function packet(first, parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([first]), remainingLength(body.length), body]);
}

/** @param {4 | 5} version */
const noProperties = (version) => Buffer.alloc(version === 5 ? 1 : 0);

/**
 * @param {string} clientId
 * @param {4 | 5} version
 */
export function encodeConnect(clientId, version) {
  const cleanStart = 0x02;
  const variable = Buffer.from([version, cleanStart, KEEP_ALIVE >> 8, KEEP_ALIVE & 255]);
  return packet(0x10, [utf8("MQTT"), variable, noProperties(version), utf8(clientId)]);
}

/**
 * @param {string} filter
 * @param {number} qos
 * @param {4 | 5} version
 */
export function encodeSubscribe(filter, qos, version) {
  return packet(0x82, [Buffer.from([0, 1]), noProperties(version), utf8(filter), Buffer.from([qos])]);
}

/**
 * @param {string} topic
 * @param {number} qos
 * @param {number} id   ignored at QoS 0
 * @param {Buffer} payload
 * @param {4 | 5} version
 */
export function encodePublish(topic, qos, id, payload, version) {
  const packetId = qos === 0 ? Buffer.alloc(0) : Buffer.from([id >> 8, id & 255]);
  return packet(PUBLISH | (qos << 1), [utf8(topic), packetId, noProperties(version), payload]);
}

export const DISCONNECT = Buffer.from([0xe0, 0]);

/**
 * Every PUBLISH one publisher will ever send, end to end, so that any number of them is one or two writes of
 * bytes that are never copied.
 */
export class PublishRing {
  /**
   * @param {string} topic
   * @param {number} qos
   * @param {Buffer} payload
   * @param {4 | 5} version
   * @param {number} [room]   frames in the ring; must exceed what is in flight at QoS 1 and 2
   */
  constructor(topic, qos, payload, version, room = ID_ROUND) {
    const frames = Array.from({ length: room }, (_, i) => encodePublish(topic, qos, i + 1, payload, version));
    this.frameLength = frames[0]?.length ?? 0;
    this.bytes = Buffer.concat(frames);
    this.next = 0;
  }

  /**
   * @param {import("./connections.mjs").ConnectionSocket} socket
   * @param {number} count   frames
   */
  send(socket, count) {
    let left = count * this.frameLength;
    while (left > 0) {
      const end = Math.min(this.next + left, this.bytes.length);
      socket.write(this.bytes.subarray(this.next, end));
      left -= end - this.next;
      this.next = end === this.bytes.length ? 0 : end;
    }
  }
}

/** Longest frame that may be cut by the end of a chunk. */
const CARRY_BYTES = 4096;

/** Finds the frames in a stream's chunks. */
export class Frames {
  /** @param {(bytes: Buffer, at: number, length: number) => void} onFrame */
  constructor(onFrame) {
    this.onFrame = onFrame;
    /** @type {Buffer | undefined} */
    this.carry = undefined;
    this.held = 0;
  }

  /**
   * @param {Buffer} chunk
   * @param {number} end
   */
  feed(chunk, end) {
    let at = this.held === 0 ? 0 : this.#complete(chunk, end);
    while (at < end) {
      const length = frameLength(chunk, at, end);
      if (length === 0 || at + length > end) {
        this.#keep(chunk, at, end);
        return;
      }
      this.onFrame(chunk, at, length);
      at += length;
    }
  }

  /**
   * @param {Buffer} chunk
   * @param {number} from
   * @param {number} end
   */
  #keep(chunk, from, end) {
    this.carry ??= Buffer.allocUnsafeSlow(CARRY_BYTES);
    if (this.held + end - from > CARRY_BYTES) throw new Error("a frame is longer than the generator expects");
    chunk.copy(this.carry, this.held, from, end);
    this.held += end - from;
  }

  /**
   * @param {Buffer} chunk
   * @param {number} end
   */
  #complete(chunk, end) {
    const carry = /** @type {Buffer} */ (this.carry);
    let at = 0;
    while (at < end) {
      const length = frameLength(carry, 0, this.held);
      const missing = length === 0 ? 1 : length - this.held;
      const take = Math.min(missing, end - at);
      this.#keep(chunk, at, at + take);
      at += take;
      if (length !== 0 && this.held === length) break;
      // A header that was cut may turn out to be a whole frame.
      if (length === 0 && frameLength(carry, 0, this.held) === this.held) break;
    }
    if (frameLength(carry, 0, this.held) === this.held) {
      this.onFrame(carry, 0, this.held);
      this.held = 0;
    }
    return at;
  }
}

/**
 * Octets of the frame that begins at `at`; 0 while its header is not complete.
 * @param {Buffer} bytes
 * @param {number} at
 * @param {number} end
 */
function frameLength(bytes, at, end) {
  let value = 0;
  for (let i = 1; i <= 4 && at + i < end; i++) {
    const byte = bytes[at + i] ?? 0;
    value += (byte & 127) * 128 ** (i - 1);
    if (byte < 128) return 1 + i + value;
  }
  return 0;
}
