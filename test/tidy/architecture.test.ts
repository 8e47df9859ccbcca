import { cruise, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";
import { describe, expect, it } from "vitest";

/** Who may import whom: `from` may reach only `to` and itself. Types are counted like values. */
const LAYERS: readonly { readonly from: string; readonly to: readonly string[]; readonly instead: string }[] =
  [
    { from: "^src/lib/", to: [], instead: "lib stands at the bottom: pass what it needs as an argument" },
    { from: "^src/bus/", to: ["^src/lib/"], instead: "the bus knows messages, not who sends them" },
    {
      from: "^src/settings/",
      to: ["^src/lib/"],
      instead: "how settings are described, read and checked; whose they are is in src/config",
    },
    {
      from: "^src/contract/",
      to: ["^src/lib/", "^src/bus/(topic|message)\\.ts$"],
      instead: "the contract is types, and gateways see nothing else",
    },
    {
      from: "^src/session/",
      to: ["^src/lib/", "^src/bus/", "^src/contract/"],
      instead: "a session knows the bus and the words of the contract",
    },
    {
      from: "^src/mqtt/",
      to: ["^src/lib/", "^src/bus/(topic|message)\\.ts$", "^src/contract/"],
      instead: "MQTT's packets know messages, not who exchanges them",
    },
    {
      from: "^src/policy/",
      to: ["^src/lib/", "^src/bus/(topic|message)\\.ts$", "^src/contract/"],
      instead: "policy decides from what it is told",
    },
    {
      from: "^src/hooks/",
      to: ["^src/lib/", "^src/bus/(topic|message|delayed|errand)\\.ts$", "^src/contract/"],
      instead: "hooks are asked about messages and clients, and reach neither",
    },
    {
      from: "^src/rules/",
      to: ["^src/lib/", "^src/bus/", "^src/contract/", "^src/session/", "^src/settings/"],
      instead: "rules compute with messages and events, and hand their outputs to sessions",
    },
    {
      from: "^src/connect/",
      to: [
        "^src/lib/",
        "^src/bus/",
        "^src/contract/",
        "^src/mqtt/",
        "^src/session/",
        "^src/settings/",
        "^src/rules/",
        "^src/net/transport\\.ts$",
      ],
      instead: "a connector is the client of a session, and is given what it needs of files and time",
    },
    {
      from: "^src/pipelines/",
      to: [
        "^src/lib/",
        "^src/bus/(message|errand|via)\\.ts$",
        "^src/contract/",
        "^src/hooks/plugin\\.ts$",
        "^src/policy/token-bucket\\.ts$",
        "^src/settings/",
        "^src/rules/",
        "^src/connect/",
      ],
      instead: "a pipeline stands where a hook would, and hands what it sends to connectors",
    },
    {
      from: "^src/authenticate/",
      to: [
        "^src/lib/",
        "^src/bus/(topic|message)\\.ts$",
        "^src/contract/",
        "^src/policy/",
        "^src/settings/",
        "^src/net/transport\\.ts$",
      ],
      instead: "an authenticator answers the policy and reads its own settings",
    },
    {
      from: "^src/workers/",
      to: ["^src/lib/", "^src/cli/(banner|cli)\\.ts$", "^src/net/shared-port\\.ts$"],
      instead: "whoever looks after workers knows processes, not what they do",
    },
    {
      from: "^src/authorize/",
      to: [
        "^src/lib/",
        "^src/contract/",
        "^src/policy/",
        "^src/authenticate/",
        "^src/settings/",
        "^src/net/transport\\.ts$",
      ],
      instead: "a source of rules answers the policy and reads its own settings",
    },
    {
      from: "^src/dtls/",
      to: ["^src/lib/"],
      instead: "DTLS is records and messages: no socket, clock or cipher",
    },
    {
      from: "^src/net/",
      to: ["^src/lib/", "^src/contract/", "^src/dtls/"],
      instead: "transports move bytes",
    },
    {
      from: "^src/store/",
      to: ["^src/lib/", "^src/bus/", "^src/contract/", "^src/session/", "^src/settings/make-folder\\.ts$"],
      instead: "a store keeps what it is given",
    },
    {
      from: "^src/upstream/",
      to: [
        "^src/lib/",
        "^src/bus/",
        "^src/contract/",
        "^src/mqtt/",
        "^src/session/",
        "^src/policy/addresses\\.ts$",
        "^src/net/(transport|merged-output)\\.ts$",
      ],
      instead: "an engine knows sessions and MQTT's packets, and is given its connections",
    },
    {
      from: "^src/door/",
      to: [
        "^src/lib/",
        "^src/bus/",
        "^src/contract/",
        "^src/session/",
        "^src/hooks/",
        "^src/policy/(policy|token-bucket)\\.ts$",
      ],
      instead: "the door asks policy by its port and knows channels by what drives them (channel-driver.ts)",
    },
    {
      from: "^src/drive/",
      to: [
        "^src/lib/",
        "^src/contract/",
        "^src/policy/policy\\.ts$",
        "^src/net/(transport|merged-output)\\.ts$",
        "^src/door/",
      ],
      instead: "drivers move inputs and effects; what enters the bus goes through the door",
    },
    {
      from: "^src/plug-ins/",
      to: ["^src/lib/", "^src/contract/"],
      instead: "what surrounds a plug-in knows the contract, as the plug-in does",
    },
    {
      from: "^src/trace/",
      to: [
        "^src/lib/",
        "^src/bus/",
        "^src/contract/",
        "^src/session/",
        "^src/policy/addresses\\.ts$",
        "^src/door/",
      ],
      instead: "a trace is told of by the door and the sessions, and knows no gateway and no driver",
    },
    {
      from: "^src/sim/",
      to: [
        "^src/lib/",
        "^src/bus/message\\.ts$",
        "^src/mqtt/",
        "^src/net/(dial|transport|udp)\\.ts$",
        "^gateways/(mqtt-sn/(codec|encode|packets)|coap/stack/message/|lwm2m/(content|objects)/|stomp/codec/escapes)",
      ],
      instead: "simulated clients share the codecs with the gateways, and nothing else",
    },
    {
      from: "^src/load/",
      to: [
        "^src/lib/",
        "^src/bus/message\\.ts$",
        "^src/mqtt/",
        "^src/net/(dial|transport)\\.ts$",
        "^src/sim/(awaited|field|devices/coap-endpoint)\\.ts$",
        "^gateways/(mqtt-sn/(codec|encode|packets)|coap/stack/message/)",
      ],
      instead:
        "a load generator shares the codecs with the gateways, its network with the simulator, and nothing else",
    },
    {
      from: "^src/testing/",
      to: [
        "^src/(lib|bus|contract|session|policy|door|drive|trace|plug-ins)/",
        "^src/net/(transport|merged-output)\\.ts$",
        "^src/core\\.ts$",
        "^src/config/load\\.ts$",
      ],
      instead: "the virtual world is the core without its edges",
    },
    {
      from: "^src/operate/",
      to: [
        "^src/lib/",
        "^src/bus/(topic|message)\\.ts$",
        "^src/contract/",
        "^src/session/",
        "^src/policy/",
        "^src/door/",
        "^src/drive/",
      ],
      instead: "the operator's room works on the running parts, and knows neither files nor sockets",
    },
    {
      from: "^src/api/",
      to: [
        "^src/lib/",
        "^src/bus/(topic|message|via)\\.ts$",
        "^src/contract/",
        "^src/operate/",
        "^src/trace/",
        "^src/settings/",
        "^src/config/",
        "^src/observe/",
        "^src/authenticate/",
        "^src/policy/(addresses|settings)\\.ts$",
        "^src/net/transport\\.ts$",
        "^src/sim/options\\.ts$",
        "^src/upstream/servers/settings\\.ts$",
        "^src/workers/worker\\.ts$",
      ],
      instead: "what may be seen and done while the gateway runs is in src/operate",
    },
    {
      from: "^src/api/answers/",
      to: [
        "^src/lib/refusals\\.ts$",
        "^src/settings/kinds\\.ts$",
        "^src/sim/options\\.ts$",
        "^src/api/access/principal\\.ts$",
      ],
      instead: "what answers look like: schemas and their types, for whoever reads answers",
    },
    {
      from: "^src/dashboard/",
      to: ["^src/api/answers/", "^src/lib/refusals\\.ts$"],
      instead: "the dashboard runs in browsers, and knows the API by its answers",
    },
    {
      from: "^src/(config|cli|observe)/",
      to: [
        "^src/lib/",
        "^src/bus/",
        "^src/session/",
        "^src/policy/",
        "^src/contract/",
        "^src/door/",
        "^src/drive/",
        "^src/settings/",
        "^src/(config|cli|observe)/",
        "^src/authenticate/",
        "^src/authorize/",
        "^src/connect/",
        "^src/rules/",
        "^src/pipelines/",
        "^src/net/transport\\.ts$",
        "^src/(sim|load)/options\\.ts$",
        "^src/api/answers/",
        "^src/upstream/(profiles|server-choice|servers/settings)\\.ts$",
      ],
      instead: "operators' code reads through ports and knows no gateway and no socket",
    },
  ];

/** Modules of the core that a gateway may use. */
const OPEN_TO_GATEWAYS = ["^src/lib/", "^src/bus/(topic|message)\\.ts$", "^src/contract/", "^src/mqtt/"];

const NODE_ALLOWED =
  "^(src/(bundle|dashboard/build)\\.mjs$|src/(net|store|settings|config|api|authenticate|connect|pipelines|cli|observe|sim|load|workers)/|src/rules/functions/coding\\.ts$|src/(main|bin|heap|threads|commands|version|data-files|compose|administration|alarms|certificates|secure-datagrams|open-hooks|check-files|open-plug-ins|rules-room|pipelines-room|dial-servers|upstream-servers|simulator|supervise|work)\\.ts$)";

function rules(): IForbiddenRuleType[] {
  const layers = LAYERS.map(({ from, to, instead }): IForbiddenRuleType => {
    return {
      name: `layer ${from}`,
      severity: "error",
      comment: instead,
      from: { path: from },
      to: { path: "^(src|gateways)/", pathNot: [...to, from] },
    };
  });
  return [
    ...layers,
    {
      name: "a gateway is alone",
      severity: "error",
      comment: "gateways meet on the bus; only LwM2M, which is CoAP, uses the CoAP stack",
      from: { path: "^gateways/([^/]+)/" },
      to: {
        path: "^gateways/([^/]+)/",
        pathNot: ["^gateways/$1/", "^gateways/coap/stack/"],
      },
    },
    {
      name: "only LwM2M uses the CoAP stack",
      severity: "error",
      from: { path: "^gateways/(?!coap/|lwm2m/)" },
      to: { path: "^gateways/coap/" },
    },
    {
      name: "the core behind its door",
      severity: "error",
      comment: "a gateway sees the contract, topics, messages and lib",
      from: { path: "^gateways/" },
      to: { path: "^src/", pathNot: OPEN_TO_GATEWAYS },
    },
    {
      name: "types of answers only",
      severity: "error",
      comment:
        "who reads answers needs their types, and no schemas: none may come into the dashboard's bundle",
      from: { path: "^src/(?!api/)" },
      to: { path: "^src/api/answers/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "answers are typebox and nothing else",
      severity: "error",
      from: { path: "^src/api/answers/" },
      to: { path: "node_modules/", pathNot: "node_modules/@sinclair/typebox/" },
    },
    {
      name: "node: at the edge",
      severity: "error",
      comment: "protocol and core code has no I/O: the edge does it and passes the result",
      from: { path: "^(src|gateways)/", pathNot: NODE_ALLOWED },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "sockets in net only",
      severity: "error",
      // The store's lock on its folder is a socket that nothing is sent through.
      from: { path: "^(src|gateways)/", pathNot: "^src/(net/|store/folder-lock)" },
      to: { path: "^(node:)?(net|tls|dgram)$" },
    },
    {
      name: "no circle of files at run time",
      severity: "error",
      from: { path: "^(src|gateways)/" },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    { name: "nothing unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
  ];
}

async function cruised(): Promise<ICruiseResult> {
  const { output } = await cruise(["src", "gateways"], {
    ruleSet: { forbidden: rules() },
    validate: true,
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      conditionNames: ["dev", "import", "node", "default", "types"],
      exportsFields: ["exports"],
    },
  });
  return output as ICruiseResult;
}

const folderOf = (path: string): string | undefined => /^src\/[^/]+(?=\/)/.exec(path)?.[0];

/** Pairs of folders of `src` of which each imports the other, types counted. */
function mutualFolders({ modules }: ICruiseResult): string[] {
  const imports = new Set<string>();
  for (const { source, dependencies } of modules) {
    const from = folderOf(source);
    for (const { resolved } of dependencies) {
      const to = folderOf(resolved);
      if (from !== undefined && to !== undefined && from !== to) imports.add(`${from} ${to}`);
    }
  }
  return [...imports].filter((pair) => {
    const [from = "", to = ""] = pair.split(" ");
    return from < to && imports.has(`${to} ${from}`);
  });
}

describe("the architecture", () => {
  const result = cruised();

  it("holds: nobody imports what the table of layers does not allow", async () => {
    const { violations } = (await result).summary;
    expect(violations.map(({ rule, from, to }) => `${from} -> ${to} (${rule.name})`)).toEqual([]);
  }, 60_000);

  it("has floors: no two folders of src import each other", async () => {
    expect(mutualFolders(await result)).toEqual([]);
  }, 60_000);
});
