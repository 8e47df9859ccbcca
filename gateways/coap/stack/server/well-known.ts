import { utf8 } from "#core/lib/bytes.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import { Method, Response } from "../message/codes.ts";
import { ContentFormat } from "../message/content-formats.ts";
import { formatLinks, linkMatches } from "../message/link-format.ts";
import type { CoapMessage } from "../message/message.ts";
import { Option, option } from "../message/options.ts";
import type { CoapRequest, CoapResponse, PeerSite, Site } from "../site.ts";

const LINK_FORMAT = [option(Option.ContentFormat, ContentFormat.Link)];
const nothing = (): void => {};

/** `/.well-known/core`: what all sites of the listener offer, with filters (RFC 6690 §4). */
export class WellKnownCore implements Site {
  readonly name = "well-known";
  readonly prefixes = [".well-known"];
  readonly #sites: readonly Site[];

  constructor(sites: readonly Site[]) {
    this.#sites = sites;
  }

  links() {
    return [];
  }

  open(): PeerSite {
    return {
      request: (request) => this.#answer(request),
      deliver: nothing,
      answered: nothing,
      connected: nothing,
      deadline: (): Instant => NEVER,
      wake: nothing,
      stop: nothing,
      closed: nothing,
      busy: () => false,
      status: () => "",
      describe: () => ({}),
    };
  }

  #answer(request: CoapRequest): void {
    const { message } = request;
    const accept = message.uint(Option.Accept);
    const queries = message.strings(Option.UriQuery);
    if (message.joinedPath(1) !== "core") request.refuse(Response.NotFound, "nothing at this path");
    else if (request.method !== Method.GET) request.refuse(Response.MethodNotAllowed, "GET only");
    else if (accept !== undefined && accept !== ContentFormat.Link) {
      request.refuse(Response.NotAcceptable, "application/link-format (40) only");
    } else if (queries === undefined) request.refuse(Response.BadRequest, "query is not UTF-8");
    else request.respond(this.#list(queries));
  }

  /**
   * To a request that a group was sent: undefined where it is none for `/.well-known/core`, and where a single server
   * would be told that nothing is here, or what is wrong (RFC 7252 §8.2, RFC 6690 §4.1).
   */
  groupResponse(message: CoapMessage, method: number): CoapResponse | undefined {
    const accept = message.uint(Option.Accept);
    const queries = message.strings(Option.UriQuery);
    const asked = method === Method.GET && message.joinedPath(0) === ".well-known/core";
    if (!asked || queries === undefined || message.badCriticalOption() >= 0) return undefined;
    if (accept !== undefined && accept !== ContentFormat.Link) return undefined;
    const response = this.#list(queries);
    return response.payload?.length === 0 ? undefined : response;
  }

  #list(queries: readonly string[]): CoapResponse {
    const links = this.#sites.flatMap((site) => site.links());
    const wanted = links.filter((link) => queries.every((query) => linkMatches(link, query)));
    return { code: Response.Content, options: LINK_FORMAT, payload: utf8(formatLinks(wanted)) };
  }
}
