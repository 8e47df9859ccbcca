/** The codes that the manuals answer with. */
export const CODES = {
  ok: 0,
  rpc: 101,
  unknown: 102,
  wrongLogin: 103,
  emptyUser: 104,
  noUser: 105,
  lastAdmin: 106,
  missing: 107,
  type: 108,
  notJson: 109,
  loaded: 110,
  unloaded: 111,
  offline: 112,
  userExists: 113,
  oldPassword: 114,
} as const;

export class ManualError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A whole number of 1 or more, or of `least` or more. */
export function numbered(value: string, name: string, least = 1): number {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : -1;
  if (number < least) throw new ManualError(CODES.type, `${name} is no number of ${least} or more`);
  return number;
}
