/**
 * Clients that share one identity on the bus: an aggregating gateway is one client, however many devices it
 * speaks for. No-local, the publisher's name, events and counts go by it; all else is the device's own.
 */
export class Aggregate {
  /** As a session's key: gateway and client id. */
  readonly key: string;
  readonly clientId: string;
  /** Devices that are connected. */
  connected = 0;

  constructor(key: string, clientId: string) {
    this.key = key;
    this.clientId = clientId;
  }
}
