import { describe, expect, it } from "vitest";
import { AssociationKeeper, type AssociationTable } from "#core/dtls/kept.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { seconds } from "#core/lib/time.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld } from "../../support/dtls-world.ts";
import { fc } from "../../support/property.ts";

const SECRET = new Uint8Array(32).fill(9);

/** A table whose commits happen when a test says so; what was not committed is gone with the process. */
class Table implements AssociationTable {
  readonly disk = new Map<string, Uint8Array>();
  readonly #pending = new Map<string, (() => Uint8Array) | undefined>();
  #waits: ((failure: unknown) => void)[] = [];
  automatic = true;

  put(key: string, value: () => Uint8Array): void {
    this.#pending.set(key, value);
    if (this.automatic) this.commit();
  }

  remove(key: string): void {
    this.#pending.set(key, undefined);
    if (this.automatic) this.commit();
  }

  whenCommitted(run: (failure: unknown) => void): void {
    this.#waits.push(run);
    if (this.automatic) this.commit();
  }

  commit(failure?: Error): void {
    if (failure === undefined) {
      for (const [key, value] of this.#pending) {
        if (value === undefined) this.disk.delete(key);
        else this.disk.set(key, value());
      }
      this.#pending.clear();
    }
    const waits = this.#waits;
    this.#waits = [];
    for (const run of waits) run(failure);
  }
}

const keeperOf = (table: Table, secret = SECRET): AssociationKeeper =>
  new AssociationKeeper(nodeCrypto, table, secret, "coap:dtls ");

/** Another process that begins with what was on disk. */
function restarted(table: Table, start: number, secret = SECRET): DtlsWorld {
  const next = new Table();
  for (const [key, sealed] of table.disk) next.disk.set(key, sealed);
  const keeper = keeperOf(next, secret);
  const world = new DtlsWorld({ keeper, start });
  for (const [key, sealed] of next.disk) {
    const association = keeper.restore(key, sealed, world.listener.associations.newId(), 6);
    if (association !== undefined) world.listener.restore(association);
  }
  return world;
}

const texts = (world: DtlsWorld): string[] =>
  world.received.map(({ bytes }) => Buffer.from(bytes).toString());
const sequenceOf = (record: Uint8Array): number => Buffer.from(record).readUIntBE(5, 6);

function connected(table: Table, cid = true) {
  const world = new DtlsWorld({ keeper: keeperOf(table) });
  const device = new DtlsDevice(world, cid ? { cid: Uint8Array.of(5) } : {});
  device.connect();
  expect(device.state).toBe("open");
  return { world, device };
}

/** The records of the device go to the process that came after. */
function follow(device: DtlsDevice, world: DtlsWorld): (record: Uint8Array) => void {
  return (record) => world.send(record, device.address, device.port);
}

describe("an association that is kept", () => {
  for (const cid of [true, false]) {
    it(`goes on after a crash, and takes no record twice; connection id: ${cid}`, () => {
      const table = new Table();
      const { world, device } = connected(table, cid);
      const records = ["a", "b", "c"].map((text) => device.record(utf8(text)));
      for (const record of records) device.sendBytes(record);
      // It goes quiet; then the process is killed.
      world.pass(seconds(10));
      const after = restarted(table, world.now);
      const send = follow(device, after);
      for (const record of records) send(record);
      expect(texts(after)).toEqual([]);
      expect(after.dropped).toEqual(["replayed", "replayed", "replayed"]);
      send(device.record(utf8("next")));
      expect(after.received.map(({ identity }) => identity)).toEqual(["dev1"]);
      expect(texts(after)).toEqual(["next"]);
    });
  }

  it("never writes a sequence number twice under the same keys, over many crashes at any time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(1500), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 6 }),
        (lives) => {
          let table = new Table();
          let { world, device } = connected(table);
          const written = new Set<number>();
          const took = new Set<string>();
          for (const [count, quiet, committed] of lives) {
            const before = world.sent.length;
            for (const association of world.listener.associations.all()) {
              for (let index = 0; index < count; index++) world.listener.write(association, utf8("x"));
            }
            for (const { bytes } of world.sent.slice(before)) {
              const at = sequenceOf(bytes);
              expect(written.has(at)).toBe(false);
              written.add(at);
            }
            const record = device.record(utf8(`n${device.sequence}`));
            for (let time = 0; time < 3; time++) world.send(record, device.address, device.port);
            for (const text of texts(world)) {
              expect(took.has(text), text).toBe(false);
              took.add(text);
            }
            table.automatic = committed;
            if (quiet) world.pass(seconds(10));
            table.automatic = true;
            const next = new Table();
            for (const [key, sealed] of table.disk) next.disk.set(key, sealed);
            const keeper = keeperOf(next);
            const then = new DtlsWorld({ keeper, start: world.now });
            for (const [key, sealed] of next.disk) {
              const association = keeper.restore(key, sealed, then.listener.associations.newId(), 6);
              if (association !== undefined) then.listener.restore(association);
            }
            table = next;
            world = then;
            // What the device had sent before is replayed by somebody.
            then.send(record, device.address, device.port);
            expect(texts(then)).toEqual([]);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("is not read on, where it was busy at the crash, before what may have been read", () => {
    const table = new Table();
    const { world, device } = connected(table);
    device.send("busy");
    const after = restarted(table, world.now);
    const send = follow(device, after);
    const next = Array.from({ length: 80 }, (_, index) => device.record(utf8(String(index))));
    for (const record of next) send(record);
    // Numbers that had been leased may have been read: they count as read.
    expect(texts(after)[0]).toBe("63");
    expect(texts(after)).toHaveLength(17);
  });

  it("delivers the first record of a sleeper when the disk knows of it, and not before", () => {
    const table = new Table();
    const { world, device } = connected(table);
    device.send("a");
    world.pass(seconds(10));
    table.automatic = false;
    device.send("b");
    device.send("c");
    expect(texts(world)).toEqual(["a"]);
    table.commit();
    expect(texts(world)).toEqual(["a", "b", "c"]);
    device.send("d");
    expect(texts(world)).toEqual(["a", "b", "c", "d"]);
  });

  it("loses, and does not repeat, what the disk could not be told", () => {
    const table = new Table();
    const { world, device } = connected(table);
    device.send("a");
    world.pass(seconds(10));
    table.automatic = false;
    device.send("b");
    table.commit(new Error("disk full"));
    expect(texts(world)).toEqual(["a"]);
    table.automatic = true;
    device.send("c");
    expect(texts(world)).toEqual(["a", "c"]);
  });

  it("is sealed: its keys are not in the table, and another secret does not open it", () => {
    const table = new Table();
    const { world, device } = connected(table);
    device.send("a");
    world.pass(seconds(10));
    const [association] = world.listener.associations.all();
    const keys = Buffer.from(association!.terms.material.block).toString("latin1");
    const [sealed] = [...table.disk.values()];
    expect(Buffer.from(sealed!).toString("latin1")).not.toContain(keys.slice(0, 8));
    expect(Buffer.from(sealed!).toString("latin1")).not.toContain("dev1");
    expect(restarted(table, world.now, new Uint8Array(32).fill(1)).listener.associations.size).toBe(0);
  });

  it("is gone from the table when it ends", () => {
    const table = new Table();
    const { device } = connected(table);
    expect(table.disk.size).toBe(1);
    device.sendBytes(device.record(Uint8Array.of(1, 0), 21));
    expect(table.disk.size).toBe(0);
  });
});
