/** The access log as a caller of the API reads it, without a file. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ApiClient } from "../../../src/clients/api/api-client.ts";
import type { ServerEvent } from "../../../src/clients/api/server-events.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { ACCESS_READERS_PER_CALLER } from "../../../src/control/shares/limits.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { Command } from "../../support/commands.ts";
import { call, targetUrl } from "../../support/http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

const ALICE = "token-of-alice";
const HOST = "token-of-a-host";
const USERS = [
  { id: "alice", kind: "user" as const, sha256: hashToken(ALICE), runners: ["*"] },
  { id: "host", kind: "runner" as const, sha256: hashToken(HOST), runners: ["*"] },
];

let system: System;

before(async () => {
  const target = await startHttpTarget((request, response) => {
    request.resume();
    request.on("end", () => response.end("twelve bytes"));
  });
  system = await startSystem({ target, controlPlane: { tokens: USERS } });
});
after(() => system.close());

interface Live extends AsyncDisposable {
  next(): Promise<Record<string, unknown>>;
  events: AsyncGenerator<ServerEvent, void, undefined>;
}

/** Resolves when the control plane has accepted the reader. */
async function read(token: string, query: Record<string, string> = {}): Promise<Live> {
  const client = new ApiClient({ server: system.url, token });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const events = client.events("/api/v1/access-log", { query }, { onOpen: resolve });
  const first = events.next();
  first.catch(reject);
  let isFirst = true;
  const live: Live = {
    events,
    async next() {
      const { value } = await (isFirst ? first : events.next());
      isFirst = false;
      return value === undefined ? {} : (JSON.parse(value.data) as Record<string, unknown>);
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await first.catch(() => {});
    },
  };
  try {
    await promise;
    return live;
  } catch (error) {
    await live[Symbol.asyncDispose]();
    throw error;
  }
}

const get = (path: string, token = ADMIN_TOKEN) =>
  call(targetUrl(system.url, RUNNER, "echo", path), { token });

describe("the access log over the API", () => {
  it("shows a request when it has ended, with credential, bytes and timings, and its query redacted", async () => {
    await using live = await read(ADMIN_TOKEN);
    await get("/a?key=secret", ALICE);
    const { path, credential, bytesOut, status, queueMs, dialMs, firstByteMs, totalMs } = await live.next();
    assert.deepEqual([credential, bytesOut, status], ["alice", 12, 200]);
    assert.match(String(path), /\/a\?key=\*$/);
    for (const span of [queueMs, dialMs, firstByteMs]) assert.ok(Number(span) <= Number(totalMs));
  });

  it("is filtered by the control plane", async () => {
    await using failed = await read(ADMIN_TOKEN, { status: "4xx", runner: "runner-*" });
    await get("/");
    await call(targetUrl(system.url, "none", "echo"));
    await call(targetUrl(system.url, RUNNER, "none"));
    const { runner, target, code } = await failed.next();
    assert.deepEqual([runner, target, code], [RUNNER, "none", "target_unknown"]);
  });

  it("shows a user the user's own requests", async () => {
    await using live = await read(ALICE);
    await get("/of-the-admin");
    await get("/of-alice", ALICE);
    assert.match(String((await live.next())["path"]), /of-alice$/);
  });

  it("is refused to runners, to strangers, and with a filter that makes no sense", async () => {
    for (const [token, query, code] of [
      [HOST, {}, "not_allowed"],
      ["nobody", {}, "unauthenticated"],
      [ADMIN_TOKEN, { status: "bad" }, "bad_request"],
    ] as const)
      await assert.rejects(
        read(token, query),
        (error) => error instanceof TurnaboutError && error.code === code,
      );
  });

  it("has so many readers for each user, and a place again when one leaves", async () => {
    await using other = await read(ADMIN_TOKEN, { credential: "alice" });
    const readers: Live[] = [];
    for (let n = 0; n < ACCESS_READERS_PER_CALLER; n += 1) readers.push(await read(ALICE));
    await assert.rejects(read(ALICE), { code: "share_exceeded" });
    await readers.pop()?.[Symbol.asyncDispose]();
    await other.next(); // the line of the reader that was refused
    await other.next(); // and of the one that has left
    readers.push(await read(ALICE));
    for (const reader of readers) await reader[Symbol.asyncDispose]();
  });

  it("ends with the credential", async () => {
    await using live = await read(ALICE);
    system.controlPlane.setTokens(USERS.slice(1));
    while ((await live.events.next()).done !== true);
    await assert.rejects(read(ALICE), { code: "unauthenticated" });
    system.controlPlane.setTokens(USERS);
  });
});

it("turnabout tail prints lines until it is ended", async () => {
  await using tail = new Command("turnabout", ["tail", "--server", system.url, "--runner", RUNNER], {
    env: { TURNABOUT_TOKEN: ADMIN_TOKEN },
  });
  let isPrinted = false;
  const line = tail.output
    .find(() => true, "a line")
    .then((text) => {
      isPrinted = true;
      return text;
    });
  while (!isPrinted) await get("/seen?q=secret");
  assert.match(
    await line,
    / 200 GET \S+\/seen\?q=\* runner-1\/echo admin 127\.0\.0\.1 in 0 B out 12 B .* ms \(queue /,
  );
  assert.equal((await tail.end("SIGINT")).code, 0);
  assert.equal(tail.stderr, "");
});
