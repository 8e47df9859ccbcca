/** Packets of the TCP protocol as values. Its names and numbers are those of the manual that defines it. */

export const FrameType = {
  CONNECT: 1,
  CONNACK: 2,
  DATATRANS: 3,
  PING: 4,
  PONG: 5,
  DISCONNECT: 6,
} as const;

/** The only version there is. */
export const PROTOCOL_VERSION = 1;

/** Payloads are counted in two octets. */
export const PAYLOAD_MAX = 65_535;

export const AckCode = {
  SUCCESSFUL: 0,
  AUTHFAILED: 1,
  ILLEGALVER: 2,
} as const;
export type AckCode = (typeof AckCode)[keyof typeof AckCode];

export interface Connect {
  readonly type: typeof FrameType.CONNECT;
  readonly version: number;
  /** In seconds; 0 for none. */
  readonly keepAlive: number;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
}

export interface Connack {
  readonly type: typeof FrameType.CONNACK;
  readonly code: number;
  readonly message: string;
}

export interface DataTrans {
  readonly type: typeof FrameType.DATATRANS;
  readonly payload: Uint8Array;
}

export interface Bare {
  readonly type: typeof FrameType.PING | typeof FrameType.PONG | typeof FrameType.DISCONNECT;
}

export type Packet = Connect | Connack | DataTrans | Bare;
