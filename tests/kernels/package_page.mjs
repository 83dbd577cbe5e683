// Packages that kernels shipped, as they are, in a tab of Chromium.
import { build } from "esbuild";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const PAGE = '<!doctype html><link rel="icon" href="data:,">';

/**
 * Opens a tab with what the module `contents` exports in `window.packages`; `prepare` is called with it before it goes anywhere.
 * Kernels come from a site of their own, not from the edge.
 */
export async function openPackages(scope, chromium, contents, prepare = undefined) {
  const site = createServer((_, response) => response.setHeader("content-type", "text/html").end(PAGE));
  await once(site.listen(0, "127.0.0.1"), "listening");
  scope.after(() => {
    site.closeAllConnections();
    site.close();
  });
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
    bundle: true,
    format: "iife",
    globalName: "packages",
    platform: "browser",
    write: false,
  });
  const page = await chromium.newTab(`http://127.0.0.1:${site.address().port}/`, prepare);
  await page.evaluate(`${outputFiles[0].text}\nwindow.packages = packages;`);
  return page;
}
