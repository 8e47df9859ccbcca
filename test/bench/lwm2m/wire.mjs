/** CoAP as LwM2M devices of the load generator speak it, with options of any length. */

export const CON = 0;
export const NON = 1;
export const ACK = 2;
export const GET = 1;
export const POST = 2;
export const CHANGED = 0x44;
export const CONTENT = 0x45;
const OBSERVE = 6;
const URI_PATH = 11;
const CONTENT_FORMAT = 12;
const URI_QUERY = 15;

/** @param {number} value */
const uint = (value) => {
  const bytes = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from(bytes);
};

/**
 * @param {{type: number, code: number, id: number, token: Buffer, options: [number, Buffer][], payload?: Buffer}} how
 */
export function message({ type, code, id, token, options, payload }) {
  const parts = [Buffer.from([0x40 | (type << 4) | token.length, code, id >> 8, id & 0xff]), token];
  let last = 0;
  for (const [number, value] of options) {
    const delta = number - last;
    const long = value.length > 12;
    parts.push(
      Buffer.from([(delta << 4) | (long ? 13 : value.length), ...(long ? [value.length - 13] : [])]),
      value,
    );
    last = number;
  }
  if (payload !== undefined && payload.length > 0) parts.push(Buffer.from([0xff]), payload);
  return Buffer.concat(parts);
}

const LINKS = Buffer.from('</>;rt="oma.lwm2m";ct="110 112 11542",</1/0>,</2>,</3/0>,</4/0>,</5/0>,</3303/0>');

/**
 * POST /rd for an endpoint.
 * @param {string} ep
 * @param {number} id
 */
export const register = (ep, id) =>
  message({
    type: CON,
    code: POST,
    id: id & 0xffff,
    token: Buffer.from([id >> 24, id >> 16, id >> 8, id].map((byte) => byte & 0xff)),
    options: [
      [URI_PATH, Buffer.from("rd")],
      [CONTENT_FORMAT, uint(40)],
      [URI_QUERY, Buffer.from(`ep=${ep}`)],
      [URI_QUERY, Buffer.from("lt=86400")],
      [URI_QUERY, Buffer.from("lwm2m=1.1")],
      [URI_QUERY, Buffer.from("b=U")],
    ],
    payload: LINKS,
  });

/**
 * The piggybacked answer to a request, with an Observe number when it asks for one.
 * @param {Buffer} request
 * @param {string} payload
 */
export function answerTo(request, payload) {
  const token = request.subarray(4, 4 + ((request[0] ?? 0) & 15));
  const code = request[1] === GET ? CONTENT : CHANGED;
  return message({
    type: ACK,
    code,
    id: request.readUInt16BE(2),
    token,
    options: isObserve(request) ? [[OBSERVE, uint(1)]] : [],
    payload: code === CONTENT ? Buffer.from(payload) : undefined,
  });
}

/**
 * A notification under a token.
 * @param {Buffer} token
 * @param {number} number
 */
export const notification = (token, number) =>
  message({
    type: NON,
    code: CONTENT,
    id: number & 0xffff,
    token,
    options: [[OBSERVE, uint(number)]],
    payload: Buffer.from("21.5"),
  });

/** @param {Buffer} request whether its first option is Observe 0 */
export function isObserve(request) {
  const at = 4 + ((request[0] ?? 0) & 15);
  return request[at] === OBSERVE << 4;
}
