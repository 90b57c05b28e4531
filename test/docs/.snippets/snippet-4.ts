import { createRemoteDial } from "../../../src/index.ts";
import { createMoonlightClient, MoonlightError, moonlightOverTunnel } from "../../../src/helix/index.ts";

const dial = createRemoteDial({ server: "http://localhost:33393", token: "demo" });
const moonlight = createMoonlightClient(moonlightOverTunnel(dial, "moonlight-local"), {
  credentials: "not the secret",
});

console.log(await moonlight.authenticate());
try {
  await moonlight.hosts();
} catch (error) {
  if (!(error instanceof MoonlightError)) throw error;
  console.log(error.status);
}
