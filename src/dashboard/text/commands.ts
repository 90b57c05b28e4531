/** Lines for a shell that do what the page shows. Names are quoted where a shell would read them in another way. */

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

export function quote(value: string): string {
  return PLAIN.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/** The page has no token to show: the shell's variable holds it. */
const CREDENTIAL = '-H "Authorization: Bearer $TURNABOUT_TOKEN"';
const PROXY_CREDENTIAL = '-U "x:$TURNABOUT_TOKEN"';

export interface Command {
  label: string;
  line: string;
}

/** For a target of a runner. @param server URL of the control plane, with its base path */
export function targetCommands(server: string, runner: string, target: string): Command[] {
  const url = `${server}/api/v1/runners/${encodeURIComponent(runner)}/targets/${encodeURIComponent(target)}/`;
  const name = quote(`${runner}/${target}`);
  const control = `--server ${quote(server)}`;
  return [
    { label: "HTTP, by the API's route", line: `curl ${CREDENTIAL} ${quote(url)}` },
    {
      label: "HTTP, through the forward proxy",
      line: `curl -p -x ${quote(new URL(server).origin)} ${PROXY_CREDENTIAL} ${quote(`http://${target}.${runner}/`)}`,
    },
    { label: "A local port", line: `turnabout forward ${control} 8000=${name}` },
    {
      label: "SSH, if the target is an SSH server",
      line: `ssh -o ProxyCommand=${quote(`turnabout connect ${control} ${name}`)} ${quote(`user@${runner}`)}`,
    },
  ];
}

export interface CurlRequest {
  method?: string | undefined;
  /** With the query; on the forward proxy the target's. */
  path?: string | undefined;
  way: string;
  runner?: string | undefined;
  target?: string | undefined;
}

/** A request of the access log as a line for curl. The log has no fields, no content, and no values of a query. */
export function asCurl(server: string, { method = "GET", path, way, runner, target }: CurlRequest): string {
  const { origin } = new URL(server);
  const verb = method === "GET" ? "" : method === "HEAD" ? "-I " : `-X ${quote(method)} `;
  const tail = path?.startsWith("/") === true ? path : "/";
  if (way === "forward-proxy" && runner !== undefined && target !== undefined)
    return `curl ${verb}-x ${quote(origin)} ${PROXY_CREDENTIAL} ${quote(`http://${target}.${runner}${tail}`)}`;
  return `curl ${verb}${CREDENTIAL} ${quote(`${origin}${tail}`)}`;
}
