import { createRemoteDial } from "../../../src/index.ts";
import { createSandboxClient, SandboxError, sandboxOverTunnel } from "../../../src/helix/index.ts";

const dial = createRemoteDial({ server: "http://localhost:33393", token: "demo" });
const sandbox = createSandboxClient(sandboxOverTunnel(dial, "sandbox-ses_demo"));

const screen = await sandbox.screenshot({ format: "png", signal: AbortSignal.timeout(10_000) });
if (screen.kind === "image") {
  console.log(screen.contentType);
  // Next time only if it has changed; otherwise { kind: "not-modified" }.
  await sandbox.screenshot({ format: "png", etag: screen.etag });
}

// The demo's sandbox has a screen only; a real one has a clipboard, input, uploads and programs.
try {
  console.log(await sandbox.clipboard());
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.log(error.isDisplayMissing ? "not ready yet" : `no clipboard: ${error.status}`);
}
