/** A real PostgreSQL of its own, on a Unix socket and a port, with TLS. */
import { execFileSync } from "node:child_process";
import { chownSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { closedAtTheEnd } from "../../support/cleanup.ts";

export interface Postgres extends AsyncDisposable {
  port: number;
}

/** Debian keeps the server's programs out of PATH. */
function programs(): string {
  const [folder] = globSync("/usr/lib/postgresql/*/bin").toSorted().toReversed();
  if (folder === undefined) throw new Error("no PostgreSQL server is installed");
  return folder;
}

/** @param port free on 127.0.0.1 */
export function startPostgres(port: number, tls: { cert: string; key: string }): Postgres {
  const bin = programs();
  const folder = mkdtempSync(path.join(os.tmpdir(), "turnabout-pg-"));
  // It refuses to run as root.
  const isRoot = process.getuid?.() === 0;
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  const user = isRoot ? { uid: id("-u"), gid: id("-g") } : {};
  if (isRoot) chownSync(folder, id("-u"), id("-g"));
  const data = path.join(folder, "data");
  const run = (name: string, args: readonly string[]): void => {
    execFileSync(path.join(bin, name), args, { ...user, cwd: folder, stdio: "ignore", timeout: 60_000 });
  };
  run("initdb", ["-D", data, "-U", "postgres", "--auth", "trust", "--no-sync"]);
  for (const [name, text] of Object.entries({ "server.crt": tls.cert, "server.key": tls.key })) {
    writeFileSync(path.join(data, name), text, { mode: 0o600 });
    if (isRoot) chownSync(path.join(data, name), id("-u"), id("-g"));
  }
  const options = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c ssl=on -c fsync=off`;
  run("pg_ctl", ["-D", data, "-w", "-l", path.join(folder, "log"), "-o", options, "start"]);
  const close = closedAtTheEnd(async () => {
    run("pg_ctl", ["-D", data, "-m", "immediate", "stop"]);
    rmSync(folder, { recursive: true, force: true });
  });
  return { port, [Symbol.asyncDispose]: close };
}
