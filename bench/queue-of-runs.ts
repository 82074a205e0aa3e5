import { newId } from "../src/protocol/ids.ts";
import type { Run } from "../src/protocol/resources.ts";
import type { BenchServer } from "./bench-server.ts";

/** Of the run that all others are copies of: no worker is in it. */
const TEMPLATES = "templates";

/**
 * Queued runs in numbers: one is submitted, the others are copies of its rows, whatever columns these have. `varied` says
 * what is different in the n-th copy.
 */
export class QueueOfRuns {
  readonly #server: BenchServer;
  readonly #pool: string;
  readonly #template: string;
  readonly #varied: (index: number) => object;
  #made = 0;

  private constructor(server: BenchServer, pool: string, template: string, varied: (index: number) => object) {
    this.#server = server;
    this.#pool = pool;
    this.#template = template;
    this.#varied = varied;
  }

  static async open(
    server: BenchServer,
    pool: string,
    varied: (index: number) => object = () => ({}),
  ): Promise<QueueOfRuns> {
    const pipeline = {
      ...{ name: `queue-${pool}`, environment: { image: "none" }, worker: { pool: TEMPLATES } },
      steps: { work: { command: ["true"] } },
    };
    const { id } = await server.post<Run>("/runs", { pipeline: JSON.stringify(pipeline) });
    return new QueueOfRuns(server, pool, id, varied);
  }

  /** Adds this many, the newest last. */
  async add(count: number): Promise<void> {
    const copies = Array.from({ length: count }, () => {
      const index = ++this.#made;
      return {
        ...{ id: newId("run"), pool: this.#pool, number: index + 1, created_at: new Date().toISOString() },
        ...this.#varied(index),
      };
    });
    await this.#server.database.transaction(async (client) => {
      await client.query(
        `INSERT INTO runs SELECT (jsonb_populate_record(r, copy)).*
         FROM runs r, jsonb_array_elements($2::jsonb) AS copy WHERE r.id = $1`,
        [this.#template, JSON.stringify(copies)],
      );
      await client.query(
        `INSERT INTO step_runs SELECT (jsonb_populate_record(s, jsonb_build_object('run_id', copy->>'id'))).*
         FROM step_runs s, jsonb_array_elements($2::jsonb) AS copy WHERE s.run_id = $1`,
        [this.#template, JSON.stringify(copies)],
      );
    });
  }
}
