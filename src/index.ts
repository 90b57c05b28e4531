/**
 * The tunnel's public API: control plane, agent, dial clients. The product on it is `turnabout/helix`. Everything else may
 * change between minor versions.
 */
export { createControlPlane } from "./control/control-plane.ts";
export type { CloseOptions, ControlPlane, ControlPlaneOptions } from "./control/control-plane.ts";
export { targetJob } from "./control/extension.ts";
export type {
  ApiResource,
  ControlPlaneExtension,
  ExtensionEvent,
  ExtensionHost,
  ExtensionParts,
  Identity,
  Migrations,
  RunnerGroups,
  TargetRoute,
} from "./control/extension.ts";
export type { TokenRecord } from "./control/auth/tokens.ts";
export type { RegistryEvent, RunnerState, RunnerView } from "./control/registry/registry.ts";
export { createAgent } from "./agent/agent.ts";
export type { Agent } from "./agent/agent.ts";
export type { AgentLifecycleEvent, AgentOptions } from "./agent/config.ts";
export type { Runner, Target, TargetAddress } from "./agent/targets/targets.ts";
export type { Dial, DialOptions } from "./wire/streams/dial.ts";
export { TurnaboutError } from "./wire/errors.ts";
export type { ErrorCode } from "./wire/error-table.ts";
export type { Logger } from "./wire/log.ts";
export { openTelemetry } from "./telemetry/open-telemetry.ts";
export type { SpanAttributes, SpanKind, SpanOptions, TraceSpan, Tracing } from "./wire/trace/tracing.ts";
export { createDispatcher } from "./clients/dial/dispatcher.ts";
export { createHttpAgent } from "./clients/dial/http-agent.ts";
export type { OpenStream } from "./clients/dial/open-stream.ts";
export type { CallOptions } from "./clients/http/call.ts";
export { createRemoteDial } from "./clients/dial/remote-dial.ts";
export type { RemoteDialOptions } from "./clients/dial/remote-dial.ts";
