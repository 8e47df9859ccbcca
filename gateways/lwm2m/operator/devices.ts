import type { Instant } from "#core/lib/time.ts";
import type { Device } from "../device.ts";

/** The devices that are registered here and now, by endpoint name. */
export class Devices {
  readonly #byEndpoint = new Map<string, Device>();
  /** Is told of each that can be asked from now on. */
  onArrival: ((device: Device, now: Instant) => void) | undefined = undefined;

  /** It knows that it is registered, so that it can be asked. */
  arrived(device: Device, now: Instant): void {
    this.#byEndpoint.set(device.registration.ep, device);
    this.onArrival?.(device, now);
  }

  left(device: Device): void {
    const { ep } = device.registration;
    if (this.#byEndpoint.get(ep) === device) this.#byEndpoint.delete(ep);
  }

  at(endpoint: string): Device | undefined {
    return this.#byEndpoint.get(endpoint);
  }

  all(): IterableIterator<Device> {
    return this.#byEndpoint.values();
  }
}
