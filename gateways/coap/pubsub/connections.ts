import { utf8 } from "#core/lib/bytes.ts";
import { Response } from "../stack/message/codes.ts";
import type { CoapPeer, CoapResponse } from "../stack/site.ts";
import type { Connection } from "./connection.ts";
import type { Query } from "./query.ts";

const refused = (code: CoapResponse["code"], text: string): CoapResponse => ({ code, payload: utf8(text) });
const INCOMPLETE = refused(Response.BadRequest, "clientid and token belong together");
const WRONG_TOKEN = refused(Response.Unauthorized, "no connection has this clientid and token");

const nameOf = (clientId: string, token: string): string => `${token}:${clientId}`;

/**
 * The connections of a gateway by their client id and token, which stand for them in a request from whatever port it
 * comes: a client may be several processes. What each of them observes stays its own (RFC 7641 §4.1).
 */
export class Connections {
  readonly #byName = new Map<string, Connection>();

  enter(clientId: string, token: string, connection: Connection): void {
    this.#byName.set(nameOf(clientId, token), connection);
  }

  leave(clientId: string, token: string): void {
    this.#byName.delete(nameOf(clientId, token));
  }

  /** The connection that a request of this peer may use, or why it may use none. */
  find({ clientId, token }: Readonly<Query>, from: CoapPeer): Connection | CoapResponse {
    if (clientId === undefined || token === undefined) return INCOMPLETE;
    const connection = this.#byName.get(nameOf(clientId, token));
    return connection?.servesFrom(from) === true ? connection : WRONG_TOKEN;
  }
}
