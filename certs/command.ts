/** `npm run certs`: a development PKI in one folder. */
import { X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { parseArgs } from "node:util";
import { UsageError } from "../src/cli/command.ts";
import type { Command } from "../src/cli/command.ts";
import { parseCount } from "../src/cli/options.ts";
import { runCommand } from "../src/cli/run-command.ts";
import { RUNNER_URN } from "../src/control/auth/certificate-identity.ts";
import { makeFolder } from "../src/control/sqlite/make-folder.ts";
import { namesOf, plainName } from "./certificate-names.ts";
import { FILE, Inventory, InventoryError } from "./inventory.ts";
import type { Report, Wanted } from "./inventory.ts";
import { CA_DAYS, LEAF_DAYS, MAX_DAYS } from "./lifetimes.ts";

const DEFAULT_OUT = "certs/dev";
const DEFAULT_NAMES = ["localhost", "127.0.0.1", "::1"];
/** What Wolf's agent announces: Wolf, Moonlight Web, and the sandboxes that it finds. */
const DEFAULT_AGENT = "wolf-local,moonlight-local,sandbox-*";
/** X.520: the longest common name. */
const MAX_COMMON_NAME = 64;

const HELP = `
usage: npm run certs -- [COMMAND] [OPTIONS]

A certificate authority for development and tests, and what it issues. A second run changes nothing.

  make (default)            make what is missing, broken, about to expire, or lacks a name
  renew [FOLDER...]         new keys and dates for those that expire soon, or for the named ones
  revoke FOLDER|FILE|SERIAL revoke a certificate; FOLDER: all that it has had
  show                      list the certificates

  --out DIR                 folder; default ${DEFAULT_OUT}
  --name NAME               further DNS name or address of the control plane; may be repeated
  --agent RUNNER[,RUNNER]   an agent's certificate and the runners that it may register, * as in
                            the token file; may be repeated; default, where there is no agent yet:
                            ${DEFAULT_AGENT}
  --days N                  lifetime of issued certificates; default ${LEAF_DAYS}
  --ca-days N               lifetime of the authority; default ${CA_DAYS}
  --all                     renew: all of them
  --ca                      renew: the authority too, with the same key

Each folder has tls.crt, tls.key, ca.crt and, where certificates are checked, crl.pem; mount or copy it as a whole.
`;

const certs: Command = {
  name: "npm run certs --", // as hints have to say it: before the dashes, an option is npm's
  summary: "a development PKI",
  help: HELP,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: "string", default: DEFAULT_OUT },
        name: { type: "string", multiple: true, default: [] },
        agent: { type: "string", multiple: true, default: [] },
        days: { type: "string" },
        "ca-days": { type: "string" },
        all: { type: "boolean", default: false },
        ca: { type: "boolean", default: false },
      },
    });
    const [command = "make", ...rest] = positionals;
    const { out } = values;
    checkOut(out);
    const inventory = new Inventory(out);
    const leafDays = parseDays(values.days, "--days") ?? LEAF_DAYS;
    const caDays = parseDays(values["ca-days"], "--ca-days") ?? CA_DAYS;
    const print = (reports: readonly Report[]) => process.stdout.write(reports.map(line).join(""));
    try {
      switch (command) {
        case "make": {
          const own = ownOf(values.name);
          const agents = agentsOf(values.agent);
          makeOut(out);
          const wanted = { own, agents, firstAgent: agentOf(DEFAULT_AGENT) };
          const reports = await inventory.make(wanted, { ca: caDays, leaf: leafDays });
          print(reports);
          process.stdout.write(nextCommands(out, reports));
          return;
        }
        case "renew": {
          if (values.ca) print([await inventory.renewAuthority(caDays)]);
          const folders = rest.map((folder) => inside(out, folder));
          print(await inventory.renew(folders, values.all, leafDays));
          process.stdout.write("\nThe control plane and the agents reload them.\n");
          return;
        }
        case "revoke": {
          if (rest.length === 0)
            throw new UsageError("nothing to revoke", "name a folder, a file or a serial");
          for (const what of rest) {
            const serials = await serialsOf(inventory, out, what);
            await inventory.revoke(serials);
            process.stdout.write(serials.map((serial) => `revoked   ${serial}\n`).join(""));
          }
          const crl = path.join(out, "server", FILE.crl);
          process.stdout.write(
            `\nA control plane with --client-crl ${crl} closes its connections within a second.\n`,
          );
          return;
        }
        case "show":
          return void print(await inventory.show());
        default:
          throw new UsageError(`no command ${command}`, "use make, renew, revoke or show");
      }
    } catch (error) {
      if (!(error instanceof InventoryError)) throw error;
      throw new UsageError(
        error.message,
        "`npm run certs` makes what is missing (an agent's: with --agent), `npm run certs -- show` lists what is there",
      );
    }
  },
};

/** What is not there yet is no fault here: who only reads will say so. */
function checkOut(out: string): void {
  try {
    if (statSync(out).isDirectory()) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw noFolder(out, error);
  }
  throw new UsageError(`--out ${out}: not a folder`, "name a folder, new or made by an earlier run");
}

function makeOut(out: string): void {
  try {
    makeFolder(out);
  } catch (error) {
    throw noFolder(out, error);
  }
}

function noFolder(out: string, error: unknown): UsageError {
  const hint = "name a folder that you may write to, new or made by an earlier run";
  return new UsageError(`--out ${out}: ${(error as Error).message}`, hint);
}

function ownOf(names: readonly string[]): Wanted[] {
  const all = [...DEFAULT_NAMES, ...names];
  const ip = all.filter((name) => net.isIP(name) !== 0).map(plainName);
  const dns = all.filter((name) => net.isIP(name) === 0);
  const bad = dns.find((name) => !/^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name));
  if (bad !== undefined) throw new UsageError(`--name ${bad}`, "use a DNS name or an IP address");
  return [
    { folder: "server", commonName: "turnabout control plane", dns, ip, purposes: ["server" as const] },
    {
      folder: "peer",
      commonName: "turnabout peer",
      dns,
      ip,
      purposes: ["server" as const, "client" as const],
    },
  ];
}

function agentsOf(values: readonly string[]): Wanted[] {
  const wanted = values.map(agentOf);
  const folders = wanted.map(({ folder }) => folder);
  const twice = folders.find((folder, index) => folders.indexOf(folder) !== index);
  if (twice !== undefined) {
    throw new UsageError(`two agents would share ${twice}`, "give all runners of one agent in one --agent");
  }
  return wanted;
}

/** The first runner names the certificate; an identity is called after it. */
function agentOf(value: string): Wanted {
  const runners = value.split(",");
  const bad = runners.find((runner) => !/^[a-z0-9_*-]+$/.test(runner));
  if (bad !== undefined) {
    throw new UsageError(
      `--agent ${value}`,
      "use runner ids with a comma between them; * stands for any characters",
    );
  }
  const [commonName = ""] = runners;
  if (commonName.length > MAX_COMMON_NAME) {
    throw new UsageError(
      `--agent ${commonName}: longer than ${MAX_COMMON_NAME} characters`,
      "put a shorter runner, or a pattern, first",
    );
  }
  return {
    folder: `agents/${commonName.replaceAll("*", "any")}`,
    commonName,
    uri: runners.map((runner) => `${RUNNER_URN}${runner}`),
    purposes: ["client"],
  };
}

/** `agents/wolf-local`, or its path from where the user stands. */
function inside(out: string, folder: string): string {
  const relative = path.relative(path.resolve(out), path.resolve(folder));
  const name = relative.startsWith("..") ? folder : relative;
  return name.replaceAll(path.sep, "/").replace(/\/+$/, "");
}

/** A folder's: those from before its renewals too, because a key that was copied then is still good. */
async function serialsOf(inventory: Inventory, out: string, what: string): Promise<string[]> {
  for (const candidate of [what, path.join(out, what), path.join(out, "agents", what)]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found === undefined) continue;
    const folder = path.relative(path.resolve(out), path.resolve(candidate));
    const isOurs = found.isDirectory() && !folder.startsWith("..");
    const file = found.isDirectory() ? path.join(candidate, FILE.cert) : candidate;
    try {
      const { serialNumber } = new X509Certificate(await readFile(file));
      return isOurs ? await inventory.serials(folder) : [serialNumber];
    } catch (error) {
      throw new UsageError(`${file}: ${(error as Error).message}`, "name a certificate file or its folder");
    }
  }
  if (/^[0-9a-f]{2}(:?[0-9a-f]{2})*$/i.test(what)) return [what.replaceAll(":", "").toUpperCase()];
  throw new UsageError(`${what}: neither a certificate nor a serial`, "`npm run certs -- show` lists both");
}

function parseDays(value: string | undefined, option: string): number | undefined {
  const days = parseCount(value, option);
  if (days !== undefined && (days < 1 || days > MAX_DAYS)) {
    throw new UsageError(`${option} ${value}`, `use 1 to ${MAX_DAYS}`);
  }
  return days;
}

function line({ folder, outcome, certificate }: Report): string {
  const { commonName, dns = [], ip = [], uri = [] } = namesOf(certificate);
  const runners = uri.map((name) => name.replace(RUNNER_URN, ""));
  const names = [...new Set([commonName, ...dns, ...ip, ...runners])].join(", ");
  const end = certificate.validToDate.toISOString().slice(0, 16).replace("T", " ");
  return `${outcome.padEnd(9)} ${folder.padEnd(24)} until ${end} UTC  serial ${certificate.serialNumber}  ${names}\n`;
}

function nextCommands(out: string, reports: readonly Report[]): string {
  const server = (file: string) => path.join(out, "server", file);
  const agent = reports.find(({ folder }) => folder.startsWith("agents/"));
  const own = (file: string) => path.join(out, agent?.folder ?? "", file);
  const runner = agent === undefined ? "" : namesOf(agent.certificate).commonName.replaceAll("*", "1");
  return `
next:
  turnabout serve --port 8443 --tls-cert ${server(FILE.cert)} --tls-key ${server(FILE.key)} \\
    --client-ca ${server(FILE.ca)} --client-crl ${server(FILE.crl)} --token-file tokens.json
  turnabout agent --server https://localhost:8443 --carrier rh2 --ca ${own(FILE.ca)} \\
    --cert ${own(FILE.cert)} --key ${own(FILE.key)} --runner ${runner} --target web=127.0.0.1:3000
  npm run certs -- renew        before they end
`;
}

export async function main(args: string[]): Promise<void> {
  await runCommand(certs, args);
}
