/** From an accepted carrier to a registered connection: session, identity, /hello, registry. The same for every door. */
import { randomBytes } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Carrier } from "../../wire/carrier.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { parseHello } from "../../wire/hello.ts";
import type { Hello } from "../../wire/hello.ts";
import { keepAlive } from "../../wire/keepalive.ts";
import type { KeepaliveOptions } from "../../wire/keepalive.ts";
import type { Logger } from "../../wire/log.ts";
import { AGENT_PATHS, CAPABILITY } from "../../wire/protocol.ts";
import { parseGoaway, sendGoaway } from "../../wire/refusal.ts";
import { destroySession, openReversed } from "../../wire/session.ts";
import { certificateIdentity, isCertificate } from "../auth/certificates.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { getAgentJson } from "../agent-request.ts";
import { AgentConnection } from "../connection.ts";
import { followEvents } from "../follow-events.ts";
import { AGENT_REQUEST_TIMEOUT_MS } from "../limits.ts";
import { reportRefused } from "../refused-runners.ts";
import type { Registry } from "../registry.ts";

export interface AdmissionContext {
  registry: Registry;
  tokens: TokenStore;
  log: Logger;
  keepalive: KeepaliveOptions;
  /** Every admitted connection until it closes, also one that serves no runner any more. */
  opened: Set<AgentConnection>;
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
    const hello = parseHello(await getAgentJson(session, AGENT_PATHS.hello));
    if (!isCertificate(identity) && context.tokens.current(identity) === undefined) {
      throw new TurnaboutError("unauthenticated", "the credential was revoked while the agent connected");
    }
    const connection = createConnection(carrier, session, identity, hello, context);
    const refused = context.registry.register(connection, admission.standby || hello.standby);
    reportRefused(connection, refused, context);
    if (hello.capabilities.includes(CAPABILITY.events)) void followEvents(connection, context);
    context.opened.add(connection);
    session.once("close", () => context.opened.delete(connection));
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
  const timer = setTimeout(() => destroySession(session, carrier.stream, error), AGENT_REQUEST_TIMEOUT_MS);
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
    const answer = (await getAgentJson(session, AGENT_PATHS.credential)) as { token?: unknown } | null;
    return typeof answer?.token === "string" ? answer.token : undefined;
  } catch (error) {
    if (error instanceof TurnaboutError && error.code === "tunnel_protocol") return undefined;
    throw error;
  }
}
