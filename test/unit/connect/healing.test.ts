/** What is tried again, and what is dead-lettered at once: by what sinks and systems say. */
import { describe, expect, it } from "vitest";
import { connectionFailure, failureOf, SinkFailure, UnexpectedFailure } from "#core/connect/connector.ts";
import { failureOf as failureOfKafka } from "#core/connect/kafka.ts";
import { heals, isTaken } from "#core/connect/web-client.ts";
import { UnreadableAnswer } from "#core/lib/guarded.ts";

const coded = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

describe("an HTTP status", () => {
  it.each([408, 423, 425, 429, 500, 501, 502, 503, 504, 507, 511, 599])("%i heals", (status) => {
    expect(heals(status)).toBe(true);
  });
  it.each([301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 426, 428, 431, 451])(
    "%i does not",
    (status) => {
      expect(heals(status)).toBe(false);
    },
  );
  it.each([
    [199, false],
    [200, true],
    [204, true],
    [299, true],
    [300, false],
  ])("%i is taken: %s", (status, taken) => {
    expect(isTaken({ status, retryAfter: 0, said: "", body: "" })).toBe(taken);
  });
});

describe("an error of a connection", () => {
  it.each([
    ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"],
    ...["ENETDOWN", "EHOSTDOWN", "ENOTFOUND", "EAI_AGAIN", "EADDRNOTAVAIL", "EMFILE"],
    ...["CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "HOSTNAME_MISMATCH"],
    ...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "ERR_TLS_CERT_ALTNAME_INVALID", "ERR_SSL_WRONG_VERSION_NUMBER"],
  ])("%s heals, with what it says", (code) => {
    expect(connectionFailure(coded(code))).toMatchObject({ heals: true, message: `connect ${code}` });
  });

  it("is found in what a library has made of it", () => {
    const inner = coded("ECONNREFUSED");
    expect(
      connectionFailure(new Error("it failed", { cause: new Error("x", { cause: inner }) })),
    ).toMatchObject({ heals: true, message: "connect ECONNREFUSED" });
    expect(connectionFailure(new AggregateError([inner, coded("EOTHER")]))?.heals).toBe(true);
    expect(connectionFailure(Object.assign(new Error(""), { code: "EPIPE" }))?.message).toBe("EPIPE");
  });

  it("is what a server has answered that nobody can read", () => {
    expect(connectionFailure(new UnreadableAnswer("it answers what nobody can read"))?.heals).toBe(true);
  });

  it("is none where it is something else: that is not known to heal", () => {
    for (const error of [new TypeError("x is not a function"), coded("EACCES"), coded("42601")]) {
      expect(connectionFailure(error)).toBeUndefined();
      expect(failureOf(error)).toBeInstanceOf(UnexpectedFailure);
    }
  });

  it("is one in time where the time was up, whatever was thrown", () => {
    expect(failureOf(new TypeError("aborted"), AbortSignal.abort())).toMatchObject({
      ...{ heals: true, message: "it does not answer in time" },
    });
    const refused = new SinkFailure("no", false);
    expect(failureOf(refused, AbortSignal.abort())).toBe(refused);
  });
});

describe("a reason", () => {
  it("is one line that anybody can read, of 500 characters at most", () => {
    expect(new SinkFailure("a\n\tb\u0000\u2028c\ud800 ", true).message).toBe("a b c");
    expect(new SinkFailure("x".repeat(10_000), true).message).toHaveLength(500);
  });
});

describe("an answer of Kafka", () => {
  const protocol = (type: string, retriable: boolean): Error =>
    Object.assign(new Error(type), { name: "KafkaJSProtocolError", type, retriable });
  it.each([
    ["LEADER_NOT_AVAILABLE", true, true],
    ["KAFKA_STORAGE_ERROR", true, true],
    ["TOPIC_AUTHORIZATION_FAILED", false, true],
    ["CLUSTER_AUTHORIZATION_FAILED", false, true],
    ["SASL_AUTHENTICATION_FAILED", false, true],
    ["ILLEGAL_SASL_STATE", false, true],
    ["POLICY_VIOLATION", false, true],
    ["MESSAGE_TOO_LARGE", false, false],
    ["INVALID_RECORD", false, false],
    ["CORRUPT_MESSAGE", false, false],
  ])("%s, retriable as the protocol says: %s, heals: %s", (type, retriable, again) => {
    expect(failureOfKafka(protocol(type, retriable))).toMatchObject({
      heals: again,
      message: `${type} (${type})`,
    });
    // As its library hands it on when it has tried as often as it may.
    const wrapped = Object.assign(new Error("gave up", { cause: protocol(type, retriable) }), {
      ...{ name: "KafkaJSNonRetriableError", retriable: false },
    });
    expect(failureOfKafka(wrapped).heals).toBe(again);
  });

  it("is its library's trouble with the connection, or a record that cannot be written", () => {
    const timeout = Object.assign(new Error("late"), { name: "KafkaJSRequestTimeoutError" });
    expect(failureOfKafka(timeout).heals).toBe(true);
    expect(failureOfKafka(new RangeError("out of range")).heals).toBe(false);
  });
});
