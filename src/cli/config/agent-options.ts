/** The options of `turnabout agent`. */
import { DEFAULT_CONNECTIONS, MAX_CONNECTIONS } from "../../agent/limits.ts";
import { DRAIN_DEADLINE_MS } from "../../wire/limits.ts";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import type { OptionTable } from "./option.ts";
import { SHARED_OPTIONS } from "./shared-options.ts";
import type { SharedOption } from "./shared-options.ts";

export type AgentOption =
  | "server"
  | "runner"
  | "target"
  | "docker"
  | "discover-host-network"
  | "listen"
  | "token-file"
  | "carrier"
  | "connections"
  | "ca"
  | "cert"
  | "key"
  | "server-name"
  | "insecure"
  | "drain"
  | "backoff-cap"
  | SharedOption;

export const AGENT_OPTIONS: OptionTable<AgentOption> = {
  server: {
    kind: "text",
    value: "URL",
    text: "control plane: http(s)://HOST[:PORT][/BASE], or a relay: unix:/PATH",
    example: "https://cp.example",
  },
  runner: {
    kind: "text",
    value: "ID",
    text: "runner to register, each followed by its own targets",
    many: true,
    example: "host-1",
  },
  target: {
    kind: "text",
    value: "NAME=ADDRESS",
    text:
      "unix:/path or host:port. Options that may follow ADDRESS: ;http=1.0 for a target that rejects chunked bodies " +
      "(default for one named wolf), ;http=2 for HTTP/2 without TLS such as gRPC, ;host=HOST[:PORT] for the Host of its " +
      "requests in place of localhost, ;rewrite=off to leave the addresses in its redirects",
    many: true,
    key: "targets",
    example: "web=127.0.0.1:3000",
  },
  docker: {
    kind: "text",
    value: "URL",
    text:
      "Docker Engine whose labelled containers are announced while they run: unix:///var/run/docker.sock or " +
      "tcp://HOST:PORT. A runner then needs no target",
    example: "unix:///var/run/docker.sock",
  },
  "discover-host-network": {
    kind: "switch",
    text: "also announce containers in the host's network, whose labels can name any port of this host",
  },
  listen: {
    kind: "text",
    value: "ADDRESS",
    text: "act as a relay: listen on unix:/PATH[;mode=0660] or HOST:PORT for agents that cannot reach the control plane",
    many: true,
    example: "unix:/run/turnabout.sock",
  },
  "token-file": {
    kind: "file",
    value: "FILE",
    text:
      "file with the bearer token in plain text (not the JSON file of hashes that serve takes), read again at every " +
      "attempt",
    example: "host-1.token",
  },
  carrier: {
    kind: "choice",
    value: "KIND",
    text: "auto, rh2, ptth, websocket or h2",
    choices: ["auto", ...CARRIER_KINDS],
    default: "auto",
  },
  connections: {
    kind: "count",
    value: "N",
    text: "connections to the control plane",
    min: 1,
    max: MAX_CONNECTIONS,
    default: DEFAULT_CONNECTIONS,
  },
  ca: {
    kind: "file",
    value: "FILE",
    text: "CA of the control plane's certificate, in addition to the system's",
    example: "ca.pem",
  },
  cert: { kind: "file", value: "FILE", text: "client certificate for rh2, PEM", example: "agent.pem" },
  key: { kind: "file", value: "FILE", text: "its key, PEM", example: "agent.key" },
  "server-name": {
    kind: "text",
    value: "NAME",
    text: "name in the control plane's certificate, if it is not the URL's host",
    example: "cp.internal",
  },
  insecure: { kind: "switch", text: "accept any certificate (never in production)" },
  drain: {
    kind: "seconds",
    value: "SECONDS",
    text: "how long open streams may take to finish after SIGTERM",
    default: DRAIN_DEADLINE_MS / 1_000,
  },
  "backoff-cap": { kind: "seconds", value: "SECONDS", text: "longest pause between attempts", default: 8 },
  ...SHARED_OPTIONS,
};
