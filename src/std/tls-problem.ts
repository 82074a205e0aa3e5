/** Why a server was not believed, and the way out. */
export interface TlsProblem {
  readonly what: string;
  readonly advice: string;
}

const UNKNOWN: TlsProblem = {
  what: "its certificate is issued by nobody that is trusted here",
  advice:
    "Give the authority that issued it (--ca-file FILE), or the fingerprint that the server prints when it starts " +
    "(--ca-fingerprint sha256:…). If it was trusted before, somebody may stand between: ask who operates the server first.",
};

const PROBLEMS: Readonly<Record<string, TlsProblem>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN,
  CERT_SIGNATURE_FAILURE: UNKNOWN,
  CERT_UNTRUSTED: UNKNOWN,
  INVALID_CA: UNKNOWN,
  CERT_HAS_EXPIRED: {
    what: "its certificate has expired",
    advice: "The operator of the server has to renew it. If it is new, look at the clock of this machine.",
  },
  CERT_NOT_YET_VALID: {
    what: "its certificate is not valid yet",
    advice: "Look at the clock of this machine, and at that of the server.",
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    what: "its certificate is for another name",
    advice:
      "Use a name that the certificate is for, or have the operator add this one " +
      "(a generated certificate: --tls-name at the server).",
  },
  ERR_SSL_WRONG_VERSION_NUMBER: {
    what: "it does not speak TLS",
    advice: "Use http:// if the server is meant to be without TLS, or check the port.",
  },
  ERR_SSL_PACKET_LENGTH_TOO_LONG: {
    what: "it does not speak TLS",
    advice: "Use http:// if the server is meant to be without TLS, or check the port.",
  },
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: {
    what: "it only speaks versions of TLS that are not safe any more",
    advice: "Berth needs TLS 1.2 or newer: update what ends TLS there.",
  },
};

/** What TLS had against a connection, from an error or what caused it; null when it was something else. */
export function tlsProblem(error: unknown): TlsProblem | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const known = code === undefined ? undefined : PROBLEMS[code];
    if (known === undefined) continue;
    return code === "ERR_TLS_CERT_ALTNAME_INVALID" ? { ...known, what: `${known.what}: ${namesOf(cause)}` } : known;
  }
  return null;
}

/** What the certificate is for, as Node tells it beside its error: `DNS:a.example, IP Address:10.0.0.1`. */
function namesOf(error: Error): string {
  const { subjectaltname } = (error as { cert?: { subjectaltname?: string } }).cert ?? {};
  return subjectaltname ?? "it names none";
}
