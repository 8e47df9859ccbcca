/** CoAP messages for the load generator, made once; only message id and token change from one to the next. */

export const GET = 1;
export const PUT = 3;
export const CON = 0;
const OBSERVE = 6;
const URI_PATH = 11;
const URI_QUERY = 15;

/**
 * A CON request with a 4-byte token.
 * @param {number} code
 * @param {string} path
 * @param {{payload?: string, observe?: boolean, query?: string}} [more]
 */
export function request(code, path, { payload = "", observe = false, query } = {}) {
  /** @type {[number, Buffer][]} */
  const options = [];
  if (observe) options.push([OBSERVE, Buffer.alloc(0)]);
  for (const segment of path.split("/")) options.push([URI_PATH, Buffer.from(segment)]);
  if (query !== undefined) options.push([URI_QUERY, Buffer.from(query)]);
  const parts = [Buffer.from([0x44 | (CON << 4), code, 0, 0, 0, 0, 0, 0])];
  let previous = 0;
  for (const [number, value] of options) {
    if (value.length > 268) throw new Error("longer options are not needed here");
    // RFC 7252 §3.1: from 13 on the length stands behind.
    const long = value.length > 12;
    parts.push(Buffer.from([((number - previous) << 4) | (long ? 13 : value.length)]));
    parts.push(...(long ? [Buffer.from([value.length - 13])] : []), value);
    previous = number;
  }
  if (payload !== "") parts.push(Buffer.from([0xff]), Buffer.from(payload));
  return Buffer.concat(parts);
}

/**
 * @param {Buffer} message
 * @param {number} id
 */
export function stamp(message, id) {
  message.writeUInt16BE(id & 0xffff, 2);
  message.writeUInt32BE(id >>> 0, 4);
}

/** @param {Buffer} message */
export const typeOf = (message) => ((message[0] ?? 0) >> 4) & 3;

/**
 * The empty ACK or RST for a message.
 * @param {Buffer} message
 * @param {2 | 3} type
 */
export const empty = (message, type) =>
  Buffer.from([0x40 | (type << 4), 0, message[2] ?? 0, message[3] ?? 0]);
