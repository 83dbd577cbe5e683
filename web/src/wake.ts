// When a browser's network or tab comes back, which is when a connection is worth another try.

/** Calls `wake` then, until the function that is answered is called. Does nothing where there are no such events. */
export function onWake(wake: () => void): () => void {
  const targets: Array<[target: Partial<EventTarget> | undefined, type: string]> = [
    [globalThis as Partial<EventTarget>, "online"],
    [(globalThis as { document?: Document }).document, "visibilitychange"],
  ];
  const listener = (): void => {
    if ((globalThis as { document?: Document }).document?.visibilityState !== "hidden") wake();
  };
  for (const [target, type] of targets) target?.addEventListener?.(type, listener);
  return () => {
    for (const [target, type] of targets) target?.removeEventListener?.(type, listener);
  };
}
