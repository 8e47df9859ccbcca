/** Just enough MQTT-SN 1.2 to load a gateway: messages encoded once, answers told apart by their type octet. */

export const CONNACK = 0x05;
export const REGACK = 0x0b;
export const PUBLISH = 0x0c;
export const PUBACK = 0x0d;
export const SUBACK = 0x13;
export const PINGRESP = 0x17;
export const DISCONNECT = 0x18;

/** @param {number[]} body */
const framed = (...body) => Buffer.from([body.length + 1, ...body]);

/**
 * @param {string} clientId
 * @param {boolean} clean
 */
export const encodeConnect = (clientId, clean) =>
  framed(0x04, clean ? 0x04 : 0, 1, 600 >> 8, 600 & 255, ...Buffer.from(clientId));

/** @param {string} topic */
export const encodeRegister = (topic) => framed(0x0a, 0, 0, 0, 1, ...Buffer.from(topic));

/** @param {string} filter */
export const encodeSubscribe = (filter) => framed(0x12, 0x20, 0, 1, ...Buffer.from(filter));

/** @param {string} clientId */
export const encodePingreq = (clientId) => framed(0x16, ...Buffer.from(clientId));

/** @param {number} seconds */
export const encodeSleep = (seconds) => framed(DISCONNECT, seconds >> 8, seconds & 255);

/**
 * @param {0 | 1} qos
 * @param {number} topicId
 * @param {number} id
 * @param {Buffer} payload
 */
export const encodePublish = (qos, topicId, id, payload) =>
  framed(PUBLISH, qos << 5, topicId >> 8, topicId & 255, id >> 8, id & 255, ...payload);

/**
 * What a null gateway answers: as it must, and nothing else.
 * @param {Uint8Array} message
 * @returns {Buffer | undefined}
 */
export function nullAnswer(message) {
  switch (message[1]) {
    case 0x04:
      return Buffer.from([3, CONNACK, 0]);
    case 0x0a:
      return Buffer.from([7, REGACK, 0, 1, message[4] ?? 0, message[5] ?? 0, 0]);
    case 0x12:
      return Buffer.from([8, SUBACK, 0x20, 0, 1, message[3] ?? 0, message[4] ?? 0, 0]);
    case PUBLISH:
      if ((message[2] ?? 0) === 0) return undefined;
      return Buffer.from([7, PUBACK, message[3] ?? 0, message[4] ?? 0, message[5] ?? 0, message[6] ?? 0, 0]);
    case 0x16:
      return Buffer.from([2, PINGRESP]);
    case DISCONNECT:
      return Buffer.from([2, DISCONNECT]);
    default:
      return undefined;
  }
}
