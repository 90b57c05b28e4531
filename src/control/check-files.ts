/** What can be checked before the store and the port are free: a successor does it while its predecessor serves. */
import { checkOptions } from "./options.ts";
import type { ControlPlaneOptions } from "./options.ts";
import { checkTlsFiles } from "./reload/tls-files.ts";
import { readTokenFile } from "./reload/token-file.ts";

/** @throws TurnaboutError `config_invalid` that says what is wrong */
export async function checkControlPlane(options: ControlPlaneOptions): Promise<void> {
  const { tlsFiles, tokenFile } = checkOptions(options);
  if (tokenFile !== undefined) await readTokenFile(tokenFile);
  if (tlsFiles !== undefined) await checkTlsFiles(tlsFiles);
}
