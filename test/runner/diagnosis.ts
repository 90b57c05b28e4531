/**
 * What a process that does not end is doing. If its event loop turns, by node's diagnostic report; if JavaScript
 * blocks the loop, by the inspector, which has a thread of its own.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const REPORT_MS = 5_000;
const INSPECTOR_MS = 5_000;
const MAX_FRAMES = 12;
/** Kinds of libuv handles that node itself holds in every process. */
const INTERNAL = /^(async|check|idle|prepare|loop|signal)$/;

/** Flags with which {@link diagnose} gets a result. */
export function diagnosisFlags(path: string): string[] {
  return [
    "--inspect-port=0", // for when SIGUSR1 starts it; many processes at a time
    "--report-on-signal",
    "--report-signal=SIGUSR2",
    "--report-exclude-env",
    "--report-exclude-network", // else it looks addresses up by name
    "--report-directory=/",
    `--report-filename=${path.slice(1)}`,
  ];
}

interface Report {
  libuv?: Handle[];
}

interface Handle {
  type: string;
  is_active: boolean;
  is_referenced?: boolean;
  pid?: number;
  fd?: number;
  localEndpoint?: Endpoint | string | null;
  remoteEndpoint?: Endpoint | string | null;
  firesInMsFromNow?: number;
}

interface Endpoint {
  ip4?: string;
  ip6?: string;
  port?: number;
}

/**
 * Lines of text. Bounded in time; never rejects.
 *
 * @param output what the process has written so far
 */
export async function diagnose(pid: number, path: string, output: () => string): Promise<string[]> {
  signal(pid, "SIGUSR2");
  const report = await readReport(path);
  if (report === undefined) return [await blockedBy(pid, output)];
  const handles = (report.libuv ?? []).filter(
    ({ type, is_active, is_referenced }) => is_active && is_referenced !== false && !INTERNAL.test(type),
  );
  return [
    `the event loop turns; it is kept alive by ${handles.length === 0 ? "no handle" : handles.map(describe).join("; ")}`,
  ];
}

function signal(pid: number, name: "SIGUSR1" | "SIGUSR2"): void {
  try {
    process.kill(pid, name);
  } catch {
    // has ended meanwhile
  }
}

/** The stack of the JavaScript that blocks the event loop. */
async function blockedBy(pid: number, output: () => string): Promise<string> {
  signal(pid, "SIGUSR1");
  const deadline = performance.now() + INSPECTOR_MS;
  for (; performance.now() < deadline; await delay(50)) {
    const url = /Debugger listening on (ws:\S+)/.exec(output())?.[1];
    if (url === undefined) continue;
    const stack = await pausedStack(url, deadline - performance.now());
    if (stack !== undefined)
      return `JavaScript blocks the event loop:\n        at ${stack.join("\n        at ")}`;
  }
  return "the event loop is blocked, outside JavaScript, or the process is stopped";
}

interface Frame {
  functionName: string;
  location: { scriptId: string; lineNumber: number };
}

interface InspectorMessage {
  method?: string;
  params?: { callFrames?: Frame[]; scriptId?: string; url?: string };
}

async function pausedStack(url: string, timeoutMs: number): Promise<string[] | undefined> {
  const { promise, resolve } = Promise.withResolvers<string[] | undefined>();
  const timer = setTimeout(resolve, timeoutMs, undefined);
  const scripts = new Map<string | undefined, string | undefined>();
  const socket = new WebSocket(url);
  socket.addEventListener("error", () => resolve(undefined));
  socket.addEventListener("open", () => {
    socket.send('{"id":1,"method":"Debugger.enable"}');
    socket.send('{"id":2,"method":"Debugger.pause"}');
  });
  socket.addEventListener("message", ({ data }) => {
    const { method, params } = JSON.parse(String(data)) as InspectorMessage;
    if (method === "Debugger.scriptParsed") scripts.set(params?.scriptId, params?.url);
    if (method !== "Debugger.paused") return;
    const frames = params?.callFrames?.slice(0, MAX_FRAMES) ?? [];
    resolve(
      frames.map(({ functionName, location: { scriptId, lineNumber } }) => {
        return `${functionName || "(anonymous)"} (${scripts.get(scriptId) ?? ""}:${lineNumber + 1})`;
      }),
    );
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

async function readReport(path: string): Promise<Report | undefined> {
  for (const deadline = performance.now() + REPORT_MS; performance.now() < deadline;) {
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Report;
    } catch {
      await delay(50); // not there, or not complete
    }
  }
  return undefined;
}

function describe({ type, pid, fd, localEndpoint, remoteEndpoint, firesInMsFromNow }: Handle): string {
  const parts = [type];
  if (pid !== undefined) parts.push(`pid ${pid}`);
  if (fd !== undefined && fd >= 0) parts.push(`fd ${fd}`);
  if (localEndpoint) parts.push(address(localEndpoint));
  if (remoteEndpoint) parts.push(`to ${address(remoteEndpoint)}`);
  if (firesInMsFromNow !== undefined) parts.push(`in ${firesInMsFromNow} ms`);
  return parts.join(" ");
}

function address(endpoint: Endpoint | string): string {
  if (typeof endpoint === "string") return endpoint;
  return `${endpoint.ip4 ?? endpoint.ip6 ?? ""}:${endpoint.port ?? ""}`;
}
