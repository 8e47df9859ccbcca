import { membershipOf } from "../address.ts";
import { Descriptor } from "../system/descriptor.ts";
import { SO_BROADCAST, SOL_SOCKET } from "../system/linux.ts";
import type { SystemCalls } from "../system/system-calls.ts";
import type { DatagramListenerOptions } from "../transport.ts";

/** Binds and configures a socket whose datagrams come in batches. Throws what the system says. */
export function bindBatches(
  calls: SystemCalls,
  options: DatagramListenerOptions,
  address: string,
): Descriptor {
  const descriptor = Descriptor.open(calls, address.includes(":"));
  try {
    descriptor.tellDestinations();
    descriptor.bind(address, options.port, options);
    if (options.broadcast) descriptor.set(SOL_SOCKET, SO_BROADCAST, 1);
    for (const entry of options.multicast) {
      const { group, by } = membershipOf(entry);
      descriptor.join(group, by);
    }
    return descriptor;
  } catch (error) {
    descriptor.close();
    throw error;
  }
}
