/** The API as a page for people: rendered here from the OpenAPI document, without a script and without another origin. */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import { operationsByTag } from "./document.ts";
import type { ApiDocument, Content, ListedOperation, Parameter } from "./document.ts";
import { schemaText } from "./schema-text.ts";
import { STYLE } from "./style.ts";

type Html = ReturnType<typeof html>;

/** Nothing may be loaded, framed or sent; the one style sheet is known by its hash. */
export const REFERENCE_POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export async function referencePage(document: ApiDocument): Promise<string> {
  const { info, servers = [], components = {} } = document;
  const groups = [...operationsByTag(document)];
  const base = servers[0]?.url ?? "/";
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${info.title}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <header>
          <h1>${info.title}</h1>
          <p>
            Version ${info.version}, below <code>${base}</code>. For programs:
            <a href="openapi.json">openapi.json</a>.
          </p>
        </header>
        <nav>${groups.map(contents)}</nav>
        <main>
          ${groups.map(
            ([tag, operations]) =>
              html`<h2>${tag}</h2>
                ${operations.map((operation) => section(operation, document))}`,
          )}
          <h2>Schemas</h2>
          ${Object.entries(components.schemas ?? {}).map(
            ([name, schema]) =>
              html`<section id="schema-${name}">
                <h3>${name}</h3>
                <pre>${schemaText(schema)}</pre>
              </section>`,
          )}
        </main>
      </body>
    </html>`;
  return page.toString();
}

function contents([tag, operations]: [string, ListedOperation[]]): Html {
  return html`<details open>
    <summary>${tag}</summary>
    <ul>
      ${operations.map(
        (operation) =>
          html`<li><a href="#${anchorOf(operation)}">${operation.summary ?? operation.path}</a></li>`,
      )}
    </ul>
  </details>`;
}

function anchorOf({ operationId, method, path }: ListedOperation): string {
  return operationId ?? `${method}-${path}`;
}

function section(operation: ListedOperation, document: ApiDocument): Html {
  const { method, path, summary = "", description, parameters = [], requestBody, responses } = operation;
  return html`<section id="${anchorOf(operation)}">
    <h3><b class="${method}">${method.toUpperCase()}</b> <code>${path}</code></h3>
    <p>${summary}${description === undefined ? "" : html`<br />${description}`}</p>
    <p class="note"><code>${anchorOf(operation)}</code> · ${credentials(operation, document)}</p>
    ${parameters.length === 0 ? "" : parameterTable(parameters)}
    ${
      requestBody?.content === undefined
        ? ""
        : html`<h4>Request</h4>
            ${bodies(requestBody.content)}`
    }
    <h4>Responses</h4>
    <dl>
      ${Object.entries(responses).map(
        ([status, response]) =>
          html`<dt>${status}</dt>
            <dd>${response.description ?? ""} ${bodies(response.content ?? {})}</dd>`,
      )}
    </dl>
  </section>`;
}

function credentials({ security }: ListedOperation, document: ApiDocument): string {
  const places = (security ?? document.security ?? []).flatMap((one) => Object.keys(one));
  return places.length === 0 ? "no credential" : `credential: ${places.join(", ")}`;
}

function parameterTable(parameters: readonly Parameter[]): Html {
  return html`<table>
    <tr>
      <th>parameter</th>
      <th>in</th>
      <th>type</th>
      <th></th>
    </tr>
    ${parameters.map(
      ({ name, in: place, required, description = "", schema }) =>
        html`<tr>
          <td><code>${name}</code>${required === true ? "" : "?"}</td>
          <td>${place}</td>
          <td><code>${schemaText(schema)}</code></td>
          <td>${description}</td>
        </tr>`,
    )}
  </table>`;
}

function bodies(content: Content): Html[] {
  return Object.entries(content).map(
    ([type, { schema }]) =>
      html`<div>
        <small>${type}</small>
        <pre>${schemaText(schema)}</pre>
      </div>`,
  );
}
