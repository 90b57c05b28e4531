/** The sandbox of `turnabout demo`: a desktop, or a picture of one, behind Helix's screenshot server. */
import type { AddressInfo } from "node:net";
import { startListening, stopListening } from "../listening.ts";
import { DisplayError, NO_DISPLAY } from "./display.ts";
import type { Display } from "./display.ts";
import { SCREENSHOT_PORT } from "./limits.ts";
import { pictureDisplay } from "./picture.ts";
import { missingPrograms } from "./programs.ts";
import { createScreenshotServer } from "./screenshot-server.ts";
import { startSway } from "./sway.ts";

export interface SandboxDisplayOptions {
  /** Default 9876; 0 is any free port. */
  port?: number;
  /** Address to listen on. Default 127.0.0.1, because the server has no authentication. */
  host?: string;
  /** Default: `sway` if it is installed and starts, otherwise `picture`. `sway` rejects if it cannot start. */
  kind?: "sway" | "picture";
  log?: (line: string) => void;
}

export interface SandboxDisplay extends AsyncDisposable {
  readonly port: number;
  readonly kind: "sway" | "picture";
  close(): Promise<void>;
}

/** Listens at once, responds 500 while the display starts, and resolves when the display is ready. */
export async function startSandboxDisplay(options: SandboxDisplayOptions = {}): Promise<SandboxDisplay> {
  const { port = SCREENSHOT_PORT, host = "127.0.0.1", kind, log = () => {} } = options;
  let display: Pick<Display, "kind" | "capture"> = {
    kind: kind ?? "sway",
    capture: () => Promise.reject(new DisplayError(NO_DISPLAY)),
  };
  const server = createScreenshotServer(() => display);
  await startListening(server, { port, host });
  let opened: Display;
  try {
    opened = await openDisplay(kind, log);
  } catch (error) {
    await stopListening(server, () => server.closeAllConnections());
    throw error;
  }
  display = opened;
  const close = async (): Promise<void> => {
    await stopListening(server, () => server.closeAllConnections());
    await opened.close();
  };
  const address = server.address() as AddressInfo;
  log(`${opened.kind} display on http://${host}:${address.port}/screenshot`);
  return { port: address.port, kind: opened.kind, close, [Symbol.asyncDispose]: close };
}

async function openDisplay(
  kind: SandboxDisplayOptions["kind"],
  log: (line: string) => void,
): Promise<Display> {
  if (kind === "picture") return pictureDisplay();
  try {
    const missing = await missingPrograms();
    if (missing.length > 0) throw new Error(`not installed: ${missing.join(", ")}`);
    return await startSway(log);
  } catch (error) {
    if (kind === "sway") throw error;
    log(`no real desktop, showing a picture (${error instanceof Error ? error.message : String(error)})`);
    return pictureDisplay();
  }
}
