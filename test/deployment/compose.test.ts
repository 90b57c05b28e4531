/** The compose files as their readers see them: Debian's docker-compose (1.29), and the parser of Compose v2. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { z } from "zod";
import { fences, readDocument, ROOT } from "../docs/markdown.ts";
import { run } from "../support/commands.ts";
import { missing, partPath } from "../support/parts.ts";
import { tempPath } from "../support/temp.ts";

const FOLDER = join(ROOT, "compose");

/** Every way in which the documents put the files together. */
const COMBINATIONS: readonly (readonly string[])[] = [
  ["compose.yaml"],
  ["compose.yaml", "gpu.yaml"],
  ["compose.yaml", "moonlight.yaml"],
  ["compose.yaml", "tls-nginx/compose.yaml"],
  ["compose.yaml", "tls-haproxy/compose.yaml"],
  ["compose.yaml", "tls-caddy/compose.yaml"],
  ["compose.yaml", "tls-nginx/compose.yaml", "gpu.yaml"],
  ["compose.yaml", "mtls/compose.yaml"],
];

const READERS = [
  {
    name: "docker-compose",
    args: (files: readonly string[]) => [...files.flatMap((file) => ["-f", file]), "config"],
  },
  { name: "compose-spec", args: (files: readonly string[]) => files },
] as const;

const projectSchema = z.looseObject({
  services: z.record(
    z.string(),
    z.looseObject({
      command: z.array(z.string()).nullish(),
      stop_grace_period: z.string().optional(),
      image: z.string().optional(),
      networks: z
        .record(z.string(), z.looseObject({ ipv4_address: z.string().optional() }).nullable())
        .optional(),
      environment: z.preprocess(byName, z.record(z.string(), z.string().nullable())).optional(),
    }),
  ),
});

type Project = z.infer<typeof projectSchema>;

/** A merged environment is a list of `NAME=value`. */
function byName(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return Object.fromEntries(
    value.map((entry) => {
      const [name = "", ...rest] = String(entry).split("=");
      return [name, rest.join("=")];
    }),
  );
}

const loaded = new Map<string, Project>();

describe("compose files", () => {
  it("are all in one of the combinations", () => {
    const files = globSync("**/*.yaml", { cwd: FOLDER }).filter(
      (file) => !/^(kubernetes|observability)\//.test(file),
    );
    assert.deepEqual(files.toSorted(), [...new Set(COMBINATIONS.flat())].toSorted());
  });

  for (const reader of READERS) {
    const skip = missing(reader.name);
    for (const files of COMBINATIONS) {
      it(`${reader.name} reads ${files.join(" + ")}`, { skip }, () => {
        const { services } = load(reader, files);
        const command = services["control-plane"]?.command ?? assert.fail("no command");
        const base = load(reader, ["compose.yaml"]).services["control-plane"]?.command ?? [];
        // A list is replaced as a whole: what a file adds comes behind what compose.yaml says.
        assert.deepEqual(command.slice(0, base.length), base);
        assert.equal(services["control-plane"]?.networks?.["outer"]?.ipv4_address, "172.19.0.20");
        assert.equal(services["wolf"]?.networks?.["outer"]?.ipv4_address, "172.19.0.50");
      });
    }

    it(`${reader.name} would refuse a broken file`, { skip }, () => {
      const folder = tempPath("");
      mkdirSync(folder);
      const broken = join(folder, "broken.yaml");
      writeFileSync(broken, "services:\n  wolf:\n    privilegd: true\n");
      assert.match(read(reader, ["compose.yaml", broken]).stderr, /privilegd/);
    });
  }

  it("have a reverse proxy, and only that one is trusted", { skip: missing("compose-spec") }, () => {
    for (const variant of ["tls-nginx", "tls-haproxy", "tls-caddy"]) {
      const { services } = load(READERS[1], ["compose.yaml", `${variant}/compose.yaml`]);
      const trusted = services["control-plane"]?.command?.filter((arg) => arg.startsWith("--trusted-proxy"));
      const address = services["front"]?.networks?.["outer"]?.ipv4_address;
      assert.ok(address);
      assert.deepEqual(trusted, [`--trusted-proxy=${address}`]);
    }
  });

  it(
    "have Wolf's agent dial a name that docs/deployment.md puts into the certificate",
    { skip: missing("compose-spec") },
    () => {
      const runs = fences(readDocument("docs/deployment.md"))
        .flatMap(({ body }) => body.match(/^npm run certs -- --name .*$/gm) ?? [])
        .map((line) => / --name (\S+)/.exec(line)?.[1]);
      assert.equal(runs.length, 2, "one before a terminator, one for mTLS");
      for (const variant of ["tls-nginx", "tls-haproxy", "tls-caddy", "mtls"]) {
        const { wolf } = load(READERS[1], ["compose.yaml", `${variant}/compose.yaml`]).services;
        const { hostname } = new URL(wolf?.environment?.["HELIX_API_URL"] ?? "");
        for (const name of runs) assert.equal(name, hostname, variant);
      }
    },
  );

  it("give the control plane options that it has", { skip: missing("compose-spec") }, async () => {
    const { stdout: help } = await run("turnabout", ["serve", "--help"]);
    for (const files of COMBINATIONS)
      for (const arg of load(READERS[1], files).services["control-plane"]?.command?.slice(1) ?? [])
        assert.ok(help.includes(`${arg.split("=")[0]} `), `${files.join(" + ")}: ${arg}`);
  });

  it(
    "hold the port by a supervisor, and stop it later than its drain",
    { skip: missing("compose-spec") },
    () => {
      for (const files of COMBINATIONS) {
        const { command, stop_grace_period: grace = "" } =
          load(READERS[1], files).services["control-plane"] ?? assert.fail("no control plane");
        assert.ok(command?.includes("--supervise") === true, files.join(" + "));
        const [, drainS = ""] = /--drain=(\d+)/.exec(command.join(" ")) ?? [];
        const [, graceS = ""] = /^(\d+)s$/.exec(grace) ?? [];
        assert.ok(Number(graceS) > Number(drainS), files.join(" + "));
      }
    },
  );

  it("put no secret into a variable", { skip: missing("compose-spec") }, () => {
    for (const files of COMBINATIONS)
      for (const { environment = {} } of Object.values(load(READERS[1], files).services))
        for (const [name, value] of Object.entries(environment))
          if (/TOKEN|SECRET|PASSWORD|CREDENTIAL|KEY/.test(name)) assert.match(value ?? "", /^\//, name);
  });
});

function read(
  reader: (typeof READERS)[number],
  files: readonly string[],
): { stdout: string; stderr: string } {
  const env = { PATH: process.env["PATH"], HOME: tempPath("") };
  const { stdout, stderr, error } = spawnSync(partPath(reader.name), reader.args(files), {
    cwd: FOLDER,
    encoding: "utf8",
    env,
  });
  if (error !== undefined) throw error;
  return { stdout, stderr };
}

function load(reader: (typeof READERS)[number], files: readonly string[]): Project {
  const key = [reader.name, ...files].join(" ");
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const { stdout, stderr } = read(reader, files);
  assert.doesNotMatch(stderr, /error|invalid|not allowed|unsupported/i);
  const found = projectSchema.parse(parse(stdout));
  loaded.set(key, found);
  return found;
}
