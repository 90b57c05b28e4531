/** Requests of the test to Wolf's side, which is another process: over IPC, never over the network. */
import type { MoonlightDialect } from "../../../src/demo/moonlight/double.ts";
import type { Ran, RunOptions } from "./programs.ts";
import type { SandboxView, Stage } from "./sandbox.ts";

export interface HostOptions {
  wolfSocket: string;
  /** Of the Moonlight double; 0 takes a free one. */
  moonlightPort: number;
  credentials: string;
  /** Of the Moonlight double. Default: Helix's fork. */
  dialect?: MoonlightDialect;
  /** In which upstream's versions of it take a user's name from a proxy. */
  usernameField?: string;
  /** Network namespace file for sandboxes; undefined: the host's own. */
  sandboxNetwork?: string | undefined;
}

export interface HostView {
  wolf: {
    lobbies: { id: string; name: string; runner: Record<string, unknown> }[];
    apps: string[];
    /** `POST /api/v1/lobbies/create`, oldest first. */
    requests: string[];
    openConnections: number;
  };
  moonlight: {
    port: number;
    streams: string[];
    openWebSockets: number;
    openConnections: number;
    /** Path of the request, and its field `Authorization`. */
    requests: { url: string; authorization: string | undefined; cookie: string | undefined }[];
    controlFrames: number;
    /** Closes that reached signalling. */
    closes: { code: number; isMasked: boolean }[];
  };
  video: { openPeers: number; sentBytes: number };
  sandboxes: SandboxView[];
  /** Command lines of processes that sandboxes left behind when they were stopped. */
  stragglers: string[];
}

export interface HostCalls {
  view(): Promise<HostView>;
  /** Lets the next part of a sandbox's start script run. */
  proceed(session: string, stage: Stage): Promise<void>;
  /** A program on a sandbox's desktop. */
  run(session: string, command: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Resolves when no sandbox is stopping. */
  settled(): Promise<void>;
}

export interface HostCall {
  id: number;
  method: keyof HostCalls;
  args: unknown[];
}

/** `id` 0 is the child's first message: it is ready. */
export interface HostResult {
  id: number;
  value?: unknown;
  error?: string;
}
