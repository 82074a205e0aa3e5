import { z } from "zod";

/** Every error that crosses the API, by its stable code, with the HTTP status it travels under. */
export const ERROR_STATUS = {
  invalid_request: 400,
  invalid_body: 400,
  invalid_pipeline: 422,
  invalid_params: 422,
  /** A step names a secret that is not there, or is not for its pipeline. */
  secret_unavailable: 422,
  unauthenticated: 401,
  signature_expired: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  stale_epoch: 409,
  stale_boot: 409,
  sequence_gap: 409,
  group_busy: 409,
  missing_blobs: 409,
  unschedulable: 409,
  gone: 410,
  digest_mismatch: 422,
  /** The body came more slowly than any line is. */
  request_timeout: 408,
  payload_too_large: 413,
  /** The project, or the pipeline, may not store that much; `details` say what it may and has. */
  quota_exceeded: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  too_many_requests: 429,
  headers_too_large: 431,
  internal: 500,
  /** A secret does not open: the key that it is encrypted under is not there, or it was changed. */
  secret_unreadable: 500,
  unavailable: 503,
  store_misconfigured: 503,
  storage_full: 507,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** One problem inside a request: a place in the pipeline file or in the body, and what is wrong there. */
export const Problem = z.object({
  path: z.string(),
  message: z.string(),
  line: z.int().optional(),
  column: z.int().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** The body of every answer of 4xx and 5xx. */
export const ErrorBody = z.object({
  error: z.object({
    code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    advice: z.string().optional(),
    problems: z.array(Problem).optional(),
    /** Machine-readable facts that belong to the code, such as the missing digests. */
    details: z.record(z.string(), z.unknown()).optional(),
    requestId: z.string().optional(),
  }),
});
export type ErrorBody = z.infer<typeof ErrorBody>;

export interface BerthErrorOptions extends ErrorOptions {
  readonly advice?: string;
  readonly problems?: readonly Problem[];
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Thrown where Berth cannot do what it was asked; carries a code of the catalogue and what the user can do. */
export class BerthError extends Error {
  override readonly name = "BerthError";
  readonly code: ErrorCode;
  readonly advice: string | undefined;
  readonly problems: readonly Problem[] | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: BerthErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.advice = options.advice;
    this.problems = options.problems;
    this.details = options.details;
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }

  /** All of it in one text, for where there is room for no more than that. */
  get words(): string {
    return [this.message, ...(this.problems ?? []).map(({ path, message }) => `${path}: ${message}.`)].join(" ");
  }

  toBody(requestId?: string): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.advice === undefined ? {} : { advice: this.advice }),
        ...(this.problems === undefined ? {} : { problems: [...this.problems] }),
        ...(this.details === undefined ? {} : { details: { ...this.details } }),
        ...(requestId === undefined ? {} : { requestId }),
      },
    };
  }
}
