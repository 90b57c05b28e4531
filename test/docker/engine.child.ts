/** An engine with a container, for a test that kills this process: prints its folder and its name. */
import { Engine } from "./engine.ts";
import { importBusybox } from "./busybox.ts";

const engine = await Engine.start();
const image = await importBusybox(engine);
await engine.command("docker", ["network", "create", "--subnet", "172.19.0.0/16", "outer"]);
await engine.command("docker", ["run", "-d", "--network", "outer", image, "busybox", "sleep", "1000"]);
await engine.publish("127.0.0.1", 9);
process.send?.(engine.folder);
