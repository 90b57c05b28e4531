/** `turnabout/helix`: Helix's sessions on a control plane, and clients of Wolf, Moonlight Web and a sandbox. */
export { helix } from "./helix.ts";
export type { HelixOptions } from "./helix.ts";
export { HelixError } from "./errors.ts";
export type { HelixErrorCode } from "./errors.ts";
export type { SessionEvent } from "./sessions/session-event.ts";
export type { CallOptions } from "../clients/http/call.ts";
export { ServiceError } from "../clients/http/service-error.ts";
export { createWolfClient, wolfOverTunnel, wolfOverUnixSocket } from "../clients/wolf/client.ts";
export type { WolfClient } from "../clients/wolf/client.ts";
export type { WolfEvent, WolfEventStream } from "../clients/wolf/events.ts";
export { WolfError } from "../clients/wolf/errors.ts";
export { createSandboxClient, sandboxOverTunnel } from "../clients/sandbox/client.ts";
export type { Clipboard, SandboxClient, Screenshot } from "../clients/sandbox/client.ts";
export { SandboxError } from "../clients/sandbox/errors.ts";
export { createMoonlightClient, moonlightOverTunnel } from "../clients/moonlight/client.ts";
export type { MoonlightClient, MoonlightClientOptions } from "../clients/moonlight/client.ts";
export { MoonlightError } from "../clients/moonlight/errors.ts";
