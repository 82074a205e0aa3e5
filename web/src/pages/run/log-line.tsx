import Anser from "anser";
import { memo } from "react";
import styles from "./log-line.module.css";

interface LogLineProps {
  readonly number: number;
  readonly text: string;
  readonly topPx: number;
}

/** One line, with the colours that its step gave it. Whatever it holds is text, and nothing else. */
export const LogLine = memo(function LogLine({ number, text, topPx }: LogLineProps) {
  // What a program draws over and over, such as a bar of progress, is what it drew last.
  const shown = text.slice(text.replace(/\r$/, "").lastIndexOf("\r") + 1);
  const parts = Anser.ansiToJson(shown, { use_classes: true, remove_empty: true });
  return (
    <div className={styles.line} style={{ transform: `translateY(${topPx}px)` }}>
      <span className={styles.number} aria-hidden="true">
        {number}
      </span>
      <span>
        {parts.map(({ content, fg, bg, decorations }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line never changes
          <span key={index} className={classesOf(fg, bg, decorations)}>
            {content}
          </span>
        ))}
      </span>
    </div>
  );
});

function classesOf(fg: string | null, bg: string | null, decorations: readonly string[]): string | undefined {
  const names = [fg, bg === null ? null : `${bg}-ground`, ...decorations].flatMap((name) => styles[name ?? ""] ?? []);
  return names.length === 0 ? undefined : names.join(" ");
}
