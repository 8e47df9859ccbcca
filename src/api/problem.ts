/** A problem detail (RFC 9457), what every error of the API is answered with. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly [member: string]: unknown;
}

export const PROBLEM_JSON = "application/problem+json";

/** `about:blank` says that the status code is all there is to know of the kind (RFC 9457 §4.2.1). */
export function problem(
  status: number,
  title: string,
  detail?: string,
  more: Readonly<Record<string, unknown>> = {},
): Problem {
  return { type: "about:blank", title, status, ...(detail === undefined ? {} : { detail }), ...more };
}
