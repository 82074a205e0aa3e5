/** What makes another machine a worker of this server; null when it cannot be reached from there. */
export function registrationLine(server: {
  readonly workerUrl: string | null;
  readonly caFingerprint: string | null;
}): string | null {
  if (server.workerUrl === null) return null;
  const pin = server.caFingerprint === null ? "" : ` --ca-fingerprint ${server.caFingerprint}`;
  return `berth agent register --server ${server.workerUrl}${pin} --token …`;
}
