/** One table of options: flags, variables, keys, schema and reference agree, and wrong files are told precisely. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import net from "node:net";
import { after, describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { AGENT_OPTIONS } from "../../src/cli/config/agent-options.ts";
import { readConfigFile } from "../../src/cli/config/config-file.ts";
import { Given } from "../../src/cli/config/given.ts";
import { keyOf, parseFlags, specsOf, variableOf } from "../../src/cli/config/option.ts";
import type { OptionSpec, OptionTable } from "../../src/cli/config/option.ts";
import { nearest } from "../../src/cli/config/nearest.ts";
import { jsonSchema } from "../../src/cli/config/schema.ts";
import { SERVE_OPTIONS } from "../../src/cli/config/serve-options.ts";
import { TurnaboutError } from "../../src/wire/errors.ts";
import { fences, readDocument } from "../docs/markdown.ts";
import { file } from "../support/agents.ts";
import { CommandHost } from "../support/command-host.ts";
import { tempPath } from "../support/temp.ts";
import { DOCUMENT, SCHEMA, schemaText, withReference } from "./reference.ts";

const host = new CommandHost(new URL("../../src/cli/main.ts", import.meta.url));
after(() => host[Symbol.asyncDispose]());

const SECTIONS = { serve: SERVE_OPTIONS, agent: AGENT_OPTIONS } as const;

/** A value of each kind that is no default. */
function sample(name: string, spec: OptionSpec): string {
  const { kind, choices = [], default: value, example = "x" } = spec;
  if (kind === "switch") return String(value !== true);
  if (kind === "choice") return choices.find((choice) => choice !== value) ?? "";
  return kind === "text" || kind === "file" ? example : name === "connections" ? "3" : "7";
}

function yaml(section: string, lines: readonly string[]): string {
  const path = tempPath(".yaml");
  writeFileSync(path, ["version: 1", `${section}:`, ...lines.map((line) => `  ${line}`), ""].join("\n"));
  return path;
}

function line(name: string, spec: OptionSpec): string {
  const text = sample(name, spec);
  const scalar = ["switch", "seconds", "count", "port"].includes(spec.kind) ? text : JSON.stringify(text);
  return `${keyOf(name, spec)}: ${spec.many === true ? `[${scalar}]` : scalar}`;
}

function given(
  table: OptionTable,
  args: string[],
  env: Record<string, string>,
  path?: string,
): Given<string> {
  const content = path === undefined ? undefined : readConfigFile(path);
  const section = table === SERVE_OPTIONS ? content?.serve : content?.agent?.values;
  return new Given(table, { flags: parseFlags(table, args), env, file: section });
}

function valueOf(from: Given<string>, name: string): unknown {
  return from.text(name) ?? from.list(name) ?? from.isOn(name);
}

describe("options of serve and agent", () => {
  for (const [section, table] of Object.entries(SECTIONS)) {
    const properties = (jsonSchema() as { properties: Record<string, { properties: object }> }).properties;
    const scalars = specsOf(table).filter(([name]) => name !== "runner" && name !== "target");

    it(`${section}: each is a flag, a variable and a key, with one value`, () => {
      for (const [name, spec] of scalars) {
        const text = sample(name, spec);
        const flag =
          spec.kind === "switch" ? [text === "true" ? `--${name}` : `--no-${name}`] : [`--${name}=${text}`];
        const byFlag = valueOf(given(table, flag, {}), name);
        const byVariable = valueOf(given(table, [], { [variableOf(name)]: text }), name);
        const byFile = valueOf(given(table, [], {}, yaml(section, [line(name, spec)])), name);
        assert.notEqual(byFlag, undefined, name);
        assert.deepEqual(byVariable, byFlag, name);
        const isPath = spec.kind === "file" && !text.startsWith("/");
        assert.ok(isPath ? String(byFile).endsWith(`/${text}`) : byFile !== undefined, name);
        if (!isPath) assert.deepEqual(byFile, byFlag, name);
      }
    });

    it(`${section}: a flag counts before a variable, a variable before the file`, () => {
      for (const [name, spec] of scalars.filter(([, { kind }]) => kind !== "switch" && kind !== "choice")) {
        const path = yaml(section, [line(name, spec)]);
        const env = { [variableOf(name)]: "8" };
        const of = (value: unknown) => (spec.many === true ? [value] : value);
        assert.deepEqual(valueOf(given(table, [`--${name}=9`], env, path), name), of("9"), name);
        assert.deepEqual(valueOf(given(table, [], env, path), name), of("8"), name);
      }
    });

    it(`${section}: the schema has the keys of the table, and no other`, () => {
      const keys = specsOf(table).map(([name, spec]) => keyOf(name, spec));
      const more = section === "agent" ? ["runners"] : [];
      assert.deepEqual(
        Object.keys(properties[section]?.properties ?? {}).toSorted(),
        [...keys, ...more].toSorted(),
      );
    });
  }

  it("are switched off on the command line where the file switches them on", () => {
    const path = yaml("serve", ["supervise: true", "revdial: false"]);
    const off = given(SERVE_OPTIONS, ["--no-supervise", "--revdial"], {}, path);
    assert.deepEqual([off.isOn("supervise"), off.isOn("revdial")], [false, true]);
    assert.throws(() => given(SERVE_OPTIONS, [], { TURNABOUT_SUPERVISE: "maybe" }), {
      message: "TURNABOUT_SUPERVISE=maybe: neither true nor false",
    });
  });

  it("do not take Kubernetes' address of a Service for a port", () => {
    assert.equal(given(SERVE_OPTIONS, [], { TURNABOUT_PORT: "tcp://10.3.0.9:80" }).port("port"), 8_080);
  });

  it("name the variable or the flag whose value is wrong", () => {
    const message = "TURNABOUT_GRACE soon: not a number of seconds";
    assert.throws(() => given(SERVE_OPTIONS, [], { TURNABOUT_GRACE: "soon" }).seconds("grace"), { message });
  });
});

const AGENT_LINES = ["server: http://x", "runner: r", "targets:", "  - { name: a, address: b:1 }"];

describe("a configuration file", () => {
  const wrong: [string, string, string, RegExp][] = [
    [
      "an unknown key",
      "version: 1\nserve:\n  tokenfile: x\n",
      "3:3",
      /unknown key "tokenfile"\ndid you mean tokenFile\?/,
    ],
    [
      "a flag's spelling",
      "version: 1\nagent:\n  token-file: x\n",
      "3:3",
      /"token-file"\ndid you mean tokenFile\?/,
    ],
    [
      "a key in the wrong place",
      "version: 1\ntokenFile: x\n",
      "2:1",
      /"tokenFile"\nput it below `serve:` or `agent:`, indented/,
    ],
    [
      "a key of a section at the top, which is near a section's name",
      "version: 1\nserver: http://x\n",
      "2:1",
      /"server"\nput it below `agent:`, indented/,
    ],
    [
      "a misspelled key of a section at the top",
      "version: 1\ntoken-fiel: x\n",
      "2:1",
      /"token-fiel"\ndid you mean tokenFile\? put it below `serve:` or `agent:`, indented/,
    ],
    [
      "a misspelled key that is as near to a section, with a value that no section has",
      "version: 1\nservr: http://x\n",
      "2:1",
      /"servr"\ndid you mean server\? put it below `agent:`, indented/,
    ],
    ["a misspelled section", "version: 1\nserv:\n  port: 1\n", "2:1", /"serv"\ndid you mean serve\?/],
    ["a misspelled version", "vresion: 1\nserve: {}\n", "1:1", /^\S+ unknown key.*\ndid you mean version\?$/],
    [
      "a key of the other section",
      "version: 1\nserve:\n  runner: r\n",
      "3:3",
      /"runner"\nput it below `agent:`, indented/,
    ],
    [
      "a flag's name for a list",
      "version: 1\nserve:\n  allow-image: [x]\n",
      "3:3",
      /"allow-image"\ndid you mean allowedImages\?/,
    ],
    [
      "a key of a target beside the targets",
      "version: 1\nagent:\n  address: a:1\n",
      "3:3",
      /"address"\nput it into an entry of `targets:`, indented/,
    ],
    [
      "the version in a section",
      "version: 1\nserve:\n  version: 1\n",
      "3:3",
      /"version"\nput it at the top of the file, not indented/,
    ],
    [
      "a key of a target",
      "version: 1\nagent:\n  targets:\n    - name: a\n      adress: b:1\n",
      "5:7",
      /"adress"\ndid you mean address/,
    ],
    [
      "a wrong type",
      "version: 1\nserve:\n  grace: 30s\n",
      "3:10",
      /grace: "30s" is not a number\na number alone; times are in seconds/,
    ],
    [
      "a number for a text",
      "version: 1\nserve:\n  host: 10\n",
      "3:9",
      /host: 10 is not a text\nwrite it in quotes/,
    ],
    [
      "no list",
      "version: 1\nserve:\n  trustedProxies: 10.0.0.0/8\n",
      "3:19",
      /is not a list\nwrite it as a list/,
    ],
    [
      "a value out of range",
      "version: 1\nserve:\n  port: 99999\n",
      "3:9",
      /port: 99999: out of range\nuse at most 65535/,
    ],
    [
      "a negative time",
      "version: 1\nserve:\n  grace: -1\n",
      "3:10",
      /grace: -1: out of range\nuse at least 0/,
    ],
    [
      "an unknown value",
      "version: 1\nagent:\n  carrier: ptht\n",
      "3:12",
      /carrier: "ptht": unknown value\ndid you mean ptth\? use one of auto/,
    ],
    [
      "HTTP's version as a number",
      "version: 1\nagent:\n  targets:\n    - { name: a, address: b:1, http: 1.1 }\n",
      "4:38",
      /targets\[0\]\.http: 1\.1: unknown value\nwrite it in quotes/,
    ],
    [
      "a wrong address",
      "version: 1\nagent:\n  targets:\n    - { name: a, address: /x }\n",
      "4:27",
      /target address "\/x": use unix:\/path or host:port/,
    ],
    [
      "a missing key",
      "version: 1\nagent:\n  targets:\n    - name: a\n",
      "4:7",
      /targets\[0\]\.address: missing\ngive a text/,
    ],
    [
      "two targets of one name",
      "version: 1\nagent:\n  targets:\n    - { name: a, address: b:1 }\n    - { name: a, address: b:2 }\n",
      "5:15",
      /target a is listed twice/,
    ],
    [
      "a duplicate key",
      "version: 1\nserve:\n  port: 1\n  port: 2\n",
      "4:3",
      /this key is there already\nkeep one of them/,
    ],
    [
      "an unknown version",
      "version: 2\nserve: {}\n",
      "1:10",
      /version 2: unknown\nthis turnabout reads version 1/,
    ],
    ["no version", "serve: {}\n", "1:1", /no version\nbegin the file with: version: 1/],
    [
      "a secret",
      "version: 1\nagent:\n  token: ta_0123456789abcdefghijklmnop\n",
      "3:3",
      /"token": a secret does not belong in this file\nuse tokenFile: FILE/,
    ],
    [
      "a secret for a path",
      "version: 1\nagent:\n  tokenFile: ta_0123456789abcdefghijklmnop\n",
      "3:14",
      /tokenFile: a secret or certificate itself/,
    ],
    ["YAML that is none", "version: 1\nserve:\n\tport: 1\n", "3:1", /Tabs.*\ncorrect the YAML/],
    [
      "runners twice",
      "version: 1\nagent:\n  runner: r\n  runners: []\n",
      "4:3",
      /runners beside runner or targets/,
    ],
    ["a group for a value", "version: 1\nserve: 8080\n", "2:8", /serve: 8080 is not a group of keys/],
  ];
  for (const [what, text, place, says] of wrong) {
    it(`with ${what} is refused at its line and column, without a secret`, () => {
      const path = file(text);
      assert.throws(
        () => readConfigFile(path),
        (error) => {
          assert.ok(error instanceof TurnaboutError, String(error));
          assert.ok(error.message.startsWith(`${path}:${place}: `), error.message);
          assert.match(`${error.message}\n${error.hint ?? ""}`, says);
          assert.ok(!`${error.message}${error.hint ?? ""}`.includes("ta_0123"), "a secret is printed");
          return true;
        },
      );
    });
  }

  it("is checked by `turnabout config check`: each problem with a hint, status 1; status 0 if it is valid", async () => {
    const bad = file("version: 1\nserve:\n  prot: 1\n  grace: x\n");
    const refused = await host.run(["config", "check", bad]);
    assert.equal(refused.code, 1);
    assert.equal(refused.stderr.match(/^error: /gm)?.length, 2);
    assert.equal(refused.stderr.match(/^hint: /gm)?.length, 2);
    const good = yaml("agent", [...AGENT_LINES, "tokenFile: t"]);
    assert.deepEqual(await host.run(["config", "check", good]), {
      code: 0,
      stdout: `${good}: valid for agent`,
      stderr: "",
    });
    const half = yaml("serve", ["tlsCert: /no/cert.pem"]);
    assert.match((await host.run(["config", "check", half])).stderr, /TLS needs a certificate and its key/);
    const named = yaml("serve", ["tokenFile: none.json"]);
    assert.equal((await host.run(["config", "check", named])).code, 0);
    assert.match((await host.run(["config", "check", "--files", named])).stderr, /none\.json: ENOENT/);
  });

  it("gives agent its runners; flags and variables replace the runner or its targets", async () => {
    const path = yaml("agent", AGENT_LINES);
    const run = async (args: string[], env: Record<string, string> = {}) =>
      (await host.run(["agent", "--config", path, ...args], env)).stderr;
    assert.match(await run([]), /^error: no token given/);
    const env = { TURNABOUT_TOKEN: "t" };
    assert.match(await run(["--runner", "A b"], env), /^error: runner id "A b"/);
    assert.match(await run(["--target", "A=b:1"]), /^error: target name "A"/);
    assert.match(await run([], { TURNABOUT_TARGET: "B=b:1" }), /^error: target name "B"/);
    assert.match(
      await run(["--server", "ftp://x"], { TURNABOUT_TOKEN: "t" }),
      /^error: server URL "ftp:\/\/x"/,
    );
    const wrong = await host.run(["serve", "--config", path]);
    assert.match(wrong.stderr, /nothing for `turnabout serve`\nhint: put its options below `serve:`/);
    assert.equal(wrong.code, 1);
    const byVariable = await host.run(["agent"], { TURNABOUT_CONFIG: "/no/such.yaml" });
    assert.match(
      byVariable.stderr,
      /^error: configuration file \/no\/such\.yaml: ENOENT.*\nhint: check the path/,
    );
  });

  it("is what serve listens by, unless a flag says otherwise", async () => {
    const taken = net.createServer();
    const listening = Promise.withResolvers<void>();
    taken.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const { port } = taken.address() as net.AddressInfo;
    const path = yaml("serve", [`port: ${port}`, "host: 127.0.0.1"]);
    const env = { TURNABOUT_ADMIN_TOKEN: "t" };
    const byFile = await host.run(["serve", "--config", path], env);
    assert.match(byFile.stderr, new RegExp(`^error: listen EADDRINUSE: .* 127\\.0\\.0\\.1:${port}$`, "m"));
    const byFlag = await host.run(["serve", "--config", path, "--host", "203.0.113.1"], env);
    assert.match(byFlag.stderr, new RegExp(`^error: listen EADDRNOTAVAIL: .* 203\\.0\\.113\\.1`, "m"));
    taken.close();
  });

  it("bounds what an alias can become", () => {
    const levels = Array.from({ length: 9 }, (_, i) => `x-${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
    const path = file(["version: 1", "x-0: &a0 [1]", ...levels, ""].join("\n"));
    assert.throws(() => readConfigFile(path), { hint: "use fewer aliases" });
  });
});

describe("docs/configuration.md", () => {
  const text = readDocument(DOCUMENT);

  it("has the reference and the schema of the options as they are: `npm run config-reference`", () => {
    assert.equal(withReference(text), text);
    assert.equal(readDocument(SCHEMA), schemaText());
  });

  it("has valid examples", async () => {
    const examples = fences(text).filter(({ info }) => info === "yaml");
    assert.ok(examples.length >= 7);
    for (const { body, line: at } of examples) {
      const path = file(body);
      const { code, stderr } = await host.run(["config", "check", path]);
      assert.equal(code, 0, `line ${at}: ${stderr}`);
    }
  });
});

it("the published schema accepts the examples and refuses what the commands refuse", () => {
  const validate = new Ajv2020({ strict: false }).compile(JSON.parse(readDocument(SCHEMA)) as object);
  for (const { info, body } of fences(readDocument(DOCUMENT))) {
    if (info === "yaml") assert.ok(validate(parse(body, { merge: true })), JSON.stringify(validate.errors));
  }
  for (const wrong of [
    {},
    { version: 2 },
    { version: 1, serve: { tokenfile: "x" } },
    { version: 1, serve: { grace: "30s" } },
    { version: 1, agent: { token: "x" } },
    { version: 1, agent: { targets: [{ name: "a" }] } },
    { version: 1, agent: { targets: [{ name: "a", address: "b:1", http: 2 }] } },
  ])
    assert.ok(!validate(wrong), JSON.stringify(wrong));
});

it("the nearest name is near, or none is", () => {
  const known = ["tokenFile", "tlsCert", "tlsKey", "port"];
  assert.deepEqual(
    ["token_file", "tokenFiel", "tls-crt", "prot", "database", "x"].map((name) => nearest(name, known)),
    ["tokenFile", "tokenFile", "tlsCert", "port", undefined, undefined],
  );
});
