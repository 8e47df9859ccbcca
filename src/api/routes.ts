import type { Route } from "./route.ts";
import { keyRoutes, userRoutes } from "./routes/accounts.ts";
import { alarmRoutes } from "./routes/alarms.ts";
import { backupRoutes } from "./routes/backup.ts";
import { banRoutes } from "./routes/bans.ts";
import { changeRoutes } from "./routes/changes.ts";
import { clientHistoryRoutes } from "./routes/client-history.ts";
import { clientRoutes } from "./routes/clients.ts";
import { configRoutes } from "./routes/config.ts";
import { deviceRoutes } from "./routes/devices.ts";
import { gatewayRoutes } from "./routes/gateways.ts";
import { healthRoutes } from "./routes/health.ts";
import { loginRoutes } from "./routes/logins.ts";
import { measureRoutes } from "./routes/measures.ts";
import { messageRoutes } from "./routes/messages.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { nodeRoutes } from "./routes/node.ts";
import { pipelineRoutes } from "./routes/pipelines.ts";
import { refusalRoutes } from "./routes/refusals.ts";
import { retainedRoutes } from "./routes/retained.ts";
import { ruleChangeRoutes } from "./routes/rule-changes.ts";
import { ruleRoutes } from "./routes/rules.ts";
import { seriesRoutes } from "./routes/series.ts";
import { sessionRoutes } from "./routes/session.ts";
import { signInRoutes } from "./routes/sign-ins.ts";
import { simulatorRoutes } from "./routes/simulator.ts";
import { topicRoutes } from "./routes/topics.ts";
import { traceRoutes } from "./routes/traces.ts";
import { upstreamRoutes } from "./routes/upstream.ts";

/** Everything that can be asked below `/api/v1`. */
export const ROUTES: readonly Route[] = [
  ...nodeRoutes,
  ...seriesRoutes,
  ...healthRoutes,
  ...messageRoutes,
  ...retainedRoutes,
  ...gatewayRoutes,
  ...clientRoutes,
  ...clientHistoryRoutes,
  ...topicRoutes,
  ...measureRoutes,
  ...deviceRoutes,
  ...banRoutes,
  ...loginRoutes,
  ...upstreamRoutes,
  ...ruleRoutes,
  ...ruleChangeRoutes,
  ...pipelineRoutes,
  ...refusalRoutes,
  ...traceRoutes,
  ...alarmRoutes,
  ...simulatorRoutes,
  ...metricsRoutes,
  ...sessionRoutes,
  ...signInRoutes,
  ...changeRoutes,
  ...configRoutes,
  ...userRoutes,
  ...keyRoutes,
  ...backupRoutes,
];
