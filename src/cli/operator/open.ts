/**
 * `turnabout open`: a target in the browser, by a port of this machine. The page has an origin of its own, and the token stays
 * in this process: it is in no URL and on no command line.
 */
import { spawn } from "node:child_process";
import { ApiClient } from "../../clients/api/api-client.ts";
import { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { checkTarget } from "../forward/check-target.ts";
import { startForwarder } from "../forward/forwarder.ts";
import { keepWarm } from "../forward/keep-warm.ts";
import { parseTargetUrl } from "../forward/mapping.ts";
import { admitsOwnPages } from "../forward/own-pages.ts";
import { WaitNotices } from "../forward/wait-notices.ts";
import { parsePort } from "../options.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions, RemoteAccess } from "../remote/access.ts";

interface OpenOptions extends AccessOptions {
  print?: boolean;
  port: string;
}

const HOST = "127.0.0.1";
/** Of each system. Windows' `start` is a word of its shell, and takes a title first. */
const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""],
};

export const open: Command = programCommand("open", "open a target in the browser", (program) => {
  withAccessOptions(program)
    .argument("<url>", "RUNNER/TARGET/path?query")
    .option("--print", "print the URL, and start no browser")
    .option("--port <port>", "local port; default a free one", "0")
    .addHelpText(
      "after",
      `
A port of 127.0.0.1 leads to the target until Ctrl-C, as with \`turnabout forward\`, for requests of your own and of the target's
pages only. The target has to speak HTTP/1.1.

  turnabout open host-1/web/admin`,
    )
    .action(async (url: string, options: OpenOptions) => {
      const { destination, path } = parseTargetUrl(url);
      const port = parsePort(options.port, "--port");
      const access = resolveAccess(options);
      await checkPage(access, destination);
      const remote = new RemoteConnection(access);
      await using started = new AsyncDisposableStack();
      started.defer(() => remote.close());
      await remote.warm();
      let bound = 0;
      const mapping = { listen: { host: HOST, port }, destination };
      const forwarder = started.use(
        await startForwarder(mapping, {
          remote,
          notices: new WaitNotices(access),
          onPassed: ({ error }) => {
            if (error !== undefined) process.stderr.write(`warning: ${error}\n`);
          },
          admits: (socket) => admitsOwnPages(socket, bound),
        }),
      );
      if ("port" in forwarder.listen) bound = forwarder.listen.port;
      const address = new URL(`http://${HOST}:${bound}${path}`).href;
      process.stdout.write(`${address}\n`);
      if (options.print !== true) startBrowser(address);
      await keepWarm(remote);
    });
});

/** What is wrong is known here, and not only in the browser. */
async function checkPage(access: RemoteAccess, destination: Destination): Promise<void> {
  await using client = new ApiClient(access);
  const { target, absence } = await checkTarget(client, destination);
  if (absence !== undefined) process.stderr.write(`warning: ${absence}; the page waits for it\n`);
  if (target?.http === "2")
    throw new UsageError(
      `${destination.runner}/${destination.target} speaks HTTP/2 without TLS, which no browser does`,
      "use `turnabout forward` with a client that does",
    );
}

function startBrowser(address: string): void {
  const [program = "", ...args] = OPENERS[process.platform] ?? ["xdg-open"];
  const child = spawn(program, [...args, address], { stdio: "ignore", detached: true });
  const failed = (): void => {
    process.stderr.write(`warning: ${program} has started no browser: open the address above yourself\n`);
  };
  child.once("error", failed);
  child.once("exit", (code) => {
    if (code !== 0) failed();
  });
  child.unref();
}
