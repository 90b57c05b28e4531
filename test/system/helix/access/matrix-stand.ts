/** One system with every kind of credential, a session of one user, and targets behind each route. */
import assert from "node:assert/strict";
import { WebSocketServer } from "ws";
import { createWolfDouble } from "../../../../src/demo/wolf/double.ts";
import { ADMIN_TOKEN } from "../../../support/system.ts";
import { startHttpTarget } from "../../../support/target.ts";
import { tempPath } from "../../../support/temp.ts";
import { fetchDocument } from "../../../support/openapi-schemas.ts";
import type { OpenApiDocument } from "../../../support/openapi-schemas.ts";
import { api, issueToken } from "../../../support/api.ts";
import { newSession, startSessions } from "../sessions-stand.ts";
import type { SessionStand, SessionView } from "../sessions-stand.ts";

export const CALLERS = ["anonymous", "other", "owner", "runner", "session", "admin", "revoked"] as const;

export interface MatrixStand extends AsyncDisposable {
  stand: SessionStand;
  url: string;
  /** Alice's, with its sandbox connected. */
  session: SessionView;
  tokens: Record<(typeof CALLERS)[number], string | null>;
  document: OpenApiDocument;
  /** Another number at each call: for names that can be used once. */
  unique(): number;
  /** Id of a new session of alice's. */
  newSessionId(): Promise<string>;
  /** Id of a token that may be revoked. */
  spareToken(): Promise<string>;
  /** Path of a runner that may be kicked, and of an instance that may be removed. */
  spareRunner(): Promise<string>;
  spareInstance(): Promise<string>;
}

export async function startMatrix(): Promise<MatrixStand> {
  const stack = new AsyncDisposableStack();
  const stand = stack.use(
    await startSessions({
      helix: { moonlightCredentials: "moonlight-secret" },
      controlPlane: { anonymousPerS: 0 }, // each route is called without a credential, in many spellings
    }),
  );
  const { url, system } = stand;
  const target = stack.use(await startHttpTarget((_request, response) => response.end("reached")));
  const sockets = new WebSocketServer({ server: target.http });
  stack.defer(() => {
    for (const socket of sockets.clients) socket.terminate();
  });
  await system.addAgent({ "moonlight-a": { moonlight: target.address } });
  const alice = await issueToken(url, { id: "alice", kind: "user" });
  const session = await newSession(url, {}, alice);
  const runner = await issueToken(url, { id: "wolf-a", kind: "runner", runners: ["wolf-a", "wolf-new-*"] });
  const revoked = await issueToken(url, { id: "alice-old", kind: "user", owner: "alice" });
  await api(url, "DELETE", "/api/v1/tokens/alice-old");
  const env = stand.wolf("a").state.lobbies[0]?.runner["env"] as string[];
  const secret =
    env.find((entry) => entry.startsWith("USER_API_TOKEN="))?.slice(15) ?? assert.fail("no token");
  await system.addAgent(
    { [session.runner]: { screenshot: target.address, docker: target.address } },
    { token: { value: secret } },
  );
  let count = 0;
  return {
    stand,
    url,
    session,
    tokens: {
      anonymous: null,
      other: await issueToken(url, { id: "bob", kind: "user" }),
      owner: alice,
      runner,
      session: secret,
      admin: ADMIN_TOKEN,
      revoked,
    },
    document: await fetchDocument(url),
    unique: () => (count += 1),
    newSessionId: async () => (await newSession(url, {}, alice)).id,
    spareToken: async () => {
      const id = `spare-${(count += 1)}`;
      await issueToken(url, { id, kind: "user" });
      return id;
    },
    spareRunner: async () => {
      const id = `spare-${(count += 1)}`;
      await system.addAgent({ [id]: { x: "127.0.0.1:1" } });
      return `/api/v1/runners/${id}`;
    },
    spareInstance: async () => {
      const id = `s${(count += 1)}`;
      const wolf = stack.use(await createWolfDouble({ socketPath: tempPath() }));
      const agent = await system.addAgent({ [`wolf-${id}`]: { wolf: `unix:${wolf.socketPath}` } });
      await agent.close();
      return `/api/v1/wolf-instances/${id}`;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
