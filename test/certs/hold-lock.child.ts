/** Holds the lock of a folder for as long as it lives. */
import { withLock } from "../../certs/lock.ts";

const [folder = ""] = process.argv.slice(2);
await withLock(folder, async () => {
  process.stdout.write("held\n");
  await new Promise((resolve) => setInterval(resolve, 2 ** 30));
});
