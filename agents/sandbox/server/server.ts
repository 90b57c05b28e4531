/** The sandbox's server: screenshots, clipboard, input, programs and uploads of one desktop. */
import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { ClipboardPush } from "./clipboard/push.ts";
import { clipboardRoutes } from "./clipboard/routes.ts";
import { Clipboard } from "./clipboard/selection.ts";
import { Display } from "./desktop/display.ts";
import { Programs } from "./desktop/programs.ts";
import type { Environment } from "./desktop/programs.ts";
import { Failure, failureResponse, failureText } from "./errors.ts";
import { EXEC_ALLOWED, execRoutes } from "./exec.ts";
import { healthRoutes } from "./health.ts";
import { respondDuringBody } from "./http/body.ts";
import { closeServer, createListener, listen } from "./http/listener.ts";
import { isFromLocalPage } from "./http/same-origin.ts";
import { acceptSockets } from "./http/upgrades.ts";
import { closeSocket, keepAlive } from "./http/websocket.ts";
import type { LivenessOptions } from "./http/websocket.ts";
import { Injector } from "./input/injector.ts";
import { inputRoutes } from "./input/routes.ts";
import { acceptInput } from "./input/socket.ts";
import { SCREENSHOT_PORT } from "./limits.ts";
import { silent } from "./log.ts";
import type { Logger } from "./log.ts";
import { frameKind } from "./screenshot/encode.ts";
import { captureWithGrim } from "./screenshot/grim.ts";
import { screenshotRoutes } from "./screenshot/routes.ts";
import { SharedFrames } from "./screenshot/shared-frames.ts";
import { uploadRoutes } from "./upload/routes.ts";

export interface SandboxServerOptions {
  /** Default 9876; 0 is any free port. */
  port?: number;
  /** Default: all interfaces, IPv6 and IPv4. */
  host?: string;
  /** `XDG_RUNTIME_DIR`: where the displays' sockets are. */
  runtimeFolder: string;
  /** Where uploads go. */
  incomingFolder: string;
  /** Default 500 MB. */
  maxUploadBytes?: number;
  /** Programs that `POST /exec` may start. Default {@link EXEC_ALLOWED}. */
  execAllowed?: readonly string[];
  /** Default: a ping every 5 s, and 30 s for a pong. */
  liveness?: LivenessOptions;
  log?: Logger;
}

export interface SandboxServer extends AsyncDisposable {
  readonly port: number;
  /** Ends every connection and every program that was started, except what holds the clipboard. Idempotent. */
  close(): Promise<void>;
}

/** @throws Error if it cannot listen */
export async function startSandboxServer(options: SandboxServerOptions): Promise<SandboxServer> {
  const { port = SCREENSHOT_PORT, host, log = silent } = options;
  const programs = new Programs();
  const display = new Display(options.runtimeFolder);
  const kind = await frameKind();
  const frames = new SharedFrames({
    capture: async () => {
      const bytes = await captureWithGrim(programs, display, kind);
      return { kind, bytes, digest: await digestOf(bytes), encoded: new Map() };
    },
  });
  const onChange = (): void => frames.changed();
  const clipboard = new Clipboard(programs, display, log);
  const push = new ClipboardPush({
    clipboard,
    programs,
    display,
    log,
    closeTimeoutMs: options.liveness?.closeTimeoutMs,
  });
  const injector = new Injector({ programs, display, log, onChange });
  const environment = async (): Promise<Environment> => {
    const [socket = "wayland-0"] = await display.sockets().catch(() => []);
    return display.environment(socket);
  };

  const app = new Hono<{ Bindings: HttpBindings }>();
  app.use(async (c, next) => {
    if (isFromLocalPage(c.env.incoming)) throw new Failure(403, "Forbidden");
    await next();
  });
  app.route("/", healthRoutes({ display, frames, push, injector }));
  app.route("/", screenshotRoutes(frames, log));
  app.route(
    "/",
    clipboardRoutes(clipboard, () => push.changed()),
  );
  app.route("/", inputRoutes(injector));
  app.route(
    "/",
    execRoutes({ programs, allowed: options.execAllowed ?? EXEC_ALLOWED, environment, log, onChange }),
  );
  app.route(
    "/",
    uploadRoutes({
      folder: options.incomingFolder,
      ...(options.maxUploadBytes === undefined ? {} : { maxBytes: options.maxUploadBytes }),
      showFile: (path) => void showFile(programs, environment, path),
      log,
    }),
  );
  app.notFound(() => failureResponse(new Failure(404, "404 page not found")));
  app.onError((error, c) => {
    if (error instanceof Failure) {
      return respondDuringBody(c.env.incoming, failureResponse(error), failureText(error));
    }
    log.error({ err: error }, "request failed");
    return failureResponse(new Failure(500, "Internal server error"));
  });

  const server = createListener(app, log);
  const sockets = acceptSockets(server, (path, socket) => {
    keepAlive(socket, options.liveness);
    if (path === "/ws/clipboard") push.add(socket);
    else acceptInput(socket, injector);
  });
  await listen(server, port, host);

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const closed = closeServer(server, () => {
        for (const socket of sockets.clients) socket.terminate();
      });
      for (const socket of sockets.clients) closeSocket(socket, 1001, "server is shutting down");
      frames.close();
      await Promise.all([push.close(), injector.close()]);
      await closed;
      await programs.close();
    })();
    return closing;
  };
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}

/** In a thread of its own: a 4K frame has 25 MB. */
async function digestOf(bytes: Buffer): Promise<string> {
  if (bytes.length < 1024 * 1024) return createHash("sha256").update(bytes).digest("base64url");
  const view = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
  return Buffer.from(await crypto.subtle.digest("SHA-256", view)).toString("base64url");
}

/** With the first file manager there is; it is no more than a convenience. */
async function showFile(
  programs: Programs,
  environment: () => Promise<Environment>,
  path: string,
): Promise<void> {
  const env = await environment();
  for (const program of ["thunar", "pcmanfm", "xdg-open"]) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    const child = programs.start(program, [program === "thunar" ? path : folder], { env, stdio: "ignore" });
    const isStarted = await new Promise<boolean>((resolve) => {
      child.once("spawn", () => resolve(true));
      child.once("error", () => resolve(false));
    });
    if (isStarted) return;
  }
}
