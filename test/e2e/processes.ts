/** Reads from the kernel which processes are left, what they hold open, and how many bytes they have moved. */
import { readdir, readFile, readlink } from "node:fs/promises";

export interface ProcessView {
  pid: number;
  command: string;
}

/** Processes with this text in their environment or arguments: a folder that is unique to them. */
export async function processesWith(text: string): Promise<ProcessView[]> {
  const found = await Promise.all(
    (await pids()).map(async (pid): Promise<ProcessView | undefined> => {
      const [environment, command] = await Promise.all([readProc(pid, "environ"), readProc(pid, "cmdline")]);
      if (!environment.includes(text) && !command.includes(text)) return undefined;
      if (/^\d+ \(.*\) Z/.test(await readProc(pid, "stat"))) return undefined;
      return { pid, command: command.replaceAll("\0", " ").trim() };
    }),
  );
  return found.filter((view) => view !== undefined && view.pid !== process.pid) as ProcessView[];
}

export interface SocketView {
  kind: "tcp" | "udp" | "unix";
  local: string;
  /** Undefined for a listener, and for a Unix socket. */
  remote: string | undefined;
}

/** Sockets that a process holds, by the tables of its own network namespace. */
export async function socketsOf(pid: number): Promise<SocketView[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = await Promise.all(names.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const sockets: SocketView[] = [];
  for (const table of ["tcp", "tcp6", "udp", "udp6"] as const) {
    const lines = (await readProc(pid, `net/${table}`)).split("\n").slice(1);
    for (const line of lines) {
      const [, local = "", remote = "", , , , , , , inode = ""] = line.trim().split(/\s+/);
      if (!inodes.has(inode)) continue;
      const kind = table.startsWith("tcp") ? "tcp" : "udp";
      const isBound = /^0+:0000$/.test(remote);
      sockets.push({ kind, local: address(local), remote: isBound ? undefined : address(remote) });
    }
  }
  for (const line of (await readProc(pid, "net/unix")).split("\n").slice(1)) {
    const [, , , , , , inode = "", path = ""] = line.trim().split(/\s+/);
    if (inodes.has(inode)) sockets.push({ kind: "unix", local: path, remote: undefined });
  }
  return sockets;
}

/** Bytes that a process has read and written, sockets included. */
export async function bytesMovedBy(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/io`, "utf8");
  const [, read = "", written = ""] = /rchar: (\d+)\nwchar: (\d+)/.exec(text) ?? [];
  return Number(read) + Number(written);
}

async function pids(): Promise<number[]> {
  return (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry)).map(Number);
}

/** Empty for a process that has ended meanwhile. */
function readProc(pid: number, name: string): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
}

/** `0100007F:1F90` → `127.0.0.1:8080`; the kernel writes 32-bit words in the machine's order. */
function address(text: string): string {
  const [hex = "", port = ""] = text.split(":");
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...(word.match(/../g) ?? [])].toReversed());
  const numbers = bytes.map((byte) => Number.parseInt(byte, 16));
  const isMapped = numbers.length === 16 && /^0{16}0000FFFF/.test(hex);
  const four = numbers.length === 4 ? numbers : isMapped ? numbers.slice(12) : undefined;
  const host = four === undefined ? `[${bytes.join("")}]` : four.join(".");
  return `${host}:${Number.parseInt(port, 16)}`;
}
