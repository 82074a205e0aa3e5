import type { ReactNode } from "react";
import { ApiError } from "../api/client.ts";
import styles from "./notice.module.css";

/** What went wrong, and what helps. */
export function Problem({ error }: { readonly error: unknown }) {
  const problem = error instanceof ApiError ? error.problem : null;
  return (
    <div className={styles.problem} role="alert">
      <strong>{error instanceof Error ? error.message : "Something went wrong."}</strong>
      {problem?.problems?.map(({ path, message }) => (
        <p key={path + message}>
          {path}: {message}
        </p>
      ))}
      {problem?.advice !== undefined && <p>{problem.advice}</p>}
      {problem?.requestId !== undefined && <p className={styles.quiet}>Request {problem.requestId}</p>}
    </div>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly children: ReactNode;
}

/** In place of a list that has nothing: what would be here, and how it gets here. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <div className={styles.empty}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}
