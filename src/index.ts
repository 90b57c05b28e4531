/** Turnabout's public API. Everything else may change between minor versions. */
export { createControlPlane } from "./control/control-plane.ts";
export type { ControlPlane, ControlPlaneOptions } from "./control/control-plane.ts";
export type { TokenRecord } from "./control/auth/tokens.ts";
export type { RegistryEvent, RunnerState, RunnerView } from "./control/registry.ts";
export { createAgent } from "./agent/agent.ts";
export type { Agent } from "./agent/agent.ts";
export type { AgentLifecycleEvent, AgentOptions } from "./agent/config.ts";
export type { Runner, Target, TargetAddress } from "./agent/targets.ts";
export type { Dial, DialOptions } from "./wire/dial.ts";
export { TurnaboutError } from "./wire/errors.ts";
export type { ErrorCode } from "./wire/error-table.ts";
export type { Logger } from "./wire/log.ts";
export { createDispatcher } from "./clients/dispatcher.ts";
export { createHttpAgent } from "./clients/http-agent.ts";
export { createRemoteDial } from "./clients/remote-dial.ts";
export type { RemoteDialOptions } from "./clients/remote-dial.ts";
