/** A control plane with Helix's system, on a port and a data directory, until it is killed. */
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { helix } from "../../../src/helix/helix.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";

const [port, dataDirectory] = process.argv.slice(2);

const controlPlane = await createControlPlane({
  port: Number(port),
  host: "127.0.0.1",
  adminToken: ADMIN_TOKEN,
  dataDirectory,
  extensions: [helix()],
});
console.log(controlPlane.port);
