import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, afterEach, describe, it } from "node:test";
import tls from "node:tls";
import { Authority } from "../../certs/authority.ts";
import { Inventory } from "../../certs/inventory.ts";
import { CommandHost } from "../support/command-host.ts";
import type { CommandResult } from "../support/command-host.ts";
import { Command } from "../support/commands.ts";
import { next, within } from "../support/events.ts";
import { listen } from "../support/reverse-proxies.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing } from "../support/parts.ts";
import { tempPath } from "../support/temp.ts";

afterEach(() => assertNothingOpen());

const ROOT = path.join(import.meta.dirname, "../..");
const SCRIPT = new URL("../../certs/main.ts", import.meta.url);
const host = new CommandHost(new URL("../../certs/command.ts", import.meta.url));
after(() => host[Symbol.asyncDispose]());

async function certs(...args: string[]): Promise<CommandResult> {
  return host.run(args);
}

/** In a process of its own, for those that run at the same time. */
async function certsProcess(
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  await using command = new Command(SCRIPT, args);
  const { code } = await within(command.exited, "the end of certs", 60_000);
  return { code, stdout: command.stdout, stderr: command.lines.all.map(({ msg }) => msg).join("\n") };
}

async function make(...args: string[]): Promise<string> {
  const out = tempPath(".d");
  const { code, stderr } = await certs("--out", out, ...args);
  assert.equal(code, 0, stderr);
  return out;
}

const certificate = (out: string, folder: string) =>
  new X509Certificate(readFileSync(path.join(out, folder, "tls.crt")));
const text = (out: string, file: string) => readFileSync(path.join(out, file), "utf8");
/** Every file's text by its name, for "nothing has changed". */
const everything = (out: string) =>
  readdirSync(out, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(path.join(out, name)).isFile())
    .sort()
    .map((name) => [name, text(out, name)]);

describe("npm run certs", () => {
  it("makes an authority, a server, a peer and an agent, and names the next command", async () => {
    const out = tempPath(".d");
    const { stdout } = await certs("--out", out, "--name", "cp.example", "--agent", "wolf-1,sandbox-*");
    assert.match(stdout, /made +ca .*\nmade +server .*\nmade +peer .*\nmade +agents\/wolf-1 /);
    assert.match(stdout, /turnabout serve .*--client-crl .*server\/crl\.pem/s);
    const server = certificate(out, "server");
    assert.equal(server.checkHost("cp.example"), "cp.example");
    assert.equal(server.checkIP("127.0.0.1"), "127.0.0.1");
    assert.match(
      certificate(out, "agents/wolf-1").subjectAltName ?? "",
      /URI:urn:turnabout:runner:wolf-1, URI:urn:turnabout:runner:sandbox-\*/,
    );
    assert.equal(text(out, ".gitignore"), "*\n");
  });

  it("changes nothing at a second run", async () => {
    const out = await make();
    const before = everything(out);
    const { stdout } = await certs("--out", out);
    assert.deepEqual(everything(out), before);
    assert.doesNotMatch(stdout, /^(made|renewed)/m);
  });

  it("makes one authority where several runs begin at once", async () => {
    for (let round = 0; round < 3; round += 1) {
      const out = tempPath(".d");
      const names = ["one", "two", "three", "four"].map((name) => `${name}.example`);
      const runs = await Promise.all(names.map((name) => certsProcess("--out", out, "--name", name)));
      for (const { code, stderr } of runs) assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
      const made = runs.filter(({ stdout }) => /^made +ca /m.test(stdout));
      assert.equal(made.length, 1, "the others have found it");
      const ca = certificate(out, "ca");
      for (const folder of ["server", "peer", "agents/wolf-local"]) {
        assert.ok(certificate(out, folder).verify(ca.publicKey), folder);
        assert.equal(text(out, `${folder}/ca.crt`), text(out, "ca/tls.crt"));
        assertPair(out, folder);
      }
      for (const name of names) assert.equal(certificate(out, "server").checkHost(name), name);
    }
  });

  it("puts every serial on the list where several are revoked at once", async () => {
    const agents = ["a-1", "b-1", "c-1"];
    const out = await make(...agents.flatMap((agent) => ["--agent", agent]));
    await Promise.all(agents.map((agent) => certsProcess("revoke", "--out", out, `agents/${agent}`)));
    const revoked = await new Inventory(out).revoked();
    assert.equal(revoked.length, 3);
  });

  it("revokes with a folder what it has had before its renewals, and a file alone", async () => {
    const out = await make("--agent", "wolf-1", "--agent", "wolf-2");
    const serial = (agent: string) => certificate(out, `agents/${agent}`).serialNumber;
    const had = [serial("wolf-1")];
    await certs("renew", "--out", out, "agents/wolf-1", "agents/wolf-2");
    had.push(serial("wolf-1"));
    await certs("revoke", "--out", out, "agents/wolf-1");
    const revoked = async (): Promise<string[]> =>
      (await new Inventory(out).revoked()).map((entry) => entry.serial.toUpperCase()).toSorted();
    assert.deepEqual(await revoked(), had.toSorted());
    await certs("revoke", "--out", out, path.join(out, "agents/wolf-2/tls.crt"));
    assert.deepEqual(await revoked(), [...had, serial("wolf-2")].toSorted());
  });

  it("leaves existing agents alone if none is requested", async () => {
    const out = await make("--agent", "wolf-1,sandbox-*", "--agent", "wolf-2");
    await certs("revoke", "--out", out, "agents/wolf-2");
    const before = everything(out);
    const { stdout } = await certs("--out", out);
    assert.deepEqual(everything(out), before);
    assert.match(stdout, /^kept +agents\/wolf-1 .*\nrevoked +agents\/wolf-2 /m);
    assert.deepEqual(await new Inventory(out).folders(), [
      "server",
      "peer",
      "agents/wolf-1",
      "agents/wolf-2",
    ]);
  });

  it("names an IPv6 address as it was given", async () => {
    const out = await make("--name", "FD00:0:0::1", "--name", "::ffff:192.0.2.1");
    const { stdout } = await certs("show", "--out", out);
    assert.match(stdout, /^kept +server .* localhost, 127\.0\.0\.1, ::1, fd00::1, ::ffff:c000:201$/m);
    const again = await certs("--out", out, "--name", "fd00::0:1", "--name", "::ffff:192.0.2.1");
    assert.match(again.stdout, /^kept +server/m);
  });

  it("adds a name that is requested later, and keeps the earlier ones", async () => {
    const out = await make("--name", "one.example");
    await certs("--out", out, "--name", "two.example");
    const server = certificate(out, "server");
    assert.equal(server.checkHost("one.example"), "one.example");
    assert.equal(server.checkHost("two.example"), "two.example");
  });

  it("makes anew what is broken", async () => {
    const out = await make();
    const keyFile = path.join(out, "server/..data/tls.key");
    writeFileSync(keyFile, text(out, "peer/tls.key"));
    const { stdout } = await certs("--out", out);
    assert.match(stdout, /^made +server/m);
    assert.match(stdout, /^kept +peer/m);
    assertPair(out, "server");
  });

  it("gives keys to their owner only", async () => {
    const out = await make();
    const keys = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".key"),
    );
    assert.ok(keys.length >= 4);
    for (const name of keys) assert.equal(statSync(path.join(out, name)).mode & 0o777, 0o600, name);
  });

  it("issues nothing that outlives its authority", async () => {
    const out = await make("--ca-days", "2", "--days", "30");
    assert.equal(certificate(out, "server").validTo, certificate(out, "ca").validTo);
  });

  it("renews those near their end and no others, under the same authority", async () => {
    const out = await make();
    const old = new Inventory(out);
    const before = certificate(out, "server");
    const ca = text(out, "ca/tls.crt");
    // A server certificate of 7 days that was made 5 days ago.
    const day = 86_400_000;
    const authority = await Authority.load({ cert: ca, key: text(out, "ca/tls.key") });
    const aged = await authority.issue({
      commonName: "turnabout control plane",
      dns: ["localhost"],
      ip: ["127.0.0.1", "::1"],
      purposes: ["server"],
      notBefore: new Date(Date.now() - 5 * day),
      notAfter: new Date(Date.now() + 2 * day),
    });
    writeFileSync(path.join(out, "server/..data/tls.crt"), aged.cert);
    writeFileSync(path.join(out, "server/..data/tls.key"), aged.key);
    const { stdout } = await certs("renew", "--out", out);
    assert.match(stdout, /^renewed +server/m);
    assert.match(stdout, /^kept +peer/m);
    assert.notEqual(certificate(out, "server").serialNumber, before.serialNumber);
    assert.equal(text(out, "ca/tls.crt"), ca);
    assert.deepEqual(await old.folders(), ["server", "peer", "agents/wolf-local"]);
    assertPair(out, "server");
  });

  it("renews the named ones, and with --all every one, with the names that they had", async () => {
    const out = await make("--name", "cp.example", "--agent", "a-1", "--agent", "b-1");
    const before = ["server", "agents/a-1", "agents/b-1"].map((name) => certificate(out, name));
    await certs("renew", "--out", out, path.join(out, "agents/a-1"));
    await certs("renew", "--out", out, "server");
    assert.equal(certificate(out, "agents/b-1").serialNumber, before[2]?.serialNumber);
    await certs("renew", "--out", out, "--all");
    for (const [index, name] of ["server", "agents/a-1", "agents/b-1"].entries()) {
      const now = certificate(out, name);
      assert.notEqual(now.serialNumber, before[index]?.serialNumber, name);
      assert.equal(now.subjectAltName, before[index]?.subjectAltName, name);
      assert.deepEqual(now.keyUsage, before[index]?.keyUsage, name);
      assertPair(out, name);
    }
  });

  it(
    "renews the authority under its key: what it has issued stays good",
    { skip: missing("openssl") },
    async () => {
      const out = await make("--ca-days", "30");
      await certs("renew", "--out", out, "--ca", "--ca-days", "90");
      assert.ok(certificate(out, "ca").validToDate.getTime() > Date.now() + 80 * 86_400_000);
      assert.equal(text(out, "server/ca.crt"), text(out, "ca/tls.crt"));
      assert.match(openssl(out, "sslserver", "server"), /OK$/);
    },
  );

  it("reports what is wrong with a call, and what to do", async () => {
    const out = tempPath(".d");
    const cases: [string[], RegExp][] = [
      [["frobnicate"], /error: no command frobnicate\nhint: use make/],
      [["renew"], /error: .*no certificate authority there\nhint: `npm run certs`/],
      [["revoke", "nobody"], /error: nobody: neither a certificate nor a serial\nhint: /],
      [["--days", "4000"], /error: --days 4000\nhint: use 1 to 397/],
      [["--agent", "a b"], /error: --agent a b\nhint: /],
      [["--agent", "a-*", "--agent", "a-any"], /error: two agents would share agents\/a-any\nhint: /],
      [["--name", "no_good!"], /error: --name no_good!\nhint: /],
      [["--frob"], /error: unknown option --frob\nhint: run `npm run certs -- --help` for the options/],
    ];
    for (const [args, message] of cases) {
      const { code, stderr } = await certs("--out", out, ...args);
      assert.match(stderr, message);
      assert.equal(code, 2);
    }
    assert.equal(existsSync(out), false, "nothing was made");
  });

  it("reports where no folder can be created", async () => {
    const file = tempPath(".txt");
    writeFileSync(file, "");
    const cases: [string, RegExp][] = [
      [file, /error: --out .*: not a folder\nhint: name a folder/],
      [path.join(file, "sub"), /error: --out .*: ENOTDIR.*\nhint: name a folder/],
      ...(existsSync("/proc/self")
        ? [["/proc/x/y", /error: --out .*: ENOENT.*\nhint: name a folder/] as [string, RegExp]]
        : []),
    ];
    for (const [out, message] of cases) {
      for (const command of ["make", "show"]) {
        if (command === "show" && out.startsWith("/proc")) continue; // nothing there, which `show` says
        const { code, stderr } = await certs(command, "--out", out);
        assert.match(stderr, message);
        assert.equal(code, 2);
      }
    }
    assert.equal(text(path.dirname(file), path.basename(file)), "");
  });
});

describe("what npm run certs has made", () => {
  it(
    "is verified by OpenSSL, strictly and for its own purpose only",
    { skip: missing("openssl") },
    async () => {
      const out = await make();
      assert.match(openssl(out, "sslserver", "server"), /OK$/);
      assert.match(openssl(out, "sslclient", "agents/wolf-local"), /OK$/);
      assert.match(openssl(out, "sslserver", "peer"), /OK$/);
      assert.match(openssl(out, "sslclient", "peer"), /OK$/);
      assert.match(openssl(out, "sslclient", "server"), /unsuitable certificate purpose/);
      assert.match(openssl(out, "sslserver", "agents/wolf-local"), /unsuitable certificate purpose/);
    },
  );

  it(
    "is refused by OpenSSL once it is revoked, by folder or by serial",
    { skip: missing("openssl") },
    async () => {
      const out = await make("--agent", "a-1", "--agent", "b-1", "--agent", "c-1");
      await certs("revoke", "--out", out, "agents/a-1");
      const { stdout } = await certs(
        "revoke",
        "--out",
        out,
        certificate(out, "agents/b-1").serialNumber.toLowerCase(),
      );
      assert.match(stdout, /revoked +[0-9A-F]{32}/);
      assert.match(openssl(out, "sslclient", "agents/a-1"), /certificate revoked/);
      assert.match(openssl(out, "sslclient", "agents/b-1"), /certificate revoked/);
      assert.match(openssl(out, "sslclient", "agents/c-1"), /OK$/);
      assert.equal(text(out, "server/crl.pem"), text(out, "ca/crl.pem"));
      assert.match((await certs("show", "--out", out)).stdout, /^revoked +agents\/a-1/m);
      // Revoked is revoked: `renew` leaves it, and a new run makes another.
      assert.match((await certs("renew", "--all", "--out", out)).stdout, /^revoked +agents\/a-1/m);
      assert.match((await certs("--agent", "a-1", "--out", out)).stdout, /^made +agents\/a-1/m);
      assert.match(openssl(out, "sslclient", "agents/a-1"), /OK$/);
    },
  );

  it("is taken by node's TLS, both ways", async () => {
    const out = await make();
    const pem = (folder: string) => ({
      cert: text(out, `${folder}/tls.crt`),
      key: text(out, `${folder}/tls.key`),
    });
    const ca = text(out, "ca/tls.crt");
    const server = tls.createServer({ ...pem("server"), ca, requestCert: true, rejectUnauthorized: true });
    await using proxy = await listen(server);
    const accepted = next<[tls.TLSSocket]>(server, "secureConnection");
    const options = { port: proxy.port, host: "localhost", ca, ...pem("agents/wolf-local") };
    const socket = tls.connect(options);
    await next(socket, "secureConnect");
    const [peer] = await accepted;
    assert.equal(peer.authorized, true);
    socket.destroy();
    await next(
      peer.on("error", () => {}),
      "close",
    );
  });
});

describe("the repository", () => {
  it("ignores what npm run certs makes, and tracks no key", { skip: missing("git") }, () => {
    if (!existsSync(path.join(ROOT, ".git"))) return; // an unpacked archive
    const ignored = spawnSync("git", ["check-ignore", "-q", "certs/dev/server/tls.key"], { cwd: ROOT });
    assert.equal(ignored.status, 0);
    // The pattern is written so that this file does not match itself.
    const found = spawnSync("git", ["grep", "-lE", "^-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    assert.equal(found.stdout, "");
  });
});

function assertPair(out: string, folder: string): void {
  tls.createSecureContext({ cert: text(out, `${folder}/tls.crt`), key: text(out, `${folder}/tls.key`) });
}

function openssl(out: string, purpose: string, folder: string): string {
  const ca = path.join(out, "ca");
  const files = ["-CAfile", path.join(ca, "tls.crt"), "-CRLfile", path.join(ca, "crl.pem")];
  const how = ["-x509_strict", "-crl_check", "-purpose", purpose];
  const line = ["verify", ...how, ...files, path.join(out, folder, "tls.crt")];
  const { stdout, stderr } = spawnSync("openssl", line, { encoding: "utf8" });
  return `${stderr}${stdout}`.trim();
}
