/**
 * A control plane on an inherited socket, descriptor 3: `control-plane.child.ts`. It prints its address when it listens, and
 * ends at SIGTERM.
 */
import { createControlPlane } from "../../src/control/control-plane.ts";

const adminToken = process.env["TURNABOUT_ADMIN_TOKEN"];
const controlPlane = await createControlPlane({ listenFd: 3, adminToken, drainMs: 500 });
process.stdout.write(`${JSON.stringify(controlPlane.address)}\n`);
process.once("SIGTERM", () => void controlPlane.close().then(() => process.exit(0)));
