import type { Agent, RequestInit as SecureInit } from "undici";
import { type SecureOptions, type TlsTrust, TrustedConnections } from "../../std/tls-trust.ts";

/**
 * `fetch` to a server that is known by certificates of one's own. The one that Node has takes none; undici, which it is
 * made of, does, and is loaded for https only.
 */
export class SecureFetch {
  #trust: TlsTrust | undefined;
  #trusted: TrustedConnections | null = null;
  #pool: { readonly agent: Agent; readonly options: SecureOptions } | null = null;

  async fetch(url: URL, trust: TlsTrust = {}, init: RequestInit): Promise<Response> {
    if (url.protocol !== "https:") return await fetch(url, init);
    const { fetch: secureFetch, Agent } = await import("undici");
    if (this.#trusted === null || this.#trust !== trust) this.#trusted = new TrustedConnections(trust);
    this.#trust = trust;
    const options = this.#trusted.options();
    if (this.#pool?.options !== options) this.#pool = { agent: new Agent({ connect: { ...options } }), options };
    // The same types, declared twice: Node's are generated from undici's.
    const secureInit = { ...(init as unknown as SecureInit), dispatcher: this.#pool.agent };
    return await secureFetch(url, secureInit);
  }
}
