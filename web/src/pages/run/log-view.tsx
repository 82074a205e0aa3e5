import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { type AskOptions, apiUrl } from "../../api/client.ts";
import { Button } from "../../ui/button.tsx";
import { Problem } from "../../ui/notice.tsx";
import { LogLine } from "./log-line.tsx";
import styles from "./log-view.module.css";
import { useLog } from "./use-log.ts";

const LINE_PX = 20;
/** Nearer to the end than this, the end is what somebody looks at. */
const AT_END_PX = 2 * LINE_PX;

interface LogViewProps {
  /** Of the log, below `/api/v1`. */
  readonly path: string;
  readonly query: NonNullable<AskOptions["query"]>;
  readonly isLive: boolean;
}

/** A log as it is written. It follows its end until somebody scrolls away from it, and again when they come back. */
export function LogView({ path, query, isLive }: LogViewProps) {
  const { lines, first, isWhole, error } = useLog(path, query, isLive);
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
  });
  useEffect(() => {
    if (isFollowing && lines.length > 0) rows.scrollToIndex(lines.length - 1, { align: "end" });
  }, [isFollowing, lines.length, rows]);
  const onScroll = () => {
    const { scrollTop, clientHeight, scrollHeight } = box.current!;
    setFollowing(scrollHeight - scrollTop - clientHeight < AT_END_PX);
  };
  return (
    <div className={styles.log}>
      <div className={styles.bar}>
        <h3>Log</h3>
        <span>{lines.length === 0 ? "" : `${(first + lines.length - 1).toLocaleString()} lines`}</span>
        {!isFollowing && isLive && <Button onClick={() => setFollowing(true)}>Follow</Button>}
        <a href={apiUrl(path, query)} download="log.txt">
          Download
        </a>
      </div>
      {error !== null && <Problem error={error} />}
      {lines.length === 0 ? (
        <p className={styles.nothing}>{isWhole ? "It wrote nothing." : "Nothing is written yet."}</p>
      ) : (
        <div
          ref={box}
          className={styles.box}
          onScroll={onScroll}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached with the keyboard
          tabIndex={0}
          role="log"
          aria-label="Log"
          aria-live="off"
        >
          <div style={{ height: rows.getTotalSize() }} className={styles.lines}>
            {rows.getVirtualItems().map(({ index, start }) => (
              <LogLine key={index} number={first + index} text={lines[index]!} topPx={start} />
            ))}
          </div>
        </div>
      )}
    </div>
  );
}
