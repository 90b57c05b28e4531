/** The options of `turnabout serve`. */
import { GRACE_MS, RESPONSE_TIMEOUT_MS } from "../../control/limits.ts";
import {
  ANONYMOUS_REQUESTS_PER_S,
  CALLER_STALL_MS,
  OPEN_STREAMS_PER_CALLER,
} from "../../control/shares/limits.ts";
import { FORWARDED_FIELDS } from "../../control/trusted-proxies/forwarded.ts";
import { PROXY_PROTOCOL_MODES } from "../../control/trusted-proxies/trusted-proxies.ts";
import { DRAIN_DEADLINE_MS } from "../../wire/limits.ts";
import type { OptionTable } from "./option.ts";
import { SHARED_OPTIONS } from "./shared-options.ts";
import type { SharedOption } from "./shared-options.ts";

export type ServeOption =
  | "port"
  | "host"
  | "supervise"
  | "token-file"
  | "data-dir"
  | "moonlight-credentials-file"
  | "moonlight-user-header"
  | "agent-url"
  | "sandbox-image"
  | "allow-image"
  | "max-sessions-per-user"
  | "abandoned-sessions"
  | "allowed-origin"
  | "trusted-pages"
  | "tls-cert"
  | "tls-key"
  | "client-ca"
  | "client-crl"
  | "plain-http-from"
  | "base-path"
  | "grace"
  | "response-timeout"
  | "max-streams-per-caller"
  | "caller-stall"
  | "anonymous-rate"
  | "drain"
  | "trusted-proxy"
  | "proxy-protocol"
  | "forwarded-fields"
  | "forwarded-prefix"
  | "revdial"
  | "ready-when"
  | "access-log"
  | SharedOption;

export const SERVE_OPTIONS: OptionTable<ServeOption> = {
  port: { kind: "port", value: "N", text: "port to listen on, 0 for a free one", default: 8080 },
  host: {
    kind: "text",
    value: "ADDRESS",
    text: "address to listen on; default: all",
    example: "127.0.0.1",
  },
  supervise: {
    kind: "switch",
    text: "hold the port, and run the control plane in a process that is restarted when it dies",
  },
  "token-file": {
    kind: "file",
    value: "FILE",
    text:
      "JSON file with the hashes of all accepted tokens (see docs/operations.md), reloaded when it changes. An agent's " +
      "option of the same name is a file with the token itself",
    example: "tokens.json",
  },
  "data-dir": {
    kind: "file",
    value: "DIR",
    text: "directory for sessions, instances and issued tokens; default: in memory only",
    example: "/var/lib/turnabout",
  },
  "moonlight-credentials-file": {
    kind: "file",
    value: "FILE",
    text: "file with Moonlight Web's shared secret; without it its routes are refused",
    example: "moonlight.secret",
  },
  "moonlight-user-header": {
    kind: "text",
    value: "NAME",
    text: "field in which Moonlight Web takes a user's name from a proxy: it gets the viewer's",
    example: "X-Forwarded-User",
  },
  "agent-url": {
    kind: "text",
    value: "URL",
    text: "control plane URL for the agents inside sandboxes, which get it in their environment",
    example: "https://cp.example",
  },
  "sandbox-image": {
    kind: "text",
    value: "IMAGE",
    text: "default container image of a sandbox",
    default: "turnabout-sandbox:latest",
  },
  "allow-image": {
    kind: "text",
    value: "PATTERN",
    text: "further images that users may request; * matches any characters",
    many: true,
    key: "allowedImages",
    example: "registry.example/desktop-*",
  },
  "max-sessions-per-user": {
    kind: "count",
    value: "N",
    text: "sessions that a user may have at once; default: limited only by capacity",
    example: "3",
  },
  "abandoned-sessions": {
    kind: "seconds",
    value: "SECONDS",
    text: "end the sessions of users who have had no valid token for so long; default: never",
    max: 31_536_000,
    example: "3600",
  },
  "allowed-origin": {
    kind: "text",
    value: "ORIGIN",
    text: "origin from which a token cookie is accepted, in addition to our own",
    many: true,
    key: "allowedOrigins",
    example: "https://app.example",
  },
  "trusted-pages": {
    kind: "text",
    value: "TARGET.RUNNER",
    text:
      "targets whose pages may run in browsers with our origin and the user's rights; * matches any characters; " +
      "default: none",
    many: true,
    example: "moonlight.*",
  },
  "tls-cert": {
    kind: "file",
    value: "FILE",
    text: "certificate chain, PEM; the port then accepts TLS, and credentials in plaintext from this machine and trusted proxies only",
    example: "tls.pem",
  },
  "tls-key": { kind: "file", value: "FILE", text: "its key, PEM", example: "tls.key" },
  "client-ca": {
    kind: "file",
    value: "FILE",
    text: "CA of client certificates, with which agents authenticate on rh2",
    example: "clients.pem",
  },
  "client-crl": {
    kind: "file",
    value: "FILE",
    text:
      "revoked client certificates: a PEM revocation list, or one serial number per line. These four files are reloaded " +
      "when they change",
    example: "revoked.pem",
  },
  "plain-http-from": {
    kind: "text",
    value: "CIDR",
    text:
      "address or block that may send credentials without TLS although there is a certificate, besides this machine and " +
      "trusted proxies",
    many: true,
    example: "10.0.0.0/8",
  },
  "base-path": {
    kind: "text",
    value: "PATH",
    text: "path prefix of all routes, if a reverse proxy does not strip it",
    example: "/tunnel",
  },
  grace: {
    kind: "seconds",
    value: "SECONDS",
    text: "how long dials wait for a lost agent",
    default: GRACE_MS / 1_000,
  },
  "response-timeout": {
    kind: "seconds",
    value: "SECONDS",
    text: "how long a target may take to send a response header",
    min: 0.1,
    default: RESPONSE_TIMEOUT_MS / 1_000,
  },
  "max-streams-per-caller": {
    kind: "count",
    value: "N",
    text: "requests, WebSockets and tunnels that one user may have open at once, an admin four times as many",
    min: 1,
    default: OPEN_STREAMS_PER_CALLER,
  },
  "caller-stall": {
    kind: "seconds",
    value: "SECONDS",
    text: "how long a caller may leave unread what waits for it; 0 for no limit",
    default: CALLER_STALL_MS / 1_000,
  },
  "anonymous-rate": {
    kind: "count",
    value: "N",
    text: "requests a second without a credential from one client address; 0 for no limit",
    default: ANONYMOUS_REQUESTS_PER_S,
  },
  drain: {
    kind: "seconds",
    value: "SECONDS",
    text: "how long open streams may take to finish after SIGTERM",
    default: DRAIN_DEADLINE_MS / 1_000,
  },
  "trusted-proxy": {
    kind: "text",
    value: "CIDR",
    text: "address or block of a reverse proxy that is trusted to name the client",
    many: true,
    key: "trustedProxies",
    example: "10.0.0.0/8",
  },
  "proxy-protocol": {
    kind: "choice",
    value: "MODE",
    text: "PROXY header from a trusted proxy: off, allow or require",
    choices: PROXY_PROTOCOL_MODES,
    default: "off",
  },
  "forwarded-fields": {
    kind: "choice",
    value: "NAME",
    text: "fields that a trusted proxy sets: x-forwarded or forwarded",
    choices: FORWARDED_FIELDS,
    default: "x-forwarded",
  },
  "forwarded-prefix": {
    kind: "switch",
    text: "trust X-Forwarded-Prefix of a trusted proxy, which must always set or remove it",
  },
  revdial: {
    kind: "switch",
    text: "refuse agents that speak RevDial's protocol (see docs/revdial.md)",
    default: true,
  },
  "ready-when": {
    kind: "text",
    value: "RUNNER",
    text: "/readyz is 200 only while this runner is connected",
    many: true,
    example: "host-1",
  },
  "access-log": {
    kind: "file",
    value: "FILE",
    text:
      "a JSON line for each request at its end; - is standard output, off none. Default: -, and off where standard " +
      "output is a terminal. SIGHUP opens the file again",
    example: "/var/log/turnabout/access.log",
  },
  ...SHARED_OPTIONS,
};
