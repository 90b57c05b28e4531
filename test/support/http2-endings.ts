/**
 * Where the sources end HTTP/2 streams and sessions by node's own methods instead of src/wire/streams/end-stream.ts, and where
 * they make sessions without its guard. The types are the compiler's, so a stream is found under any name.
 */
import path from "node:path";
import {
  isArrowFunction,
  isBindingElement,
  isCallExpression,
  isElementAccessExpression,
  isFunctionDeclaration,
  isFunctionExpression,
  isIdentifier,
  isMethodDeclaration,
  isNewExpression,
  isObjectBindingPattern,
  isPropertyAccessExpression,
  isStringLiteral,
} from "typescript/unstable/ast";
import type { Node, SourceFile } from "typescript/unstable/ast";
import { API, SymbolFlags } from "typescript/unstable/sync";
import type { Checker, Type } from "typescript/unstable/sync";

const ROOT = path.join(import.meta.dirname, "../..");
const TSCONFIG = path.join(ROOT, "tsconfig.json");

/** The file whose business it is. */
const ENDINGS = "src/wire/streams/end-stream.ts";

const STREAMS: ReadonlySet<string> = new Set([
  "Http2Stream",
  "ClientHttp2Stream",
  "ServerHttp2Stream",
  "Http2ServerRequest",
  "Http2ServerResponse",
]);
const SESSIONS: ReadonlySet<string> = new Set(["Http2Session", "ClientHttp2Session", "ServerHttp2Session"]);
const STREAM_METHODS: ReadonlySet<string> = new Set(["close", "destroy", "_destroy"]);
/** Not `close`, which sends GOAWAY and waits for the streams. */
const SESSION_METHODS: ReadonlySet<string> = new Set(["destroy"]);
const MAKES_SESSIONS: ReadonlySet<string> = new Set([
  "connect",
  "createServer",
  "createSecureServer",
  "performServerHandshake",
]);

export interface Finding {
  /** Relative to the root. */
  file: string;
  line: number;
  /** What stands there, on one line. */
  text: string;
  why: "ends it past the guard" | "makes a session without guardHttp2Session()";
}

/** @param overlay texts that take the place of files, by path relative to the root */
export function findBareEndings(
  files: readonly string[],
  overlay: Readonly<Record<string, string>> = {},
): Finding[] {
  const texts = new Map(Object.entries(overlay).map(([file, text]) => [path.join(ROOT, file), text]));
  const api = new API({ cwd: ROOT, fs: { readFile: (file) => texts.get(file) } });
  try {
    const project = api.updateSnapshot({ openProjects: [TSCONFIG] }).getProject(TSCONFIG);
    if (project === undefined) throw new Error("tsconfig.json is no project");
    const looked = files.filter((file) => file !== ENDINGS);
    return looked.flatMap((file) => {
      const source = project.program.getSourceFile(path.join(ROOT, file));
      if (source === undefined) throw new Error(`${file} is not in the project`);
      return findIn(source, file, project.checker);
    });
  } finally {
    api.close();
  }
}

function findIn(source: SourceFile, file: string, checker: Checker): Finding[] {
  const found: Finding[] = [];
  const report = (node: Node, why: Finding["why"]): void => {
    const start = node.getStart(source);
    const line = source.text.slice(0, start).split("\n").length;
    const text = source.text.slice(start, node.getEnd()).replaceAll(/\s+/g, " ");
    found.push({ file, line, text, why });
  };
  const visit = (node: Node): void => {
    const read = methodRead(node);
    if (read !== undefined) {
      const names = typeNames(checker.getTypeAtLocation(read.owner), checker);
      const isEnding = names.some(
        (name) =>
          (STREAMS.has(name) && STREAM_METHODS.has(read.method)) ||
          (SESSIONS.has(name) && SESSION_METHODS.has(read.method)),
      );
      if (isEnding) report(node, "ends it past the guard");
    }
    if (makesSession(node, checker) && !isGuarded(node, source))
      report(node, "makes a session without guardHttp2Session()");
    node.forEachChild(visit);
  };
  visit(source);
  return found;
}

/** `owner.method`, `owner["method"]`, `owner[Symbol.asyncDispose]` or `{ method } = owner`. */
function methodRead(node: Node): { owner: Node; method: string } | undefined {
  if (isPropertyAccessExpression(node)) return { owner: node.expression, method: node.name.text };
  if (isElementAccessExpression(node)) {
    const key = node.argumentExpression;
    const method = isStringLiteral(key) ? key.text : key.getText() === "Symbol.asyncDispose" ? "destroy" : "";
    return { owner: node.expression, method };
  }
  if (!isBindingElement(node) || !isObjectBindingPattern(node.parent)) return undefined;
  const name = node.propertyName ?? node.name;
  return name !== undefined && isIdentifier(name) ? { owner: node.parent, method: name.text } : undefined;
}

/** Of a union or an intersection, all; of a class, also those above it. */
function typeNames(type: Type | undefined, checker: Checker): string[] {
  if (type === undefined) return [];
  if (type.isUnionType() || type.isIntersectionType())
    return type.getTypes().flatMap((each) => typeNames(each, checker));
  if (type.isTypeParameter()) return typeNames(checker.getBaseConstraintOfType(type), checker);
  const bases = type.isClassOrInterface() ? checker.getBaseTypes(type) : [];
  return [type.getSymbol()?.name ?? "", ...bases.flatMap((each) => typeNames(each, checker))];
}

/** node:http2's own makers, and http2-wrapper's agent. */
function makesSession(node: Node, checker: Checker): boolean {
  if (!isCallExpression(node) && !isNewExpression(node)) return false;
  const called = isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression;
  if (!isIdentifier(called)) return false;
  let symbol = checker.getSymbolAtLocation(called);
  if (symbol !== undefined && (symbol.flags & SymbolFlags.Alias) !== 0)
    symbol = checker.getAliasedSymbol(symbol);
  const [declaration] = symbol?.declarations ?? [];
  if (symbol === undefined || declaration === undefined) return false;
  if (declaration.path.includes("/http2-wrapper/")) return symbol.name === "Agent";
  return declaration.path.endsWith("/@types/node/http2.d.ts") && MAKES_SESSIONS.has(symbol.name);
}

/** The function in which the session is made speaks of the guard. */
function isGuarded(node: Node, source: SourceFile): boolean {
  let at = node;
  while (!isFunction(at) && at.parent !== undefined) at = at.parent;
  return source.text.slice(at.pos, at.end).includes("guardHttp2Session");
}

function isFunction(node: Node): boolean {
  return (
    isFunctionDeclaration(node) ||
    isMethodDeclaration(node) ||
    isFunctionExpression(node) ||
    isArrowFunction(node)
  );
}
