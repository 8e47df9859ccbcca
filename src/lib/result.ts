/** Success with a value, or failure with an error; network input never throws. */
export type Result<Value, Failure> = Ok<Value> | Err<Failure>;
export interface Ok<Value> {
  readonly ok: true;
  readonly value: Value;
}
export interface Err<Failure> {
  readonly ok: false;
  readonly error: Failure;
}

export const ok = <Value>(value: Value): Ok<Value> => ({ ok: true, value });
export const err = <Failure>(error: Failure): Err<Failure> => ({ ok: false, error });

/** What a peer sent wrong: which clause it breaks, at which byte, in words for an operator. */
export interface DecodeError {
  /** Citation, for example `MQTT-SN 1.2 §5.2.1` or `[MQTT-3.3.1-4]`. */
  readonly clause: string;
  /** Offset in bytes from the start of the packet. */
  readonly at: number;
  readonly problem: string;
}

export const decodeError = (clause: string, at: number, problem: string): Err<DecodeError> =>
  err({ clause, at, problem });
