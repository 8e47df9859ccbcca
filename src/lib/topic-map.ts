/** What the placeholders of a gateway's topic map stand for. */
export interface TopicValues {
  readonly clientId: string;
  readonly username: string;
  readonly endpointName: string;
  readonly address: string;
}

const PLACEHOLDERS: ReadonlyMap<string, keyof TopicValues> = new Map([
  ["%c", "clientId"],
  ["clientid", "clientId"],
  ["%u", "username"],
  ["username", "username"],
  ["%e", "endpointName"],
  ["endpoint_name", "endpointName"],
  ["%a", "address"],
  ["peerhost", "address"],
]);

/** Fills in both forms of each placeholder, `%c` and `${clientid}`. An unknown one stays as it is. */
export const fillTopic = (template: string, values: TopicValues): string =>
  template.replace(/(%[cuea])|\$\{(\w+)\}/g, (whole, short: string | undefined, long: string | undefined) => {
    const field = PLACEHOLDERS.get(short ?? long ?? "");
    return field === undefined ? whole : values[field];
  });

/** Whether text may fill a placeholder: it adds no level and no wildcard, so that no device gets another's topics. */
export const fitsOneLevel = (text: string): boolean => !/[+#/\0]/.test(text);

const UNSAFE = /[+#/%$\0]/g;
const encoded = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/**
 * A client's own value as one topic level. A client chooses its id and user name, so `+`, `#`, `/` and `$` in
 * them would widen what a template grants; they are percent-encoded, and `%` too, so that no two values meet.
 */
export const asLevel = (value: string): string => value.replace(UNSAFE, encoded);
