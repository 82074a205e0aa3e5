import { resolve } from "node:path";
import { BerthError } from "../protocol/errors.ts";
import { parseFingerprint } from "../std/certificate-fingerprint.ts";
import { OtherCertificate } from "../std/find-certificate.ts";
import { pinCertificate } from "../std/pin-certificate.ts";
import { tlsProblem } from "../std/tls-problem.ts";
import type { TlsTrust, TrustChoice } from "../std/tls-trust.ts";
import { QUICK } from "./agent-client.ts";
import { answerError, noAnswer } from "./answer-error.ts";
import { connectionPool, type HttpRequest, readBody, sendRequest } from "./http-request.ts";
import { resolvedTrust } from "./identity.ts";

/**
 * Makes what a worker keeps of what a person said about the server's certificate. Returns only once a connection was
 * opened that trusts nothing else: before that, no token may be sent. A pinned certificate is kept in the agent's home.
 */
export async function establishTrust(home: string, server: string, choice: TrustChoice): Promise<TlsTrust> {
  const trust = await keptTrust(home, new URL(server), choice);
  if (new URL(server).protocol === "https:") await greet(server, resolvedTrust(home, trust));
  return trust;
}

async function keptTrust(home: string, server: URL, choice: TrustChoice): Promise<TlsTrust> {
  const { caFile, caFingerprint, serverName } = choice;
  if (server.protocol !== "https:" && (caFile ?? caFingerprint) !== undefined) {
    throw new BerthError("invalid_request", `${server.origin} is an address without TLS: there is nothing to pin.`, {
      advice: "Use the server's https:// address, or leave the certificate out.",
    });
  }
  if (caFile !== undefined && caFingerprint !== undefined) {
    throw new BerthError("invalid_request", "A file of authorities and a fingerprint are two ways to say the same.", {
      advice: "Give one of --ca-file and --ca-fingerprint.",
    });
  }
  const named = serverName === undefined ? {} : { serverName };
  if (caFile !== undefined) return { ...named, caFile: resolve(caFile) };
  return caFingerprint === undefined ? named : { ...named, caFile: await pinned(home, server, caFingerprint) };
}

async function pinned(home: string, server: URL, text: string): Promise<string> {
  const fingerprint = parseFingerprint(text);
  if (fingerprint === null) {
    throw new BerthError("invalid_request", `"${text}" is not the fingerprint of a certificate.`, {
      advice: "It is to look like sha256:4f0c… with 64 hex digits; the server prints it when it starts.",
    });
  }
  try {
    return await pinCertificate(server, fingerprint, home);
  } catch (error) {
    throw notPinned(server, fingerprint, error);
  }
}

function notPinned(server: URL, fingerprint: string, error: unknown): BerthError {
  if (error instanceof OtherCertificate) {
    return new BerthError(
      "unavailable",
      `${server.origin} does not show the certificate ${fingerprint}, but ${error.shown.join(" and ")}. Nothing was sent to it.`,
      {
        cause: error,
        advice:
          "Compare with what the server printed when it started. If that is the fingerprint given here, " +
          "something between this machine and the server answers in its place.",
      },
    );
  }
  const problem = tlsProblem(error);
  return new BerthError("unavailable", `${server.origin}: ${problem?.what ?? (error as Error).message}`, {
    cause: error,
    advice: problem?.advice ?? "Check that the server runs, and that this machine can reach it by https.",
  });
}

async function greet(server: string, trust: TlsTrust): Promise<void> {
  const url = new URL("api/v1/health", server.endsWith("/") ? server : `${server}/`);
  const request: HttpRequest = { method: "GET", url, headers: { accept: "application/json" }, deadlines: QUICK };
  const pool = connectionPool(url, trust);
  try {
    const answer = await sendRequest(pool, request);
    const body = await readBody(request, answer);
    if (answer.status !== 200) throw answerError(request, answer, body);
  } catch (error) {
    throw noAnswer(error);
  } finally {
    pool.destroy();
  }
}
