/** Topic maps with placeholders: `%e` endpoint name, `%c` client id, `%u` user name, `%a` peer address. */

export interface TopicNames {
  readonly command: string;
  readonly response: string;
  readonly notify: string;
  readonly register: string;
  readonly update: string;
  readonly send: string;
  readonly bootstrap: string;
  readonly firmware: string;
  readonly endDevices: string;
}

export interface Place {
  readonly ep: string;
  readonly clientId: string;
  readonly username: string;
  readonly address: string;
}

const PLACEHOLDERS: ReadonlyMap<string, keyof Place> = new Map([
  ["%e", "ep"],
  ["endpoint_name", "ep"],
  ["%c", "clientId"],
  ["clientid", "clientId"],
  ["%u", "username"],
  ["username", "username"],
  ["%a", "address"],
  ["peerhost", "address"],
]);

/** Both forms of each placeholder are in use: `%e` and `${endpoint_name}`. An unknown one stays as it is. */
export const topicFor = (template: string, place: Place): string =>
  template.replace(/(%[ecua])|\$\{(\w+)\}/g, (whole, short: string | undefined, long: string | undefined) => {
    const field = PLACEHOLDERS.get(short ?? long ?? "");
    return field === undefined ? whole : safe(place[field]);
  });

/** What fills a placeholder must not add levels or wildcards. */
const safe = (text: string): string => text.replace(/[+#/]/g, "_");
