/** From an accepted carrier to a registered connection: session, identity, /hello, registry. The same for every door. */
import { randomBytes } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import { parseAgentEvent } from "../../wire/agent-events.ts";
import type { Carrier } from "../../wire/carrier.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { parseHello } from "../../wire/hello.ts";
import type { Hello } from "../../wire/hello.ts";
import { keepAlive } from "../../wire/keepalive.ts";
import type { KeepaliveOptions } from "../../wire/keepalive.ts";
import { MAX_CONTROL_BODY_BYTES, MAX_EVENT_LINE_BYTES } from "../../wire/limits.ts";
import type { Logger } from "../../wire/log.ts";
import { AGENT_AUTHORITY, AGENT_PATHS, CAPABILITY, HEADER } from "../../wire/protocol.ts";
import { parseGoaway, sendGoaway } from "../../wire/refusal.ts";
import { readBody } from "../../wire/read-body.ts";
import { destroySession, openReversed } from "../../wire/session.ts";
import { VERSION } from "../../wire/version.ts";
import { certificateIdentity, isCertificate } from "../auth/certificates.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { AgentConnection } from "../connection.ts";
import { HELLO_TIMEOUT_MS } from "../limits.ts";
import type { Registry } from "../registry.ts";

export interface AdmissionContext {
  registry: Registry;
  tokens: TokenStore;
  log: Logger;
  keepalive: KeepaliveOptions;
}

export interface Admission {
  /** Known already where an HTTP request carried a token; on rh2 it is found out. */
  identity: Identity | undefined;
  standby: boolean;
}

/** Never throws: a carrier that is not admitted is closed, with the reason in GOAWAY and in the log. */
export async function admit(
  carrier: Carrier,
  admission: Admission,
  context: AdmissionContext,
): Promise<void> {
  let session: ClientHttp2Session | undefined;
  const { log } = context;
  try {
    session = await openReversed(carrier.stream);
    const identity = admission.identity ?? (await identify(carrier, session, context));
    const hello = parseHello(await getJson(session, AGENT_PATHS.hello));
    if (!isCertificate(identity) && context.tokens.current(identity) === undefined) {
      throw new TurnaboutError("unauthenticated", "the credential was revoked while the agent connected");
    }
    const connection = createConnection(carrier, session, identity, hello, context);
    context.registry.register(connection, admission.standby || hello.standby);
    if (hello.capabilities.includes(CAPABILITY.events)) followEvents(connection, context);
    session.on("goaway", (_code, _last, data) => {
      const goaway = parseGoaway(data);
      if (goaway !== undefined) log.info({ connection: connection.id, ...goaway }, "agent says goodbye");
    });
    const runners = [...connection.runners.keys()];
    log.info(
      {
        connection: connection.id,
        carrier: carrier.kind,
        runners,
        credential: identity.id,
        peer: carrier.remoteAddress,
      },
      "agent connected",
    );
    session.once("close", () => log.info({ connection: connection.id, runners }, "agent connection closed"));
  } catch (cause) {
    const error = toError(cause);
    log.warn(
      { carrier: carrier.kind, peer: carrier.remoteAddress, reason: error.message },
      "agent not admitted",
    );
    if (session === undefined) return void carrier.stream.destroy();
    refuse(session, carrier, error);
  }
}

function refuse(session: ClientHttp2Session, carrier: Carrier, error: Error): void {
  if (session.destroyed) return;
  const code = error instanceof TurnaboutError ? error.code : "internal";
  sendGoaway(session, { reason: "refused", message: `${code}: ${ERROR_TABLE[code].text}` });
  session.close();
  const timer = setTimeout(() => destroySession(session, carrier.stream, error), HELLO_TIMEOUT_MS);
  timer.unref();
  session.once("close", () => {
    clearTimeout(timer);
    carrier.stream.destroy();
  });
}

function createConnection(
  carrier: Carrier,
  session: ClientHttp2Session,
  identity: Identity,
  hello: Hello,
  context: AdmissionContext,
): AgentConnection {
  const id = randomBytes(6).toString("hex");
  const liveness = keepAlive(
    session,
    (silentMs) => {
      context.log.warn({ connection: id, silentMs }, "agent does not answer PING; dropping the connection");
      destroySession(
        session,
        carrier.stream,
        new TurnaboutError("tunnel_lost", "the agent stopped answering"),
      );
    },
    context.keepalive,
  );
  return new AgentConnection({ id, carrier, session, identity, hello, liveness });
}

/** rh2: the certificate if there is a good one, else the token that we ask for first. */
async function identify(
  carrier: Carrier,
  session: ClientHttp2Session,
  context: AdmissionContext,
): Promise<Identity> {
  const socket = carrier.stream as TLSSocket;
  const byCertificate = certificateIdentity(socket);
  if (byCertificate !== undefined) return byCertificate;
  const token = await askToken(session);
  const identity = token === undefined ? undefined : context.tokens.find(token);
  if (identity !== undefined) return identity;
  const certificate =
    socket.getPeerX509Certificate() === undefined ? "none" : String(socket.authorizationError);
  const reason = `rh2: neither certificate (${certificate}) nor token (${token === undefined ? "none" : "unknown"}) is valid`;
  throw new TurnaboutError("unauthenticated", reason);
}

/** Undefined where the agent has none: it is then its certificate that was not good enough. */
async function askToken(session: ClientHttp2Session): Promise<string | undefined> {
  try {
    const answer = (await getJson(session, AGENT_PATHS.credential)) as { token?: unknown } | null;
    return typeof answer?.token === "string" ? answer.token : undefined;
  } catch (error) {
    if (error instanceof TurnaboutError && error.code === "tunnel_protocol") return undefined;
    throw error;
  }
}

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
async function getJson(session: ClientHttp2Session, path: string): Promise<unknown> {
  const stream = session.request({
    ":method": "GET",
    ":path": path,
    ":scheme": "http",
    ":authority": AGENT_AUTHORITY,
    [HEADER.version]: VERSION,
  });
  stream.on("error", () => {}); // for ever
  const timer = setTimeout(() => {
    stream.destroy(
      new TurnaboutError("tunnel_timeout", `agent GET ${path}: no answer within ${HELLO_TIMEOUT_MS} ms`),
    );
  }, HELLO_TIMEOUT_MS);
  try {
    const status = Promise.withResolvers<number>();
    stream.once("response", (headers) => status.resolve(headers[":status"] ?? 0));
    stream.once("close", () =>
      status.reject(new TurnaboutError("tunnel_protocol", `agent GET ${path}: closed`)),
    );
    const [code, body] = await Promise.all([
      status.promise,
      readBody(stream, MAX_CONTROL_BODY_BYTES, `agent GET ${path}`),
    ]);
    if (code !== 200) throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: status ${code}`);
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch (cause) {
    if (cause instanceof TurnaboutError) throw cause;
    throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: ${toError(cause).message}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Runners come and go while the session lives. A line that cannot be used is reported and passed over. */
function followEvents(connection: AgentConnection, context: AdmissionContext): void {
  const { registry, log } = context;
  const stream = connection.session.request({
    ":method": "GET",
    ":path": AGENT_PATHS.events,
    ":scheme": "http",
    ":authority": AGENT_AUTHORITY,
  });
  stream.on("error", () => {}); // for ever
  stream.setEncoding("utf8");
  let rest = "";
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_EVENT_LINE_BYTES) stream.destroy(new Error("an event line is too long"));
    for (const line of lines) {
      try {
        apply(line);
      } catch (error) {
        log.warn({ connection: connection.id, reason: toError(error).message }, "agent event refused");
      }
    }
  });
  function apply(line: string): void {
    const event = line === "" ? undefined : parseAgentEvent(line);
    if (event === undefined || !connection.usable) return;
    if (event.type === "runner-added") registry.addRunner(connection, event.runner);
    else if (event.type === "runner-removed") registry.removeRunner(connection, event.id);
    else registry.setTargetHealth(connection, event.runner, event.target, event.healthy);
  }
}
