/** Rewrites a folder for as long as it lives; the test kills it somewhere in between. */
import { writeFolder } from "../../certs/folder.ts";

const [folder = ""] = process.argv.slice(2);
for (let count = 0; ; count += 1) {
  const text = `${count}\n`.repeat(2_000);
  await writeFolder(folder, { "tls.crt": text, "tls.key": text });
  if (count === 0) process.stdout.write("first\n");
}
