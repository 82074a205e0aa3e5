import { useQuery } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { useState } from "react";
import type { Session } from "../../../src/protocol/sessions.ts";
import { ApiError, ask } from "../api/client.ts";
import { session } from "../api/queries.ts";
import { Button } from "../ui/button.tsx";
import { Problem } from "../ui/notice.tsx";
import styles from "./frame.module.css";
import { Login } from "./login.tsx";
import { applyTheme, currentTheme, type Theme } from "./theme.ts";

/** What is around every page; in its place, the login of whoever has no session. */
export function Frame() {
  const { data, error, isPending } = useQuery(session);
  if (isPending) return null;
  if (error instanceof ApiError && error.status === 401) return <Login />;
  if (data === undefined) return <Problem error={error} />;
  return (
    <div className={styles.frame}>
      <a className={styles.skip} href="#page">
        Skip to the page
      </a>
      <header className={styles.header}>
        <Link to="/" className={styles.brand}>
          <img src="/icon.svg" alt="" width="24" height="24" />
          Berth
        </Link>
        <nav aria-label="Pages">
          <Link
            to="/"
            className={styles.entry}
            activeOptions={{ exact: true }}
            activeProps={{ "aria-current": "page" }}
          >
            Overview
          </Link>
          <Link to="/runs" className={styles.entry} activeProps={{ "aria-current": "page" }}>
            Runs
          </Link>
        </nav>
        <ThemeChoice />
        <WhoIsIn session={data} />
      </header>
      <main id="page" className={styles.page}>
        <Outlet />
      </main>
    </div>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useState(currentTheme);
  const choose = (chosen: Theme) => {
    applyTheme(chosen);
    setTheme(chosen);
  };
  return (
    <label className={styles.theme}>
      <span>Theme</span>
      <select value={theme} onChange={({ target }) => choose(target.value as Theme)}>
        <option value="system">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

function WhoIsIn({ session: { name, role, project } }: { readonly session: Session }) {
  const leave = async () => {
    await ask("/login", { method: "DELETE" });
    // A new page has nothing in its memory of what was shown.
    location.assign("/");
  };
  return (
    <div className={styles.who}>
      <span title={`${role} of ${project ?? "the whole installation"}`}>
        {name} <span className={styles.role}>{role}</span>
      </span>
      <Button onClick={() => void leave()}>Log out</Button>
    </div>
  );
}
