/** Topic maps with placeholders: `%e` endpoint name, `%c` client id, `%u` user name, `%a` peer address. */
import { asLevel, fillTopic } from "#core/lib/topic-map.ts";

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

/** Both forms of each placeholder are in use: `%e` and `${endpoint_name}`. An unknown one stays as it is. */
export const topicFor = (template: string, place: Place): string =>
  fillTopic(template, {
    endpointName: asLevel(place.ep),
    clientId: asLevel(place.clientId),
    username: asLevel(place.username),
    address: asLevel(place.address),
  });
