// Starts Debian's Chromium (or the one that CHROMIUM names) without a window, with a profile of its own.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Resolves to `{ newTab, stop }`. No QUIC or WebTransport flag is needed, and none is given; `flags` are others that a test needs. */
export async function startChromium(flags = []) {
  const directory = await mkdtemp(join(tmpdir(), "atoll-browser-profile-"));
  const args = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // It asks nobody but this machine, whatever its features would like.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ...flags,
  ];
  // Chromium's sandbox does not work for root, who runs tests in containers.
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  let context;
  try {
    context = await chromium.launchPersistentContext(join(directory, "profile"), {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      headless: true,
      args,
      // What Chromium leaves in a temporary directory is left in this one.
      env: { ...process.env, TMPDIR: directory },
      viewport: { width: 900, height: 640 },
    });
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  context.setDefaultTimeout(20_000);
  const complaints = [];

  return {
    /** Errors that pages threw or logged. */
    complaints,
    /** Opens a tab; `prepare` is called with it before it goes anywhere. */
    newTab: async (url, prepare = async () => undefined) => {
      const page = await context.newPage();
      await prepare(page);
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text());
      });
      await page.goto(url);
      return page;
    },
    stop: async () => {
      await context.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}
