import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { apiUrl } from "../api/client.ts";

/** So often what is shown is asked for anew, however many runs change. */
const REFRESH_EVERY_MS = 500;

/** Asks for what is under this key again whenever a run of the project is made or changes, and after each broken connection. */
export function useRunChanges(key: QueryKey): void {
  const client = useQueryClient();
  const name = JSON.stringify(key);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const refresh = () => {
      timer ??= setTimeout(() => {
        timer = null;
        void client.invalidateQueries({ queryKey: JSON.parse(name) as QueryKey });
      }, REFRESH_EVERY_MS);
    };
    const source = new EventSource(apiUrl("/runs/changes"));
    // From `ready` on nothing is missed: what was asked for before may be older.
    for (const type of ["ready", "run", "reset"]) source.addEventListener(type, refresh);
    return () => {
      source.close();
      if (timer !== null) clearTimeout(timer);
    };
  }, [client, name]);
}
