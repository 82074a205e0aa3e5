import { useState } from "react";
import { Button } from "./button.tsx";
import styles from "./command.module.css";

const SAID_MS = 1_500;

/** A command line to copy. */
export function Command({ children }: { readonly children: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(children);
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return (
    <div className={styles.command}>
      <code>{children}</code>
      {/* Browsers have a clipboard only where nobody can listen: over TLS, and on this machine. */}
      {navigator.clipboard !== undefined && (
        <Button onClick={() => void copy()} aria-live="polite">
          {copied ? "Copied" : "Copy"}
        </Button>
      )}
    </div>
  );
}
