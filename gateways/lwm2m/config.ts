import { type Static, type TProperties, Type } from "@sinclair/typebox";
import { durationSetting, sizeSetting } from "#core/lib/setting.ts";
import { StackSettings } from "#gateways/coap/stack/settings.ts";

const duration = (description: string, byDefault: string, minimum = "0s", maximum = "forever") =>
  durationSetting({ description, default: byDefault, minimum, maximum });
const count = (description: string, byDefault: number, minimum = 0, maximum = 1_000_000) =>
  Type.Integer({ description, default: byDefault, minimum, maximum });
const flag = (description: string, byDefault: boolean) => Type.Boolean({ description, default: byDefault });
const text = (description: string, byDefault: string) => Type.String({ description, default: byDefault });
const group = <Properties extends TProperties>(description: string, properties: Properties) =>
  Type.Object(properties, { description, default: {}, additionalProperties: false });
const qos = (description: string, byDefault: 0 | 1 | 2) =>
  Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)], { description, default: byDefault });

const topic = (of: string, byDefault: string) =>
  text(
    `Topic of ${of}. Placeholders: %e endpoint name, %c client id, %u user name, %a peer address.`,
    byDefault,
  );

/** Options of the LwM2M gateway; a test holds the README to them. */
export const Lwm2mConfig = Type.Object(
  {
    shareCoapListeners: flag(
      "Serve /rd, /bs, /dp and /fw on the listeners of the CoAP gateway too, so that both use port 5683.",
      true,
    ),
    definitions: text("Folder of object definition files (DDF): ours, and any of OMA's beside them.", "xml"),
    versions: Type.Array(Type.String(), {
      description: "Versions of LwM2M that may register; others get 4.12 and fall back.",
      default: ["1.0", "1.1", "1.2"],
    }),
    lifetimeMin: duration("Shortest lifetime of a registration.", "15s", "1s"),
    lifetimeMax: duration("Longest lifetime of a registration; also what lt=0 means.", "7d", "1s"),
    lifetimeOutside: Type.Union([Type.Literal("clamp"), Type.Literal("refuse")], {
      description:
        "A lifetime out of range: `clamp` counts with the nearest allowed one, `refuse` answers 4.00.",
      default: "clamp",
    }),
    lifetimeGrace: duration(
      "How long after its lifetime a registration is kept, for updates that are late.",
      "10s",
    ),
    endpointNameMax: count("Longest endpoint name, in characters.", 256, 1, 4096),
    registrationsPerPeer: count("Most devices registered from one address and port.", 64, 1),
    objectLists: count(
      "Different object lists that devices share in memory; then all are read anew.",
      1000,
      1,
    ),
    sessionExpiry: duration(
      "How long commands and observations of a device are kept after its registration has ended.",
      "1d",
    ),
    identity: group(
      "Which endpoint names a proven (DTLS) identity may use. Without DTLS nothing is proven.",
      {
        binding: Type.Union(
          [Type.Literal("equal"), Type.Literal("prefix"), Type.Literal("list"), Type.Literal("off")],
          {
            description:
              "`equal`: the identity is the endpoint name; `prefix`: that, or it with more behind a separator (id, id-1, id:1); `list`: as listed; `off`: any name.",
            default: "equal",
          },
        ),
        list: Type.Array(
          Type.Object(
            {
              identity: Type.String({
                description: "Proven identity.",
              }),
              endpoint: Type.String({ description: "Endpoint name that it may use." }),
            },
            { additionalProperties: false },
          ),
          { description: "Identities and their endpoint names, for `binding: list`.", default: [] },
        ),
      },
    ),
    users: group("Which endpoint names a user may use who has proven a user name.", {
      binding: Type.Union(
        [
          Type.Literal("same"),
          Type.Literal("prefix"),
          Type.Literal("template"),
          Type.Literal("table"),
          Type.Literal("any"),
        ],
        {
          description:
            "`same`: the user name; `prefix`: that, or it with more behind a separator (u, u-1, u:1); `template`, `table`: as below; `any`: any name. Where nobody has to prove a name, and where the transport has proven an identity, this says nothing.",
          default: "same",
        },
      ),
      template: text("Endpoint name for `binding: template`: %u is the user name, * any text.", "%u"),
      table: Type.Array(
        Type.Object(
          {
            username: Type.String({ description: "Proven user name." }),
            endpoint: Type.String({ description: "Endpoint name that it may use." }),
          },
          { additionalProperties: false },
        ),
        { description: "User names and their endpoint names, for `binding: table`.", default: [] },
      ),
    }),
    topics: group("Topics on the MQTT side.", {
      command: topic("commands; a filter", "lwm2m/%e/dn/#"),
      response: topic("responses", "lwm2m/%e/up/resp"),
      notify: topic("notifications", "lwm2m/%e/up/notify"),
      register: topic("register and de-register reports", "lwm2m/%e/up/resp"),
      update: topic("update reports", "lwm2m/%e/up/resp"),
      send: topic("data that a device sends by itself (/dp)", "lwm2m/%e/up/send"),
      bootstrap: topic("bootstrap reports", "lwm2m/%e/up/bootstrap"),
      firmware: topic("progress of firmware updates", "lwm2m/%e/up/firmware"),
      endDevices: topic("end devices behind an LwM2M gateway", "lwm2m/%e/up/devices"),
    }),
    commandQos: qos("QoS at which commands are subscribed; from 1 on they survive a restart.", 1),
    reportQos: qos(
      "QoS of all that is published for a device. 0: an application that is away for a while misses what happens meanwhile.",
      1,
    ),
    updateReports: Type.Union(
      [Type.Literal("always"), Type.Literal("contains_object_list"), Type.Literal("never")],
      {
        description: "Which updates are published.",
        default: "always",
      },
    ),
    deregisterReports: flag("Publish when a device de-registers or its lifetime ends.", true),
    readEndDevices: flag(
      "Read object 25 of an LwM2M gateway when it registers or changes it, and publish its end devices.",
      true,
    ),
    profileIds: Type.Array(
      Type.Object(
        {
          pid: Type.String({ description: "Profile id as devices send it, for example `6:27354b9a`." }),
          objects: Type.String({ description: "Object list that it stands for: `</1/0>,</3/0>`." }),
        },
        { additionalProperties: false },
      ),
      {
        description: "Profile ids (LwM2M 1.2) and their object lists; others are answered 4.09.",
        default: [],
      },
    ),
    enforceRanges: flag(
      "Answer 4.00 to a command that writes a value beyond the range of its definition; else the device decides.",
      false,
    ),
    describeContent: flag("Add name, type and units of each resource to the content of responses.", false),
    commands: group("Commands that wait for their device.", {
      max: count("Most commands of one device that wait here; later ones stay in its session.", 32, 1, 1000),
      ttl: duration(
        "How long a command may wait when it does not say (mheaders.ttl). With bus.engine upstream that counts from when a sleeper's connection to the cluster ended, unless the command says when it was published (mheaders.time) or has a message expiry.",
        "2h",
        "1s",
      ),
      reportQueued: flag("Answer `queued` to each command that has to wait; else only when it asks.", false),
    }),
    queueMode: group("Devices that sleep.", {
      awake: duration(
        "How long a device listens after anything was heard from it (MAX_TRANSMIT_WAIT).",
        "93s",
        "1s",
      ),
      psmActiveTimer: duration(
        "PSM active timer (T3324) of the network: when set, a sleeper listens no longer than this.",
        "0s",
      ),
      edrxCycle: duration(
        "eDRX cycle of the network: when set, requests to sleepers may take this much longer.",
        "0s",
      ),
    }),
    requestTimeout: duration(
      "From the first transmission of a request to the end of its answer.",
      "93s",
      "1s",
    ),
    observations: group("Observations.", {
      max: count("Most observations of one device.", 64),
      renew: flag("Observe again what was observed when a device registers again.", true),
      auto: Type.Union([Type.Boolean(), Type.Array(Type.String())], {
        description:
          "Observe by itself: true for every object but 0, 1, 2, 4, 5, 6, 7, 9 and 15; or a list of paths.",
        default: false,
      }),
    }),
    operator: group("Requests of operators.", {
      results: count(
        "Requests that are remembered with their results; then the oldest are forgotten.",
        1000,
        1,
      ),
      waiting: count("Most requests that wait for devices that are out of reach.", 1000, 0),
    }),
    bootstrap: group("Bootstrap server (/bs).", {
      profiles: text("File of bootstrap profiles (JSON); empty turns the bootstrap server off.", ""),
    }),
    firmware: group("Firmware packages.", {
      folder: text("Folder of packages, read at start and reload; empty turns the helper off.", ""),
      maxSize: sizeSetting({
        description: "Largest package.",
        default: "16MB",
        minimum: "1KB",
        maximum: "1GB",
      }),
      baseUri: text("URI prefix under which devices reach /fw, for example coap://gateway.example:5683.", ""),
      timeout: duration("A firmware update without any progress for this long has failed.", "1h", "10s"),
    }),
    stack: StackSettings,
  },
  { additionalProperties: false, description: "LwM2M gateway." },
);
export type Lwm2mConfig = Static<typeof Lwm2mConfig>;
