/** Tests that `npm test` leaves out, because they take long; each set has a command of its own (`npm run test:<name>`). */
const SETS = {
  /** Against servers that others wrote: databases, brokers, directories. */
  servers: [
    "test/conformance/connect/",
    "test/conformance/backends.test.ts",
    "test/conformance/authenticate/databases.test.ts",
    "test/conformance/authenticate/ldap.test.ts",
    "test/conformance/authenticate/redis-fleets.test.ts",
    "test/conformance/authenticate/source-tls.test.ts",
  ],
  /** Processes in real time: kills, faults, fleets, lifetimes, changes while they run, every command, every symptom. */
  slow: [
    "test/conformance/api/connector-secrets.test.ts",
    "test/conformance/api/first-pipeline.test.ts",
    "test/conformance/api/pipeline-changes.test.ts",
    "test/conformance/authenticate/login-ends.test.ts",
    "test/conformance/authenticate/rubbish.test.ts",
    "test/conformance/cli/bench.test.ts",
    "test/conformance/cli/help.test.ts",
    "test/conformance/cli/steering.test.ts",
    "test/conformance/closed-outputs.test.ts",
    "test/conformance/config-kept.test.ts",
    "test/conformance/dtls/sleeping.test.ts",
    "test/conformance/hot-changes.test.ts",
    "test/conformance/lwm2m/lifetime.test.ts",
    "test/conformance/package.test.ts",
    "test/conformance/pipelines.test.ts",
    "test/conformance/plug-ins.test.ts",
    "test/conformance/policy/policy.test.ts",
    "test/conformance/rules/circles.test.ts",
    "test/conformance/sim/",
    "test/conformance/stomp/sockjs.test.ts",
    "test/conformance/stomp/sockjs-memory.test.ts",
    "test/conformance/store/clock-set.test.ts",
    "test/conformance/store/faults.test.ts",
    "test/conformance/store/kill.test.ts",
    "test/conformance/upstream/any-gateway.test.ts",
    "test/conformance/upstream/delayed.test.ts",
    "test/conformance/upstream/local-addresses.test.ts",
    "test/conformance/upstream/metrics.test.ts",
    "test/conformance/upstream/secured.test.ts",
    "test/conformance/upstream/transparent.test.ts",
    "test/conformance/upstream/workers.test.ts",
    "test/guide/",
  ],
} as const;

const glob = (place: string): string => (place.endsWith("/") ? `${place}**/*.test.ts` : place);

export const filesOf = (set: keyof typeof SETS): string[] => SETS[set].map(glob);

/** What is named on the command line is run, whatever the set. */
export const leftOut = (): string[] =>
  Object.values(SETS)
    .flat()
    .filter((place) => !process.argv.some((argument) => argument.startsWith(place)))
    .map(glob);
