// Bundles the page into dist/index.html: one file, which the edge embeds. The same source gives the same bytes everywhere.
// With --check it writes nothing and fails when dist differs from its source.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const OUTPUT = new URL("dist/index.html", import.meta.url);

const page = await bundle();
if (process.argv.includes("--check")) {
  const committed = await readFile(OUTPUT, "utf8").catch(() => "");
  if (committed !== page) {
    console.error("web/dist/index.html differs from its source: run `npm run build` in web/ and commit it");
    process.exit(1);
  }
  console.log(`web/dist/index.html equals its source (${page.length} characters)`);
} else {
  await mkdir(new URL(".", OUTPUT), { recursive: true });
  await writeFile(OUTPUT, page);
  console.log(`wrote web/dist/index.html (${page.length} characters)`);
}

async function bundle() {
  const [script, style, html] = await Promise.all([
    bundleOne("page/page.ts"),
    bundleOne("page/page.css"),
    readFile(new URL("page/index.html", import.meta.url), "utf8"),
  ]);
  // Only this script and this style, and nothing from elsewhere but the edge's own doors.
  const policy = [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "img-src data:",
    "connect-src 'self' https: wss: ws:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const head = `<meta http-equiv="Content-Security-Policy" content="${policy}">\n    <style>${style}</style>`;
  return html.replace("<!-- head -->", () => head).replace("<!-- body -->", () => `<script>${script}</script>`);
}

async function bundleOne(entry) {
  const result = await build({
    absWorkingDir: HERE,
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    target: ["es2022", "chrome120", "firefox120", "safari17"],
    charset: "utf8",
    legalComments: "inline",
    sourcemap: false,
    logLevel: "warning",
  });
  return result.outputFiles[0].text.trimEnd();
}

function hash(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
