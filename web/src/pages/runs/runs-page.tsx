import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { runs } from "../../api/queries.ts";
import { useRunChanges } from "../../live/use-run-changes.ts";
import { Button } from "../../ui/button.tsx";
import { Command } from "../../ui/command.tsx";
import { Empty, Problem } from "../../ui/notice.tsx";
import { RunRows } from "./run-rows.tsx";
import styles from "./runs-page.module.css";

const FILTERS: readonly { readonly label: string; readonly state: string | undefined }[] = [
  { label: "All", state: undefined },
  { label: "Active", state: "queued,running,cancelling" },
  { label: "Failed", state: "failed" },
  { label: "Succeeded", state: "succeeded" },
  { label: "Cancelled", state: "cancelled" },
];

/** Every run of the project, newest first. What is chosen is in the address, so that it can be shared. */
export function RunsPage() {
  const filter = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const query = useInfiniteQuery(runs(filter));
  useRunChanges(["runs"]);
  const found = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const isFiltered = filter.state !== undefined || filter.text !== undefined;
  return (
    <>
      <div className={styles.head}>
        <h1>Runs</h1>
        <search className={styles.filters}>
          <div className={styles.states}>
            {FILTERS.map(({ label, state }) => (
              <button
                key={label}
                type="button"
                aria-pressed={filter.state === state}
                onClick={() => void navigate({ search: (before) => ({ ...before, state }) })}
              >
                {label}
              </button>
            ))}
          </div>
          <TextFilter
            value={filter.text ?? ""}
            onChange={(text) => void navigate({ search: (before) => ({ ...before, text }), replace: true })}
          />
        </search>
      </div>
      {query.isError && <Problem error={query.error} />}
      {query.isPending && <div className={styles.waiting} aria-busy="true" />}
      {query.isSuccess && found.length === 0 && (isFiltered ? <NothingFits /> : <NoRuns />)}
      {found.length > 0 && <RunRows runs={found} />}
      {query.hasNextPage && (
        <div className={styles.more}>
          <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
            {query.isFetchingNextPage ? "Loading …" : "Older runs"}
          </Button>
        </div>
      )}
    </>
  );
}

/** So long after the last key the list follows. */
const PAUSE_MS = 250;

interface TextFilterProps {
  readonly value: string;
  readonly onChange: (text: string | undefined) => void;
}

function TextFilter({ value, onChange }: TextFilterProps) {
  const [text, setText] = useState(value);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text === "" ? undefined : text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <input
      type="search"
      aria-label="Find runs"
      placeholder="Name, parameter, label, person, worker"
      value={text}
      onChange={({ target }) => setText(target.value)}
    />
  );
}

function NothingFits() {
  return (
    <Empty title="No run fits">
      <p>Another word, or another state, may find what you look for.</p>
    </Empty>
  );
}

function NoRuns() {
  return (
    <Empty title="Nothing has run yet">
      <p>Run the example, and watch it here:</p>
      <Command>berth demo</Command>
      <p>or a pipeline of your own:</p>
      <Command>berth run pipeline.yaml</Command>
    </Empty>
  );
}
